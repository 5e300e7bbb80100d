//! Which image a host is started from.

use testcontainers::bollard::errors::Error;

use super::{Agent, Kind};
use crate::docker::{Docker, Trouble};

/// The image of a host of this kind. Clients need nothing but the `pgdrill` binary, which is in every image.
pub(super) fn of(kind: Kind, agent: Agent) -> String {
    let name = match (kind, agent) {
        (Kind::Node, Agent::Patroni) => "patroni",
        (Kind::Node | Kind::Client, _) => "node",
        (Kind::Etcd, _) => "etcd",
        (Kind::Haproxy, _) => "haproxy",
    };
    format!("pgdrill/{name}:latest")
}

/// Whether every image is there, before anything is made.
///
/// # Errors
/// Names the first that is missing.
pub(crate) async fn check(docker: &Docker, agent: Agent) -> Result<(), Trouble> {
    for kind in [Kind::Node, Kind::Client, Kind::Etcd, Kind::Haproxy] {
        let image = of(kind, agent);
        match docker.inspect_image(&image).await {
            Ok(_) => {}
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => return Err(Trouble::NoImage { image }),
            Err(error) => return Err(Trouble::of(&format!("looking for the image {image}"), &error)),
        }
    }
    Ok(())
}
