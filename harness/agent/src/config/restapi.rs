//! `restapi` and `ctl`: the agent's HTTP server, and how its calls are made.

use std::{collections::BTreeMap, path::PathBuf};

use super::{HostPort, User};

/// How many connections to the REST API are open at once, where there are descriptors enough. Patroni answers five at a time.
pub const MOST_CONNECTIONS: usize = 256;

/// `restapi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestapiConfig {
    /// `listen`.
    pub listen: HostPort,
    /// `connect_address`: what others reach it by.
    pub connect_address: HostPort,
    /// `authentication` for calls that change something; `None`: open.
    pub authentication: Option<User>,
    /// `certfile` and what belongs to it; `None`: plain HTTP.
    pub tls: Option<RestapiTls>,
    /// `allowlist`: who may make calls that change something: host names, addresses, networks (`10.0.0.0/8`). Empty together
    /// with `allowlist_include_members: false`: everybody.
    pub allowlist: Vec<String>,
    /// `allowlist_include_members`: whether the hosts of the members' `api_url` are on the list.
    pub allowlist_include_members: bool,
    /// `http_extra_headers`: sent with every answer.
    pub http_extra_headers: BTreeMap<String, String>,
    /// `https_extra_headers`: sent as well when TLS is on.
    pub https_extra_headers: BTreeMap<String, String>,
    /// `request_queue_size`: how many connections may wait to be accepted.
    pub request_queue_size: u32,
    /// How many connections may be open at once. Not a setting of Patroni's: as many as leave the agent itself enough descriptors.
    pub connections: usize,
    /// `server_tokens`: what the `Server` header says.
    pub server_tokens: ServerTokens,
}

impl RestapiConfig {
    /// Patroni's defaults.
    #[must_use]
    pub fn new(listen: HostPort, connect_address: HostPort) -> Self {
        Self {
            listen,
            connect_address,
            authentication: None,
            tls: None,
            allowlist: Vec::new(),
            allowlist_include_members: false,
            http_extra_headers: BTreeMap::new(),
            https_extra_headers: BTreeMap::new(),
            request_queue_size: 5,
            connections: MOST_CONNECTIONS,
            server_tokens: ServerTokens::Original,
        }
    }
}

/// The TLS side of `restapi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestapiTls {
    /// `certfile`: the server's certificate chain, PEM.
    pub certfile: PathBuf,
    /// `keyfile`, without a passphrase; `None`: the key is in `certfile`.
    pub keyfile: Option<PathBuf>,
    /// `cafile`: authorities that client certificates are checked against; also what members' certificates are checked with.
    pub cafile: Option<PathBuf>,
    /// `verify_client`.
    pub verify_client: VerifyClient,
}

/// `restapi.verify_client`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyClient {
    /// No client certificate is asked for.
    #[default]
    None,
    /// Calls that change something need one.
    Optional,
    /// Every call needs one.
    Required,
}

/// `restapi.server_tokens`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerTokens {
    /// Whatever the server itself says.
    #[default]
    Original,
    /// Name and version.
    Minimal,
    /// The name only.
    ProductOnly,
}

/// `ctl`: how calls to members' REST APIs are made, by `pgdrill ctl` and by agents among themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CtlConfig {
    /// `authentication`; `None`: that of `restapi`.
    pub authentication: Option<User>,
    /// `insecure`: certificates are not checked.
    pub insecure: bool,
    /// `cacert`; `None`: `restapi.cafile`.
    pub cacert: Option<PathBuf>,
    /// `certfile`: the certificate that a caller shows.
    pub certfile: Option<PathBuf>,
    /// `keyfile`: its key, without a passphrase; `None` with a `certfile`: the key is in the same file.
    pub keyfile: Option<PathBuf>,
}
