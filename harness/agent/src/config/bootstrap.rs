//! `bootstrap`: how a new cluster is made.

use serde_json::{Map, Value};

use super::Password;

/// `bootstrap`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootstrapConfig {
    /// `dcs`: the first dynamic configuration, written to `/config` by whoever bootstraps the cluster.
    pub dcs: Value,
    /// `initdb`: options for `initdb`, with a value if they take one.
    pub initdb: Vec<(String, Option<String>)>,
    /// `pg_hba` of the new cluster when `postgresql.pg_hba` is not given.
    pub pg_hba: Option<Vec<String>>,
    /// `users`: roles that are made in the new cluster. Patroni knew them until version 3; pgdrill still does.
    pub users: Vec<BootstrapUser>,
    /// `post_bootstrap` (or `post_init`): a command that is run once in the new cluster, with a connection string as its last
    /// argument. If it fails, the cluster is not made.
    pub post_bootstrap: Option<String>,
    /// `method` and the section of its name; `None`: `initdb`.
    pub method: Option<BootstrapMethod>,
}

/// One of `bootstrap.users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapUser {
    /// The role's name.
    pub name: String,
    /// `password`.
    pub password: Option<Password>,
    /// `options`: words of `CREATE ROLE`, in upper case: `CREATEROLE`, `CREATEDB`. Each is one of PostgreSQL's own.
    pub options: Vec<String>,
}

/// A bootstrap method of the user's own (Patroni's documentation, "Custom bootstrap").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapMethod {
    /// Its name: the value of `bootstrap.method`.
    pub name: String,
    /// `command`, as a shell would split it into words; it is run without a shell.
    pub command: String,
    /// `no_params`: whether `--scope` and `--datadir` are left out.
    pub no_params: bool,
    /// `keep_existing_recovery_conf`: whether recovery settings that the command wrote stay.
    pub keep_existing_recovery_conf: bool,
    /// `recovery_conf`: recovery settings for the restored directory.
    pub recovery_conf: Map<String, Value>,
    /// All other fields: passed as `--name=value`, in the order of the file.
    pub params: Vec<(String, String)>,
}
