//! Where the Docker daemon is, and opening it: one way for runs and for images, with the same words when there is none.
//!
//! It is looked for as the `docker` command does: `DOCKER_HOST`, then the context that `DOCKER_CONTEXT` or `docker context use`
//! names, then the usual socket. Where there is no such socket, those of rootless Docker and of Docker Desktop are tried.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use sha2::{Digest, Sha256};
use testcontainers::bollard::{API_DEFAULT_VERSION, Docker};

use super::{NEEDED, Trouble};

/// Where the daemon is when nothing else is said.
const USUAL: &str = "/var/run/docker.sock";

/// The context that means the usual socket: it has no file.
const DEFAULT_CONTEXT: &str = "default";

/// How long the daemon may take for an answer, unless somebody is more patient ([`Docker::with_timeout`]).
const PATIENCE: Duration = Duration::from_secs(120);

/// Opens the daemon, wherever it is, and agrees on a version of its API.
///
/// # Errors
/// When there is none, it may not be opened, or it is too old.
pub async fn connect() -> Result<Docker, Trouble> {
    open(&host()?).await
}

/// Opens the daemon at this address.
///
/// # Errors
/// As [`connect`].
pub async fn open(host: &str) -> Result<Docker, Trouble> {
    let trouble = |why| Trouble::connecting(host, &why);
    let client = match host.strip_prefix("unix://") {
        Some(socket) => Docker::connect_with_unix(socket, PATIENCE.as_secs(), API_DEFAULT_VERSION),
        None => Docker::connect_with_host(host).map(|client| client.with_timeout(PATIENCE)),
    };
    let client = client.map_err(trouble)?.negotiate_version().await.map_err(trouble)?;
    let found = client.client_version();
    if (found.major_version, found.minor_version) < needed() {
        return Err(Trouble::TooOld { found: found.to_string() });
    }
    Ok(client)
}

/// [`NEEDED`] in numbers.
fn needed() -> (usize, usize) {
    let number = |text: &str| text.parse().expect("it is two numbers");
    let (major, minor) = NEEDED.split_once('.').expect("it has a dot");
    (number(major), number(minor))
}

/// Where the daemon is: `unix:///var/run/docker.sock`.
///
/// # Errors
/// When the chosen context cannot be read: any other daemon would be the wrong one.
pub(crate) fn host() -> Result<String, Trouble> {
    let home = env::var_os("HOME").map(PathBuf::from);
    Places {
        host: env::var("DOCKER_HOST").ok(),
        context: env::var("DOCKER_CONTEXT").ok(),
        settings: env::var_os("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".docker"))),
        sockets: sockets(env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), home),
    }
    .host()
}

/// The sockets that are tried: the usual one, rootless Docker's, Docker Desktop's.
fn sockets(runtime: Option<PathBuf>, home: Option<PathBuf>) -> Vec<PathBuf> {
    let mut sockets = vec![PathBuf::from(USUAL)];
    sockets.extend(runtime.map(|runtime| runtime.join("docker.sock")));
    if let Some(docker) = home.map(|home| home.join(".docker")) {
        sockets.extend([docker.join("run/docker.sock"), docker.join("desktop/docker.sock")]);
    }
    sockets
}

/// What says where the daemon is.
struct Places {
    /// `DOCKER_HOST`.
    host: Option<String>,
    /// `DOCKER_CONTEXT`.
    context: Option<String>,
    /// The folder with the settings of the `docker` command.
    settings: Option<PathBuf>,
    /// Sockets, the usual one first.
    sockets: Vec<PathBuf>,
}

impl Places {
    fn host(&self) -> Result<String, Trouble> {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(host) = said(&self.host) {
            return Ok(host);
        }
        if let Some(settings) = &self.settings {
            let context = said(&self.context).or_else(|| current_context(settings));
            if let Some(context) = context.filter(|context| context != DEFAULT_CONTEXT) {
                return host_of(settings, &context);
            }
        }
        let found = self.sockets.iter().find(|socket| socket.exists()).or(self.sockets.first());
        Ok(format!("unix://{}", found.map_or(Path::new(USUAL), PathBuf::as_path).display()))
    }
}

/// What `docker context use` has chosen.
fn current_context(settings: &Path) -> Option<String> {
    let file = fs::read(settings.join("config.json")).ok()?;
    let settings: Value = serde_json::from_slice(&file).ok()?;
    settings.get("currentContext")?.as_str().filter(|context| !context.is_empty()).map(str::to_owned)
}

