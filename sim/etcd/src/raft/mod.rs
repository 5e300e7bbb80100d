//! Raft: the log on disk, the node that drives it, and the connections between members.

mod apply;
mod elections;
mod node;
mod reads;
pub(crate) mod storage;
pub(crate) mod transport;

pub(crate) use node::{Input, Node};
