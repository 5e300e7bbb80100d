//! One container as a machine: commands inside it, and what Docker does to it as a whole.

pub mod steering;

use std::net::Ipv4Addr;

use testcontainers::bollard::{
    models::ContainerStateStatusEnum,
    query_parameters::{InspectContainerOptions, KillContainerOptions, StartContainerOptions},
};

use crate::docker::{Command, Docker, Output};

/// A fault could not be done, undone or proven: the lab's own trouble, not the cluster's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {what}")]
pub struct Trouble {
    /// The host it was about.
    pub host: String,
    /// What went wrong, with what the command said.
    pub what: String,
}

/// A container of the cluster.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The host's name in the scenario: `pg1`.
    pub name: String,
    /// The container's id or name.
    pub container: String,
    /// Its static address on the run's network.
    pub address: Ipv4Addr,
    docker: Docker,
}

/// What a container is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Commands can be run in it.
    Running,
    /// Everything in it stands still; no command can be run in it.
    Paused,
    /// Nothing of it runs.
    Stopped,
}

impl Machine {
    /// A container of this Docker.
    #[must_use]
    pub fn new(docker: Docker, name: impl Into<String>, container: impl Into<String>, address: Ipv4Addr) -> Self {
        Self { name: name.into(), container: container.into(), address, docker }
    }

    /// Runs a command in it as root and waits for its end.
    ///
    /// # Errors
    /// When Docker cannot run it; a command that fails is no error.
    pub async fn run(&self, command: &Command) -> Result<Output, Trouble> {
        command.run(&self.docker, &self.container).await.map_err(|why| self.trouble(why))
    }

    /// Runs a shell script in it as root, which must succeed, and returns what it printed. The script comes from pgdrill's own
    /// constants and numbers, never from a file of the user.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn script(&self, script: &str) -> Result<String, Trouble> {
        self.succeed(&["sh", "-c", script]).await
    }

    /// Runs a command in it as root, which must succeed, and returns what it printed.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub async fn succeed(&self, command: &[&str]) -> Result<String, Trouble> {
        let output = self.run(&Command::new(command.iter().copied())).await?;
        if output.code == 0 {
            return Ok(output.stdout);
        }
        let said =
            [output.stderr.trim(), output.stdout.trim()].into_iter().find(|s| !s.is_empty()).unwrap_or("nothing");
        Err(self.trouble(format!("`{}` ended with {}: {said}", command.join(" "), output.code)))
    }

    /// Puts a file into it, readable and executable by everybody.
    ///
    /// # Errors
    /// When the container does not run or has no space.
    pub async fn put(&self, path: &str, bytes: &[u8]) -> Result<(), Trouble> {
        let script = r#"cat > "$1.draft" && chmod 755 "$1.draft" && mv "$1.draft" "$1""#;
        let output = self.run(&Command::new(["sh", "-c", script, "sh", path]).input(bytes)).await?;
        if output.code == 0 { Ok(()) } else { Err(self.trouble(format!("writing {path}: {}", output.stderr.trim()))) }
    }

    /// What it is doing.
    ///
    /// # Errors
    /// When Docker does not say.
    pub async fn state(&self) -> Result<State, Trouble> {
        let options = None::<InspectContainerOptions>;
        let found = self.docker.inspect_container(&self.container, options).await.map_err(|e| self.trouble(e))?;
        Ok(match found.state.and_then(|state| state.status) {
            Some(ContainerStateStatusEnum::RUNNING) => State::Running,
            Some(ContainerStateStatusEnum::PAUSED) => State::Paused,
            _ => State::Stopped,
        })
    }

    /// Everything in it stands still.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn pause(&self) -> Result<(), Trouble> {
        self.docker.pause_container(&self.container).await.map_err(|e| self.trouble(e))
    }

    /// Everything in it goes on.
    ///
    /// # Errors
    /// When it was not paused.
    pub async fn unpause(&self) -> Result<(), Trouble> {
        self.docker.unpause_container(&self.container).await.map_err(|e| self.trouble(e))
    }

    /// Every process in it is killed.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill(&self) -> Result<(), Trouble> {
        self.docker.kill_container(&self.container, None::<KillContainerOptions>).await.map_err(|e| self.trouble(e))
    }

    /// Starts the container again; of its processes only the first one runs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start(&self) -> Result<(), Trouble> {
        self.docker.start_container(&self.container, None::<StartContainerOptions>).await.map_err(|e| self.trouble(e))
    }

    /// Something went wrong here.
    pub(crate) fn trouble(&self, what: impl std::fmt::Display) -> Trouble {
        Trouble { host: self.name.clone(), what: what.to_string() }
    }
}
