//! The Docker daemon, as far as images need it.

use std::{collections::HashMap, future::Future, path::PathBuf, pin::pin, time::Duration};

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use testcontainers::bollard::{
    Docker, body_full, body_try_stream,
    errors::Error,
    models::{BuildInfo, ContainerCreateBody, HostConfig, ImageSummary},
    query_parameters::{
        BuildImageOptions, CreateImageOptions, ListImagesOptions, LogsOptions, RemoveContainerOptions,
        RemoveImageOptions, TagImageOptions, WaitContainerOptions,
    },
};
use tokio::time::timeout;
use tokio_util::io::ReaderStream;

use super::{ImageError, Step, Watch, proxy};
use crate::docker::{self, Trouble};

/// The label of every container that is started to look into an image.
const PROBE_LABEL: &str = "pgdrill.images.probe";

/// How long nothing may be heard of a pull. The daemon waits for ever for a registry that has said who it is and nothing more.
const STALLED: Duration = Duration::from_secs(120);

/// How long the daemon may take for an answer: images are large and disks slow.
const PATIENCE: Duration = Duration::from_secs(900);

/// A Docker daemon that answers and is new enough.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    /// The architecture of its containers, as Docker names it: `amd64`.
    pub(super) architecture: String,
    /// Where it keeps images, when that can be looked at.
    pub(super) root: Option<PathBuf>,
    /// See [`STALLED`].
    pub(super) stalled: Duration,
}

impl Engine {
    /// Connects to the daemon, found and opened as for a run ([`docker::connect`]).
    ///
    /// # Errors
    /// When none answers, or it is too old.
    pub async fn connect() -> Result<Self, ImageError> {
        Self::connect_to(&docker::host().map_err(ImageError::NoDocker)?).await
    }

