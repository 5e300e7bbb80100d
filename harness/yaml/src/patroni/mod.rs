//! What is known to hurt in a `patroni.yml` although Patroni starts with it: who may come in, parameters of PostgreSQL, the store.
//! Both readers of such files say it in the same words: the lab, which plays with a user's file, and the agent.

mod access;
mod dcs;
mod parameters;

pub use access::{hba, open_restapi, passwords};
pub use dcs::{one_member_only, slashes};
pub use parameters::{FROM_DCS_ONLY, Facts, keep_dynamic_only, leave_out_removed, warn as parameters};

use crate::{At, Node};

/// The value at a path, only when all of the path is there.
#[must_use]
pub fn at<'n>(root: &'n Node, path: &str) -> Option<At<'n>> {
    root.at(path).map(|node| At { node, path: path.to_owned() })
}
