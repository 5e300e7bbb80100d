//! What can be wrong with Docker, each with what to do about it.

use std::path::PathBuf;

use testcontainers::bollard::errors::Error;

/// Docker cannot do what is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody answers.
    #[error(
        "no Docker daemon answers at {at}: {why}\n\
         start one (`systemctl start docker`), or say where it is with DOCKER_HOST"
    )]
    Unreachable {
        /// Where it was looked for.
        at: String,
        /// The error.
        why: String,
    },
    /// The socket is not ours to open.
    #[error(
        "Docker's socket {at} may not be opened: permission denied\n\
         run as root, or as a member of the group `docker` (`usermod -aG docker $USER`, then log in again)"
    )]
    Forbidden {
        /// The socket.
        at: String,
    },
    /// The chosen context of the `docker` command does not say where its daemon is.
    #[error(
        "the context `{context}` of the docker command cannot be read: {}: {why}\n\
         choose another (`docker context ls`, `docker context use`), or say where Docker is with DOCKER_HOST", file.display()
    )]
    Context {
        /// Its name.
        context: String,
        /// Where it is kept.
        file: PathBuf,
        /// What is wrong there.
        why: String,
    },
    /// The daemon is from before what is needed.
    #[error("the Docker daemon speaks API {found}; pgdrill needs at least {NEEDED} (Docker 20.10): update it")]
    TooOld {
        /// Its API version.
        found: String,
    },
    /// An image is not there.
    #[error("there is no image {image}: build the images with `pgdrill images build`")]
    NoImage {
        /// Its name with tag.
        image: String,
    },
    /// No subnet is free.
    #[error(
        "no subnet of {pool} is free for the run's network: {why}\n\
         remove networks that nobody uses (`docker network prune`)"
    )]
    NoSubnet {
        /// Where it was looked.
        pool: String,
        /// What the daemon said of the last one.
        why: String,
    },
    /// No space.
    #[error(
        "the disk of the Docker daemon is full: {why}\n\
         make space (`docker system df`, `docker system prune`)"
    )]
    DiskFull {
        /// The error.
        why: String,
    },
    /// An address or port is taken.
    #[error("{what} is taken: {why}\nsomething else on this machine uses it; end it, or play again on another subnet")]
    Taken {
        /// What was wanted.
        what: String,
        /// The error.
        why: String,
    },
    /// Anything else, in the daemon's words.
    #[error("{what}: {why}")]
    Other {
        /// What was tried.
        what: String,
        /// The error.
        why: String,
    },
}

/// The oldest API that has everything: Docker 20.10.
pub const NEEDED: &str = "1.41";

impl Trouble {
    /// From an error of the daemon to what it means; `what` was tried.
    #[must_use]
    pub fn of(what: &str, error: &Error) -> Self {
        let why = words(error);
        let lower = why.to_lowercase();
        if lower.contains("no space left on device") {
            return Self::DiskFull { why };
        }
        if lower.contains("address already in use") || lower.contains("port is already allocated") {
            return Self::Taken { what: what.to_owned(), why };
        }
        if let Some(rest) = lower.split("no such image: ").nth(1) {
            let image = rest.split_whitespace().next().unwrap_or(rest).to_owned();
            return Self::NoImage { image };
        }
        Self::Other { what: what.to_owned(), why }
    }

    /// From an error while connecting.
    #[must_use]
    pub fn connecting(at: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let why = chain(error);
        if why.to_lowercase().contains("permission denied") {
            return Self::Forbidden { at: at.to_owned() };
        }
        Self::Unreachable { at: at.to_owned(), why }
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        other => chain(other),
    }
}

/// An error with its causes: the outermost often says only that something failed.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(message: &str) -> Error {
        Error::DockerResponseServerError { status_code: 500, message: message.to_owned() }
    }

    #[test]
    fn a_missing_image_names_the_command_that_builds_it() {
        let trouble = Trouble::of("creating pg1", &server("No such image: pgdrill/node:16"));
        assert_eq!(trouble, Trouble::NoImage { image: "pgdrill/node:16".into() });
        assert!(trouble.to_string().contains("pgdrill images build"), "{trouble}");
    }

    #[test]
    fn a_full_disk_and_a_taken_port_are_told_from_other_errors() {
        let full = Trouble::of("creating pg1", &server("mkdir /var/lib/docker/overlay2/x: no space left on device"));
        assert!(matches!(full, Trouble::DiskFull { .. }), "{full}");
        let taken = Trouble::of("the address 198.18.0.2", &server("Address already in use"));
        assert!(matches!(taken, Trouble::Taken { .. }), "{taken}");
        let other = Trouble::of("creating pg1", &server("something new"));
        assert_eq!(other.to_string(), "creating pg1: something new");
    }

    #[test]
    fn a_socket_that_may_not_be_opened_is_not_a_daemon_that_does_not_run() {
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        assert!(matches!(Trouble::connecting("unix:///var/run/docker.sock", &denied), Trouble::Forbidden { .. }));
        let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
        assert!(matches!(Trouble::connecting("unix:///var/run/docker.sock", &gone), Trouble::Unreachable { .. }));
    }
}
