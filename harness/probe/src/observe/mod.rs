//! The observers: what can be seen of a cluster without asking the agent for its inner state.
//!
//! They sit on a host of their own that no fault touches. An observer that gets no answer records that it got none.

mod dcs;
mod ending;
mod etcd;
mod haproxy;
mod rest;
mod settled;
mod sql;

pub(crate) use dcs::connect;
pub use dcs::{DcsTarget, watch_scope};
pub use ending::{read_all_rows, read_end};
pub use etcd::etcd_leader;
pub use haproxy::{Routed, watch_haproxy};
pub use rest::{RestTarget, probe_rest};
pub use settled::{Position, position, read_rows, read_scope, read_slots};
pub use sql::probe_sql;
