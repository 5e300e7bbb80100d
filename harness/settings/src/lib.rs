//! Patroni's settings, for everybody who reads them: the agent, `/config`, `patroni.yml`, `pgdrill ctl` and the lab. One reader, so
//! that a spelling means the same to all of them, and the same as to Patroni 4.1.
//!
//! | look in | for |
//! |---|---|
//! | [`value`] | how a single value is spelled: switches and numbers |
//! | [`Dynamic`] | what a dynamic configuration comes to |
//! | `check` | what is wrong with one |
//! | [`Timing`] | the rule among `ttl`, `loop_wait` and `retry_timeout` |
//! | [`slots`] | `slots` and `ignore_slots` |
//! | [`postgresql`] | PostgreSQL's parameters: which there are, what they may be, and what Patroni makes of them |
//! | [`places`] | where a known name belongs |
//!
//! Nothing here does IO or knows of YAML; whoever reads a file adds the places.

pub mod check;
mod dynamic;
pub mod places;
pub mod postgresql;
mod problem;
mod quantity;
mod remote;
pub mod slots;
mod timing;
pub mod value;

pub use check::check;
pub use dynamic::{Dynamic, SynchronousMode};
pub use problem::{Problem, Taken};
pub use remote::{is_standby_cluster, remote_primary};
pub use timing::{Timing, adjust_timing};