/// Where a context's daemon is. Its file lies in a folder that is named after the SHA-256 of the context's name.
fn host_of(settings: &Path, context: &str) -> Result<String, Trouble> {
    let folder: String = Sha256::digest(context.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = settings.join("contexts/meta").join(folder).join("meta.json");
    let bad = |why: String| Trouble::Context { context: context.to_owned(), file: file.clone(), why };
    let text = fs::read(&file).map_err(|why| bad(why.to_string()))?;
    let meta: Value = serde_json::from_slice(&text).map_err(|why| bad(why.to_string()))?;
    let host = meta.pointer("/Endpoints/docker/Host").and_then(Value::as_str);
    host.map(str::to_owned).ok_or_else(|| bad("it has no Endpoints.docker.Host".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::fake::{Answer, daemon};

    /// SHA-256 of `rootless`.
    const ROOTLESS: &str = "12b961af5feb3e9d39f93b2cefb9a1a944f18d02cca0cac2f04f5a982240605f";

    async fn opened(answer: Answer) -> Result<Docker, Trouble> {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = daemon(folder.path(), &[answer]);
        open(&format!("unix://{}", socket.display())).await
    }

    #[tokio::test]
    async fn without_docker_the_error_says_where_it_was_looked_for_and_what_to_do() {
        let error = open("unix:///no/such/docker.sock").await.expect_err("nobody listens").to_string();
        assert!(error.contains("unix:///no/such/docker.sock") && error.contains("DOCKER_HOST"), "{error}");
        let error = open("ssh://somewhere").await.expect_err("it cannot be spoken to").to_string();
        assert!(error.contains("ssh://somewhere"), "{error}");
    }

    #[tokio::test]
    async fn an_old_docker_is_refused_and_versions_are_compared_as_numbers() {
        let old = r#"{"Version":"17.05.0-ce","ApiVersion":"1.9","Arch":"amd64"}"#;
        let error = opened(("GET", "/version", 200, old)).await.expect_err("it is too old").to_string();
        assert!(error.contains("API 1.9; pgdrill needs at least 1.41"), "{error}");
        let new = r#"{"Version":"20.10.0","ApiVersion":"1.41","Arch":"amd64"}"#;
        assert!(opened(("GET", "/version", 200, new)).await.is_ok());
    }

    #[test]
    fn docker_host_comes_before_the_context_and_that_before_the_sockets() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = folder.path();
        let (first, second) = (settings.join("first.sock"), settings.join("second.sock"));
        fs::write(&second, "").expect("written");
        let mut places =
            Places { host: None, context: None, settings: Some(settings.to_owned()), sockets: vec![first, second] };
        let found = |places: &Places| places.host().expect("it is found");
        assert!(found(&places).ends_with("/second.sock"), "the first that is there");
        let meta = settings.join("contexts/meta").join(ROOTLESS);
        fs::create_dir_all(&meta).expect("made");
        let text = r#"{"Name":"rootless","Endpoints":{"docker":{"Host":"unix:///run/user/7/docker.sock"}}}"#;
        fs::write(meta.join("meta.json"), text).expect("written");
        fs::write(settings.join("config.json"), r#"{"currentContext":"rootless"}"#).expect("written");
        assert_eq!(found(&places), "unix:///run/user/7/docker.sock");
        places.context = Some("default".to_owned());
        assert!(found(&places).ends_with("/second.sock"), "DOCKER_CONTEXT comes before what was chosen once");
        places.host = Some("tcp://127.0.0.1:2375".to_owned());
        assert_eq!(found(&places), "tcp://127.0.0.1:2375");
    }

    #[test]
    fn a_context_that_is_not_there_is_an_error_and_no_reason_to_take_another_daemon() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Some(folder.path().to_owned());
        let places = Places { host: None, context: Some("lost".to_owned()), settings, sockets: vec![] };
        let error = places.host().expect_err("there is no such context").to_string();
        assert!(error.contains("the context `lost`") && error.contains("docker context ls"), "{error}");
    }

    #[test]
    fn without_any_socket_the_usual_one_is_named() {
        let places = Places { host: Some(String::new()), context: None, settings: None, sockets: vec![] };
        assert_eq!(places.host().as_deref(), Ok("unix:///var/run/docker.sock"));
        let all = sockets(Some("/run/user/7".into()), Some("/home/me".into()));
        let all: Vec<_> = all.iter().map(|socket| socket.to_string_lossy().into_owned()).collect();
        assert_eq!(all[0], USUAL);
        assert_eq!(all[1], "/run/user/7/docker.sock");
        assert_eq!(all[2..], ["/home/me/.docker/run/docker.sock", "/home/me/.docker/desktop/docker.sock"]);
    }
}
