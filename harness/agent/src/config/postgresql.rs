//! `postgresql`: the local server.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use serde_json::{Map, Value};

use super::{HostPort, User};

/// `postgresql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresqlConfig {
    /// `listen`: hosts for `listen_addresses` (several with commas between them) and the port.
    pub listen: HostPort,
    /// `connect_address`: what other members and clients reach it by. The agent itself connects to `local_address`.
    pub connect_address: HostPort,
    /// `proxy_address`: a connection pool in front of it; `proxy_url` of the member key.
    pub proxy_address: Option<HostPort>,
    /// Where the agent of the same host connects to. With `use_unix_socket` the host is a folder such as `/run/postgresql`, or
    /// several hosts with commas between them, of which the first that answers is taken.
    pub local_address: HostPort,
    /// `data_dir`: for messages and `initdb`; the port knows its own.
    pub data_dir: String,
    /// `config_dir`: where `postgresql.conf` and its like are; `None`: in `data_dir`.
    pub config_dir: Option<PathBuf>,
    /// `bin_dir`: where PostgreSQL's programs are; `None`: they are found by `PATH`.
    pub bin_dir: Option<PathBuf>,
    /// `bin_name`: programs that are called otherwise here: `pg_ctl` to `pg_ctl_custom`.
    pub bin_name: BTreeMap<String, String>,
    /// `pgpass`: the password file for PostgreSQL's programs; `None`: one in the home directory.
    pub pgpass: Option<PathBuf>,
    /// `authentication.superuser`.
    pub superuser: User,
    /// `authentication.replication`.
    pub replication: User,
    /// `authentication.rewind`; `None`: the superuser.
    pub rewind: Option<User>,
    /// `sslmode` and its like of the three users.
    pub connection: ConnectionOptions,
    /// `use_unix_socket`.
    pub use_unix_socket: bool,
    /// `use_unix_socket_repl`: for replication connections to the own server, of which the agent makes none.
    pub use_unix_socket_repl: bool,
    /// `parameters` of this node, below the ones that only the dynamic configuration may set.
    pub parameters: Map<String, Value>,
    /// `recovery_conf`: further recovery settings of this node as a standby.
    pub recovery_conf: Map<String, Value>,
    /// `custom_conf`: included by `postgresql.conf` in place of `postgresql.base.conf`.
    pub custom_conf: Option<PathBuf>,
    /// `pg_hba`.
    pub pg_hba: Option<Vec<String>>,
    /// `pg_ident`.
    pub pg_ident: Option<Vec<String>>,
    /// `use_pg_rewind`, if set here.
    pub use_pg_rewind: Option<bool>,
    /// `remove_data_directory_on_rewind_failure`.
    pub remove_data_directory_on_rewind_failure: bool,
    /// `remove_data_directory_on_diverged_timelines`.
    pub remove_data_directory_on_diverged_timelines: bool,
    /// `pg_ctl_timeout`.
    pub pg_ctl_timeout: Duration,
    /// `callbacks`.
    pub callbacks: Callbacks,
    /// `create_replica_methods`, in the order in which they are tried: `basebackup` or names of `replica_methods`. Empty:
    /// `basebackup`.
    pub create_replica_methods: Vec<String>,
    /// The section of every method that is not `basebackup`. Names may also be used by `standby_cluster`.
    pub replica_methods: BTreeMap<String, ReplicaMethod>,
    /// `basebackup`: options for `pg_basebackup`, with a value if they take one.
    pub basebackup: Vec<(String, Option<String>)>,
    /// `rewind`: options for `pg_rewind`, with a value if they take one.
    pub rewind_options: Vec<(String, Option<String>)>,
    /// `pre_promote`: a command that must succeed before the server is promoted.
    pub pre_promote: Option<String>,
    /// `before_stop`: a command that is waited for before the server is stopped.
    pub before_stop: Option<String>,
    /// The fields that this node's own configuration sets: for them the cluster's dynamic configuration does not count.
    pub given: BTreeSet<String>,
}

