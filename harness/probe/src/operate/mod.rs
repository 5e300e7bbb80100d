//! What operators do to a cluster from outside, and are answered.

mod etcd;
mod order;

pub use etcd::{compact, replace_member};
pub use order::order;
