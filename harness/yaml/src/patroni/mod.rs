//! What both readers of a `patroni.yml` say in the same words, the lab, which plays with a user's file, and the agent: how its values
//! are spelled, where its names belong, and what is known to hurt in it although Patroni starts with it.

mod access;
mod dcs;
mod dynamic;
mod names;
mod parameters;
mod value;

pub use access::{hba, open_restapi, passwords};
pub use dcs::{one_member_only, slashes};
pub use dynamic::values as dynamic_values;
pub use names::{finish, unknown};
pub use parameters::{Facts, local_recovery, local_values, warn as parameters};
pub use value::{switch, whole};

use crate::{At, Node};

/// The value at a path, only when all of the path is there.
#[must_use]
pub fn at<'n>(root: &'n Node, path: &str) -> Option<At<'n>> {
    root.at(path).map(|node| At { node, path: path.to_owned() })
}
