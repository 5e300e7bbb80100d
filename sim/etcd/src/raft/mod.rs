//! Raft: the log on disk, the node that drives it, and the connections between members.

mod apply;
mod elections;
mod hear;
mod input;
mod node;
mod reads;
pub(crate) mod storage;
pub(crate) mod transport;

pub(crate) use input::Input;
pub(crate) use node::Node;
