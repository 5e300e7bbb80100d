//! What one agent is told at its start: Patroni's local configuration (`patroni.yml`) as plain data. Reading the YAML file is
//! done by whoever starts the agent. Names are Patroni's.

use std::{fmt, time::Duration};

use serde_json::Value;

/// A secret that neither `Debug` nor logs show.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Wraps it.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: for a connection or a header, never for a message.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

/// A name and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Role or user name.
    pub username: String,
    /// Password, if there is one.
    pub password: Option<Password>,
}

impl User {
    /// A user without a password.
    #[must_use]
    pub fn named(username: impl Into<String>) -> Self {
        Self { username: username.into(), password: None }
    }
}

/// Where something listens or is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Host name or IP address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl HostPort {
    /// Both parts.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An IPv6 address needs brackets in a URL.
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// `watchdog.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchdogMode {
    /// Never used.
    Off,
    /// Used if there is one.
    #[default]
    Automatic,
    /// Without a working one this node does not become leader.
    Required,
}

/// `watchdog`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchdogConfig {
    /// `mode`.
    pub mode: WatchdogMode,
    /// `safety_margin`: how long before the lease ends the machine is reset. `None` is Patroni's -1: time-out = ttl / 2.
    pub safety_margin: Option<Duration>,
}

impl Default for WatchdogConfig {
    fn default() -> Self {
        Self { mode: WatchdogMode::Automatic, safety_margin: Some(Duration::from_secs(5)) }
    }
}

/// `restapi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestapiConfig {
    /// `listen`.
    pub listen: HostPort,
    /// `connect_address`: what others reach it by.
    pub connect_address: HostPort,
    /// `authentication` for calls that change something; `None`: open.
    pub authentication: Option<User>,
}

/// `postgresql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresqlConfig {
    /// `listen`: hosts for `listen_addresses` and the port.
    pub listen: HostPort,
    /// `connect_address`: what other members and clients reach it by. The agent itself connects to `local_address`.
    pub connect_address: HostPort,
    /// Where the agent of the same host connects to.
    pub local_address: HostPort,
    /// `data_dir`: for messages and `initdb`; the port knows its own.
    pub data_dir: String,
    /// `authentication.superuser`.
    pub superuser: User,
    /// `authentication.replication`.
    pub replication: User,
    /// `authentication.rewind`; `None`: the superuser.
    pub rewind: Option<User>,
    /// `parameters` of this node, below the ones that only the dynamic configuration may set.
    pub parameters: serde_json::Map<String, Value>,
    /// `pg_hba`.
    pub pg_hba: Option<Vec<String>>,
    /// `use_pg_rewind`, if set here.
    pub use_pg_rewind: Option<bool>,
    /// `remove_data_directory_on_rewind_failure`.
    pub remove_data_directory_on_rewind_failure: bool,
    /// `remove_data_directory_on_diverged_timelines`.
    pub remove_data_directory_on_diverged_timelines: bool,
    /// `pg_ctl_timeout`.
    pub pg_ctl_timeout: Duration,
}

/// `bootstrap`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootstrapConfig {
    /// `dcs`: the first dynamic configuration, written to `/config` by whoever bootstraps the cluster.
    pub dcs: Value,
    /// `initdb`: options for `initdb`, with a value if they take one.
    pub initdb: Vec<(String, Option<String>)>,
    /// `pg_hba` of the new cluster when `postgresql.pg_hba` is not given.
    pub pg_hba: Option<Vec<String>>,
}

/// Everything one agent is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// `name`: this member.
    pub name: String,
    /// `scope`: this cluster.
    pub scope: String,
    /// `namespace`, without slashes at its ends: `service`.
    pub namespace: String,
    /// `etcd3.hosts`, in the order in which they are tried.
    pub etcd_hosts: Vec<HostPort>,
    /// `restapi`.
    pub restapi: RestapiConfig,
    /// `postgresql`.
    pub postgresql: PostgresqlConfig,
    /// `bootstrap`; `None`: this node never makes a new cluster.
    pub bootstrap: Option<BootstrapConfig>,
    /// `watchdog`.
    pub watchdog: WatchdogConfig,
    /// `tags`, as they are written to the member key.
    pub tags: serde_json::Map<String, Value>,
}

impl AgentConfig {
    /// A member named `name` of cluster `scope`, reached as `host` on the usual ports, with Patroni's defaults.
    #[must_use]
    pub fn new(scope: &str, name: &str, host: &str, etcd_hosts: Vec<HostPort>) -> Self {
        Self {
            name: name.into(),
            scope: scope.into(),
            namespace: "service".into(),
            etcd_hosts,
            restapi: RestapiConfig {
                listen: HostPort::new("0.0.0.0", 8008),
                connect_address: HostPort::new(host, 8008),
                authentication: None,
            },
            postgresql: PostgresqlConfig {
                listen: HostPort::new("0.0.0.0", 5432),
                connect_address: HostPort::new(host, 5432),
                local_address: HostPort::new(host, 5432),
                data_dir: "/var/lib/postgresql/data".into(),
                superuser: User::named("postgres"),
                replication: User::named("replicator"),
                rewind: None,
                parameters: serde_json::Map::new(),
                pg_hba: None,
                use_pg_rewind: None,
                remove_data_directory_on_rewind_failure: false,
                remove_data_directory_on_diverged_timelines: false,
                pg_ctl_timeout: Duration::from_secs(60),
            },
            bootstrap: Some(BootstrapConfig {
                dcs: Value::Object(serde_json::Map::new()),
                ..BootstrapConfig::default()
            }),
            watchdog: WatchdogConfig::default(),
            tags: serde_json::Map::new(),
        }
    }

    /// `conn_url` of the member key.
    #[must_use]
    pub fn conn_url(&self) -> String {
        format!("postgres://{}/postgres", self.postgresql.connect_address)
    }

    /// `api_url` of the member key.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}/patroni", self.restapi.connect_address)
    }

    /// Path of a key of this cluster: `/service/demo/leader`.
    #[must_use]
    pub fn key(&self, key: &str) -> String {
        format!("/{}/{}/{key}", self.namespace.trim_matches('/'), self.scope)
    }
}