    /// Connects to the daemon at this address.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_to(host: &str) -> Result<Self, ImageError> {
        let trouble = |why: Error| ImageError::NoDocker(Trouble::connecting(host, &why));
        let docker = docker::open(host).await.map_err(ImageError::NoDocker)?.with_timeout(PATIENCE);
        let version = docker.version().await.map_err(trouble)?;
        let info = docker.info().await.map_err(trouble)?;
        let root = info.docker_root_dir.map(PathBuf::from).filter(|_| host.starts_with("unix://"));
        let architecture = version.arch.unwrap_or_else(|| "amd64".to_owned());
        Ok(Self { docker, architecture, root, stalled: STALLED })
    }

    /// The id of an image; `None` when there is none of that name.
    pub(super) async fn id(&self, name: &str) -> Result<Option<String>, ImageError> {
        match self.docker.inspect_image(name).await {
            Ok(image) => Ok(image.id),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(why) => Err(failed(format!("cannot look for the image {name}"), &why)),
        }
    }

    /// The labels of an image.
    pub(super) async fn labels(&self, name: &str) -> Result<HashMap<String, String>, ImageError> {
        let image = self.docker.inspect_image(name).await;
        let image = image.map_err(|why| failed(format!("cannot look at the image {name}"), &why))?;
        Ok(image.config.and_then(|config| config.labels).unwrap_or_default())
    }

    /// All images with this label.
    pub(super) async fn labelled(&self, label: &str) -> Result<Vec<ImageSummary>, ImageError> {
        let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
        let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
        self.docker.list_images(Some(options)).await.map_err(|why| failed("cannot list images", &why))
    }

    /// All names of images that match a pattern.
    pub(super) async fn references(&self, pattern: &str) -> Result<Vec<String>, ImageError> {
        let filters = HashMap::from([("reference".to_owned(), vec![pattern.to_owned()])]);
        let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
        let found = self.docker.list_images(Some(options)).await.map_err(|why| failed("cannot list images", &why))?;
        Ok(found.into_iter().flat_map(|image| image.repo_tags).collect())
    }

    /// Fetches an image from its registry.
    ///
    /// # Errors
    /// When the registry cannot be reached, refuses, has no such image, or is silent for too long.
    pub async fn pull(&self, name: &str, watch: Watch<'_>) -> Result<(), ImageError> {
        watch(Step { what: name, says: "pulling", begins: true });
        let options = CreateImageOptions { from_image: Some(name.to_owned()), ..CreateImageOptions::default() };
        let mut pulled = pin!(self.docker.create_image(Some(options), None, None));
        let failed = |why: String| ImageError::NoPull { image: name.to_owned(), why };
        let stalled = |_| failed(format!("nothing was heard of it for {:?}", self.stalled));
        loop {
            let told = timeout(self.stalled, pulled.try_next()).await.map_err(stalled)?;
            let Some(info) = told.map_err(|why| failed(reason(&why)))? else { return Ok(()) };
            if let Some(says) = info.status {
                watch(Step { what: name, says: &says, begins: false });
            }
        }
    }

    /// Makes an image of a root file system in a tar file.
    pub(super) async fn import(&self, tar: tokio::fs::File, repository: &str, tag: &str) -> Result<(), ImageError> {
        let options = CreateImageOptions {
            from_src: Some("-".to_owned()),
            repo: Some(repository.to_owned()),
            tag: Some(tag.to_owned()),
            ..CreateImageOptions::default()
        };
        let body = body_try_stream(ReaderStream::with_capacity(tar, 1 << 20));
        let imported: Result<Vec<_>, _> = self.docker.create_image(Some(options), Some(body), None).try_collect().await;
        imported.map(drop).map_err(|why| failed(format!("cannot import {repository}:{tag}"), &why))
    }

    /// Builds an image of a context that holds its `Dockerfile`.
    pub(super) async fn build(&self, what: &str, wanted: Build<'_>, watch: Watch<'_>) -> Result<(), ImageError> {
        let pairs = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        // Docker knows these arguments by itself, and they change neither an image nor its cache.
        let proxies = if wanted.network { proxy::of_the_environment() } else { vec![] };
        let arguments: Vec<_> = proxies.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let options = BuildImageOptions {
            t: Some(wanted.name.to_owned()),
            buildargs: pairs(&[wanted.arguments, &arguments].concat()),
            labels: pairs(wanted.labels),
            networkmode: (!wanted.network).then(|| "none".to_owned()),
            rm: true,
            forcerm: true,
            ..BuildImageOptions::default()
        };
        let lines = self.docker.build_image(options, None, Some(body_full(wanted.context)));
        told(what, lines, watch).await.map_err(|why| failed(format!("cannot build {}", wanted.name), &why))
    }

    /// Gives an image another name.
    pub(super) async fn tag(&self, from: &str, repository: &str, tag: &str) -> Result<(), ImageError> {
        let options = TagImageOptions { repo: Some(repository.to_owned()), tag: Some(tag.to_owned()) };
        let tagged = self.docker.tag_image(from, Some(options)).await;
        tagged.map_err(|why| failed(format!("cannot name {from} {repository}:{tag}"), &why))
    }

    /// Takes a name from an image, and the image away with its last name.
    ///
    /// # Errors
    /// When a container still uses it, among others.
    pub(super) async fn untag(&self, name: &str) -> Result<(), ImageError> {
        let removed = self.docker.remove_image(name, None::<RemoveImageOptions>, None).await;
        removed.map(drop).map_err(|why| failed(format!("cannot remove {name}"), &why))
    }

    /// Runs a command in a container of its own without a network: its exit code and output, or why it did not start.
    pub(super) async fn probe(&self, image: &str, command: &[&str]) -> Result<Probed, ImageError> {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            entrypoint: Some(command.iter().map(|&word| word.to_owned()).collect()),
            cmd: Some(Vec::new()),
            labels: Some(HashMap::from([(PROBE_LABEL.to_owned(), "1".to_owned())])),
            host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        let doing = || format!("cannot run {} in {image}", command.join(" "));
        let created = self.docker.create_container(None, body).await.map_err(|why| failed(doing(), &why))?;
        let probed = self.probe_in(&created.id).await.map_err(|why| failed(doing(), &why));
        self.discard(&created.id).await;
        probed
    }

    async fn probe_in(&self, id: &str) -> Result<Probed, Error> {
        if let Err(why) = self.docker.start_container(id, None).await {
            // A program that cannot be executed at all: another architecture, or no interpreter for it.
            return Ok(Probed { code: None, output: reason(&why) });
        }
        let waited: Result<Vec<_>, Error> =
            self.docker.wait_container(id, None::<WaitContainerOptions>).try_collect().await;
        let code = match waited {
            Ok(codes) => codes.first().map_or(0, |ended| ended.status_code),
            Err(Error::DockerContainerWaitError { code, .. }) => code,
            Err(why) => return Err(why),
        };
        let options = LogsOptions { stdout: true, stderr: true, ..LogsOptions::default() };
        let lines: Vec<_> = self.docker.logs(id, Some(options)).try_collect().await?;
        Ok(Probed { code: Some(code), output: lines.iter().map(ToString::to_string).collect() })
    }

    async fn discard(&self, container: &str) {
        let options = RemoveContainerOptions { force: true, v: true, link: false };
        // What is left here is swept at the next build.
        let _ = self.docker.remove_container(container, Some(options)).await;
    }

    /// Removes containers that an earlier build was killed beside.
    pub(super) async fn sweep(&self) -> Result<(), ImageError> {
        let filters = HashMap::from([
            ("label".to_owned(), vec![PROBE_LABEL.to_owned()]),
            ("status".to_owned(), vec!["exited".to_owned(), "created".to_owned(), "dead".to_owned()]),
        ]);
        let options = testcontainers::bollard::query_parameters::ListContainersOptions {
            all: true,
            filters: Some(filters),
            ..Default::default()
        };
        let found =
            self.docker.list_containers(Some(options)).await.map_err(|why| failed("cannot list containers", &why))?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |age| age.as_secs());
        for container in found {
            // A young one may be another build's.
            let age_s = now.saturating_sub(container.created.unwrap_or(0).unsigned_abs());
            if let (Some(id), true) = (container.id, age_s > 600) {
                self.discard(&id).await;
            }
        }
        Ok(())
    }
}

/// What to build.
pub(super) struct Build<'a> {
    /// `pgdrill/node:tag`.
    pub name: &'a str,
    /// A tar archive.
    pub context: Bytes,
    /// `ARG`s.
    pub arguments: &'a [(&'a str, &'a str)],
    /// Labels.
    pub labels: &'a [(&'a str, &'a str)],
    /// Whether its `RUN`s may use the network.
    pub network: bool,
}

/// How a command in a container ended.
#[derive(Clone, Debug)]
pub(super) struct Probed {
    /// Its exit code; `None` when it could not be started.
    pub code: Option<i64>,
    /// What it wrote, or why it could not be started.
    pub output: String,
}

/// Tells the lines of a build.
fn told<'a>(
    what: &'a str,
    lines: impl Stream<Item = Result<BuildInfo, Error>> + 'a,
    watch: Watch<'a>,
) -> impl Future<Output = Result<(), Error>> + 'a {
    lines.try_for_each(move |info| {
        for says in info.stream.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()) {
            watch(Step { what, says, begins: false });
        }
        std::future::ready(Ok(()))
    })
}

fn failed(doing: impl Into<String>, why: &Error) -> ImageError {
    ImageError::Docker(Trouble::of(&doing.into(), why))
}

/// What the daemon said.
fn reason(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => Trouble::of("", other).to_string().trim_start_matches(": ").to_owned(),
    }
}
