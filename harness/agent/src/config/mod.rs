//! What one agent is told at its start: Patroni's local configuration (`patroni.yml`) as plain data. Reading the YAML file is
//! done by whoever starts the agent. Names are Patroni's.

mod bootstrap;
mod etcd;
mod identity;
mod overlay;
mod postgresql;
mod restapi;
mod running;

pub use bootstrap::{BootstrapConfig, BootstrapMethod, BootstrapUser};
pub use etcd::{EtcdConfig, EtcdTls, EtcdUrl, is_https};
pub use identity::{HostPort, Password, User};
pub use overlay::tcp_local_address;
pub use postgresql::{Callbacks, ConnectionOptions, PostgresqlConfig, ReplicaMethod};
pub use restapi::{CtlConfig, MOST_CONNECTIONS, RestapiConfig, RestapiTls, ServerTokens, VerifyClient};
pub use running::{FencingConfig, FencingMode, LogConfig, LogLevel, LogType, WatchdogConfig, WatchdogMode};
use serde_json::{Map, Value};

/// Everything one agent is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// `name`: this member.
    pub name: String,
    /// `scope`: this cluster.
    pub scope: String,
    /// `namespace`, without slashes at its ends: `service`.
    pub namespace: String,
    /// `etcd3`.
    pub etcd: EtcdConfig,
    /// `restapi`.
    pub restapi: RestapiConfig,
    /// `ctl`.
    pub ctl: CtlConfig,
    /// `postgresql`.
    pub postgresql: PostgresqlConfig,
    /// `bootstrap`; `None`: this node never makes a new cluster.
    pub bootstrap: Option<BootstrapConfig>,
    /// `watchdog`.
    pub watchdog: WatchdogConfig,
    /// `pgdrill.fencing`.
    pub fencing: FencingConfig,
    /// `log`.
    pub log: LogConfig,
    /// `tags`, as they are written to the member key.
    pub tags: Map<String, Value>,
}

impl AgentConfig {
    /// A member named `name` of cluster `scope`, reached as `host` on the usual ports, with Patroni's defaults.
    #[must_use]
    pub fn new(scope: &str, name: &str, host: &str, etcd_hosts: Vec<HostPort>) -> Self {
        Self {
            name: name.into(),
            scope: scope.into(),
            namespace: "service".into(),
            etcd: EtcdConfig { hosts: etcd_hosts, ..EtcdConfig::default() },
            restapi: RestapiConfig::new(HostPort::new("0.0.0.0", 8008), HostPort::new(host, 8008)),
            ctl: CtlConfig::default(),
            postgresql: PostgresqlConfig::new(host),
            bootstrap: Some(BootstrapConfig { dcs: Value::Object(Map::new()), ..BootstrapConfig::default() }),
            watchdog: WatchdogConfig::default(),
            fencing: FencingConfig::default(),
            log: LogConfig::default(),
            tags: Map::new(),
        }
    }

    /// `conn_url` of the member key.
    #[must_use]
    pub fn conn_url(&self) -> String {
        format!("postgres://{}/postgres", self.postgresql.connect_address)
    }

    /// `proxy_url` of the member key, if a connection pool was named.
    #[must_use]
    pub fn proxy_url(&self) -> Option<String> {
        self.postgresql.proxy_address.as_ref().map(|address| format!("postgres://{address}/postgres"))
    }

    /// `api_url` of the member key.
    #[must_use]
    pub fn api_url(&self) -> String {
        let scheme = if self.restapi.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/patroni", self.restapi.connect_address)
    }

    /// Path of a key of this cluster: `/service/demo/leader`.
    #[must_use]
    pub fn key(&self, key: &str) -> String {
        format!("/{}/{}/{key}", self.namespace.trim_matches('/'), self.scope)
    }
}
