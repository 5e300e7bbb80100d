//! The Docker daemon: its client, commands in containers, what is ours and what was left behind.

mod container;
mod daemon;
mod exec;
#[cfg(test)]
pub(crate) mod fake;
mod network;
mod owner;
mod removal;
mod trouble;

pub use container::{Mounted, Plan, create_volume, start_container};
pub(crate) use daemon::host;
pub use daemon::{connect, open};
pub use exec::{Command, Line, Output};
pub use network::{Subnet, create_network};
pub use owner::{HOST, LABEL, LABEL_VALUE, OWNER, Owner, RUN};
pub use removal::{Swept, made_by_runs, remove_run, sweep};
pub use testcontainers::bollard::Docker;
pub use trouble::{NEEDED, Trouble};
