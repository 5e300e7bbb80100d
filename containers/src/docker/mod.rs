//! The Docker daemon: its client, commands in containers, what is ours and what was left behind.
//!
//! The client is `bollard`, by way of testcontainers, which is built on it. What testcontainers itself offers (0.28: start,
//! wait, copy, execute, networks, removal) is not used; the files are those of its source:
//!
//! | | a run needs | testcontainers |
//! |---|---|---|
//! | daemon | the one that the `docker` command means, contexts too; in tests the one that is named | `DOCKER_HOST` or a usual socket (`core/env/config.rs`), one for the whole process, and nothing takes another. Where a context is chosen, it starts containers on another daemon than the one that everything else here speaks to |
//! | images | those that were built, and else an error | answers a creation's 404 by a pull, here of a `pgdrill/node` that could be anybody's (`runners/async_runner.rs`); nothing switches that off |
//! | network | a subnet of its own, labelled, so that whoever sweeps finds it | made by name alone (`core/client.rs`) |
//! | address | fixed from the creation on, also after a restart | the request has no `networking_config`, and `with_host_config_modifier` reaches `HostConfig` alone; what remains is to start on the network `none`, to disconnect and to connect, the last two with bollard |
//! | volumes | in memory, labelled, alive while the container that uses them is without power | `Mount::tmpfs_mount`, which goes with the container |
//! | commands | as another user, with standard input (passwords), left running, streamed as they write | `ExecCommand` has arguments and environment only; its wait for an exit code looks every 500 ms |
//! | files | into a running container, with an owner | `with_copy_to` before the start, as root |
//! | readiness | etcd has a leader, one primary, all stream: asked from outside | a closed list (`WaitFor`: log, HTTP, health, exit, time; `WaitStrategy` is private), and the first process of our containers is an idle one that logs nothing |
//! | removal | all of a run at once by its label: after its end, a signal, a panic; after SIGKILL by the next run | `Drop` of each container blocks its thread, here that of all runs, and panics without a runtime (`core/async_drop.rs`); a start that is broken off after the creation leaves its container; after SIGKILL all stay. The feature `watchdog` stops one container after the other on a signal and then ends the process itself |
//!
//! Speed is no reason either way. Eight containers at fixed addresses were up in 2.8 s with bollard and in 2.9 s with
//! testcontainers, started on `none` and connected (medians of six rounds each, by turns); dropping them stalled the thread for
//! 1.2 to 1.5 s, removing them by their label for 0.13 s at most.

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
