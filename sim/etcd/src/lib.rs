//! A model of an etcd 3.5 cluster: members that run Raft among themselves and serve the real gRPC API.
//!
//! A member is one call of [`serve`] over any [`pgdrill_net::Net`]: on real sockets for its own tests, on simulated ones in
//! the simulator. What it must not lose lives on its [`Disk`], which the caller keeps; what others may see of it without
//! asking is its [`Peek`].
//!
//! | folder | what |
//! |---|---|
//! | `store/` | the multi-version key-value store |
//! | `lease.rs`, `watch.rs` | leases and watches |
//! | `machine.rs` | the replicated state machine made of the three |
//! | `raft/` | log storage, the node's loop, connections between members |
//! | `server/` | the gRPC services |
//! | `conformance/` | what must hold for this model and for real etcd alike |
//!
//! Where etcd's behaviour is not written down, its source at v3.5.33 decided; comments name the function.

pub mod config;
pub mod conformance;
pub mod disk;
pub mod error;
pub mod lease;
mod machine;
mod member;
pub mod peek;
mod raft;
mod request;
mod serve;
mod server;
pub mod store;
pub mod watch;

pub use config::{MemberConfig, Peer};
pub use disk::Disk;
pub use peek::Peek;
pub use serve::{ServeError, serve};