impl PostgresqlConfig {
    /// A server on the usual port, reached as `host`, with Patroni's defaults.
    #[must_use]
    pub fn new(host: &str) -> Self {
        Self {
            listen: HostPort::new("0.0.0.0", 5432),
            connect_address: HostPort::new(host, 5432),
            proxy_address: None,
            local_address: HostPort::new(host, 5432),
            data_dir: "/var/lib/postgresql/data".into(),
            config_dir: None,
            bin_dir: None,
            bin_name: BTreeMap::new(),
            pgpass: None,
            superuser: User::named("postgres"),
            replication: User::named("replicator"),
            rewind: None,
            connection: ConnectionOptions::default(),
            use_unix_socket: false,
            use_unix_socket_repl: false,
            parameters: Map::new(),
            recovery_conf: Map::new(),
            custom_conf: None,
            pg_hba: None,
            pg_ident: None,
            use_pg_rewind: None,
            remove_data_directory_on_rewind_failure: false,
            remove_data_directory_on_diverged_timelines: false,
            pg_ctl_timeout: Duration::from_secs(60),
            callbacks: Callbacks::default(),
            create_replica_methods: Vec::new(),
            replica_methods: BTreeMap::new(),
            basebackup: Vec::new(),
            rewind_options: Vec::new(),
            pre_promote: None,
            before_stop: None,
            given: BTreeSet::new(),
        }
    }

    /// Who looks at another server before a rewind, and rewinds from it: `authentication.rewind`, or the superuser; with
    /// libpq's parameters of that user.
    #[must_use]
    pub fn rewinder(&self) -> (&User, &BTreeMap<String, String>) {
        match &self.rewind {
            Some(rewind) => (rewind, &self.connection.rewind),
            None => (&self.superuser, &self.connection.superuser),
        }
    }

    /// Where the last known dynamic configuration is kept, under Patroni's name: it is written back when the DCS has lost it.
    #[must_use]
    pub fn dynamic_config_cache(&self) -> PathBuf {
        PathBuf::from(&self.data_dir).join("patroni.dynamic.json")
    }
}

/// libpq's connection parameters beside name and password (`sslmode`, `sslrootcert`, ...), for each user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// Of `authentication.superuser`.
    pub superuser: BTreeMap<String, String>,
    /// Of `authentication.replication`.
    pub replication: BTreeMap<String, String>,
    /// Of `authentication.rewind`.
    pub rewind: BTreeMap<String, String>,
}

/// `callbacks`: commands, each called as `COMMAND ACTION ROLE SCOPE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callbacks {
    /// `on_start`: the server has started.
    pub on_start: Option<String>,
    /// `on_stop`: it was stopped.
    pub on_stop: Option<String>,
    /// `on_restart`: it was restarted, with its role unchanged.
    pub on_restart: Option<String>,
    /// `on_reload`: its configuration was reloaded.
    pub on_reload: Option<String>,
    /// `on_role_change`: it was promoted or demoted.
    pub on_role_change: Option<String>,
}

/// A way to make a replica that is not `basebackup` (Patroni's documentation, "Building replicas").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaMethod {
    /// `command`, as a shell would split it into words; it is run without a shell. `None`: the method's name.
    pub command: Option<String>,
    /// `keep_data`: whether what is in the data directory stays, before it and after its failure.
    pub keep_data: bool,
    /// `no_params`: whether `--scope`, `--role`, `--datadir` and `--connstring` are left out.
    pub no_params: bool,
    /// `no_leader` (older: `no_master`): whether it also works while no member runs that could be copied from.
    pub no_leader: bool,
    /// All fields but `command`: passed as `--name=value`, in the order of the file; with `no_params` only those that are none of
    /// the above.
    pub params: Vec<(String, String)>,
}
