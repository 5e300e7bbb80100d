//! Making a host's container: an idle init with an address of its own; what runs in it is started by commands.

use std::{collections::HashMap, net::Ipv4Addr};

use testcontainers::bollard::{
    Docker,
    models::{
        ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, Mount, MountType, NetworkingConfig,
        VolumeCreateRequest,
    },
    query_parameters::{CreateContainerOptionsBuilder, StartContainerOptions},
};

use super::Trouble;

/// Something that is to be found at a place of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// A volume by its name, or a file of the daemon's machine by its path.
    pub what: String,
    /// The path in the container.
    pub at: String,
}

impl Mounted {
    /// `what` at `at`.
    pub fn new(what: impl Into<String>, at: impl Into<String>) -> Self {
        Self { what: what.into(), at: at.into() }
    }
}

/// What a container is made from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name for the daemon.
    pub name: String,
    /// Its own name for itself.
    pub hostname: String,
    /// The image with its tag.
    pub image: String,
    /// The run's network.
    pub network: String,
    /// Its address there.
    pub address: Ipv4Addr,
    /// Volumes.
    pub volumes: Vec<Mounted>,
    /// Programs of this machine, perhaps in the place of the image's own.
    pub programs: Vec<Mounted>,
    /// Its labels.
    pub labels: HashMap<String, String>,
}

/// Makes and starts it; its id. Its main process does nothing for ever, so that whatever is done to the services in it, the
/// container and its network stay.
///
/// # Errors
/// When the image is missing, the address is taken, or the daemon refuses for another reason.
pub async fn start_container(docker: &Docker, plan: &Plan) -> Result<String, Trouble> {
    let what = format!("starting {}", plan.name);
    let mount = |volume: &Mounted| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume.what.clone()),
        target: Some(volume.at.clone()),
        ..Mount::default()
    };
    let endpoint = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: Some(plan.address.to_string()),
            ..EndpointIpamConfig::default()
        }),
        ..EndpointSettings::default()
    };
    let body = ContainerCreateBody {
        hostname: Some(plan.hostname.clone()),
        image: Some(plan.image.clone()),
        entrypoint: Some(vec!["sleep".to_owned()]),
        cmd: Some(vec!["infinity".to_owned()]),
        labels: Some(plan.labels.clone()),
        host_config: Some(HostConfig {
            init: Some(true),
            network_mode: Some(plan.network.clone()),
            cap_add: Some(vec!["NET_ADMIN".to_owned(), "SYS_PTRACE".to_owned()]),
            mounts: Some(plan.volumes.iter().map(mount).collect()),
            binds: Some(plan.programs.iter().map(|program| format!("{}:{}:ro", program.what, program.at)).collect()),
            ..HostConfig::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(plan.network.clone(), endpoint)])),
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(&plan.name).build();
    let created = docker.create_container(Some(options), body).await;
    let id = created.map_err(|e| Trouble::of(&what, &e))?.id;
    docker.start_container(&id, None::<StartContainerOptions>).await.map_err(|e| Trouble::of(&what, &e))?;
    Ok(id)
}

/// Makes a volume: in memory, of at most so many bytes, or on the daemon's disk (`None`).
///
/// # Errors
/// When the daemon refuses.
pub async fn create_volume(
    docker: &Docker,
    name: &str,
    labels: &HashMap<String, String>,
    in_memory: Option<u64>,
) -> Result<(), Trouble> {
    let memory = in_memory.map(|bytes| {
        let options = [("type", "tmpfs".to_owned()), ("device", "tmpfs".to_owned()), ("o", format!("size={bytes}"))];
        options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    });
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        driver: Some("local".to_owned()),
        driver_opts: memory,
        labels: Some(labels.clone()),
        ..VolumeCreateRequest::default()
    };
    docker.create_volume(request).await.map(drop).map_err(|e| Trouble::of(&format!("making the volume {name}"), &e))
}
