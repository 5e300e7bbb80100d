//! The Docker daemon: its client, commands in containers, what is ours and what was left behind.

mod container;
mod exec;
#[cfg(test)]
pub(crate) mod fake;
mod network;
mod owner;
mod removal;
mod trouble;

pub use container::{Plan, create_volume, start_container};
pub use exec::{Command, Line, Output};
pub use network::{Subnet, create_network};
pub use owner::{HOST, LABEL, LABEL_VALUE, OWNER, Owner, RUN};
pub use removal::{made_by_runs, remove_run, sweep};
pub use testcontainers::bollard::Docker;
use testcontainers::{bollard::API_DEFAULT_VERSION, core::client::docker_client_instance};
pub use trouble::{NEEDED, Trouble};

/// Opens the daemon that `DOCKER_HOST` names, or the local one, and agrees on a version of its API.
///
/// # Errors
/// When there is none, it may not be opened, or it is too old.
pub async fn connect() -> Result<Docker, Trouble> {
    let at = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let client = docker_client_instance().await.map_err(|e| Trouble::connecting(&at, &e))?;
    let client = client.negotiate_version().await.map_err(|e| Trouble::connecting(&at, &e))?;
    let version = client.client_version();
    let (major, minor) = (version.major_version, version.minor_version);
    let (least_major, least_minor) = NEEDED.split_once('.').expect("it has a dot");
    let least: (usize, usize) = (least_major.parse().expect("a number"), least_minor.parse().expect("a number"));
    debug_assert!((API_DEFAULT_VERSION.major_version, API_DEFAULT_VERSION.minor_version) >= least);
    if (major, minor) < least {
        return Err(Trouble::TooOld { found: format!("{major}.{minor}") });
    }
    Ok(client)
}
