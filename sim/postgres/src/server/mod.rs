//! The server's processes: postmaster, backends, startup process, checkpointer.

pub(crate) mod backend;
mod checkpointer;
pub(crate) mod commit;
mod extended;
pub mod inspect;
pub mod postmaster;
mod replay;
mod session;
mod shutdown;
pub mod signals;
pub(crate) mod startup;
pub(crate) mod state;
mod target_timeline;
pub(crate) mod wire;
mod write;
