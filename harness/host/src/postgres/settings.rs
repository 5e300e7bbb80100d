//! Where the programs and directories of one PostgreSQL are.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use pgdrill_agent::config::{ConnectionOptions, PostgresqlConfig};

/// Where a started server writes what it has to say before (or without) its `logging_collector`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerOutput {
    /// Where the agent itself writes: its standard error, as Patroni does.
    #[default]
    AsTheAgent,
    /// To the end of this file.
    File(PathBuf),
}

/// One PostgreSQL on this machine. Names are those of `postgresql` in `patroni.yml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `data_dir`.
    pub data_dir: PathBuf,
    /// `bin_dir`: the folder with `postgres`, `initdb` and the others; `None`: they are looked for in `PATH`.
    pub bin_dir: Option<PathBuf>,
    /// `bin_name`: programs that are called otherwise here.
    pub bin_name: BTreeMap<String, String>,
    /// `config_dir`: where `postgresql.conf`, `pg_hba.conf` and `pg_ident.conf` are; `None`: in the data directory.
    pub config_dir: Option<PathBuf>,
    /// `pgpass`: the file that holds the password for the server which is copied, rewound or streamed from.
    pub passfile: PathBuf,
    /// `custom_conf`: included by `postgresql.conf` in place of `postgresql.base.conf`.
    pub custom_conf: Option<PathBuf>,
    /// libpq's parameters of the users that copies, rewinds and standbys connect as: `sslmode` and its like.
    pub connection: ConnectionOptions,
    /// Whether a rewind connects as the superuser, for want of a user of its own.
    pub rewinds_as_superuser: bool,
    /// `rewind`: further long options of `pg_rewind`, in the same form as `basebackup`.
    pub rewind: Vec<(String, Option<String>)>,
    /// `basebackup`: further long options of `pg_basebackup`, without dashes, with their value if they take one.
    pub basebackup: Vec<(String, Option<String>)>,
    /// Where the server's own output goes.
    pub server_output: ServerOutput,
}

impl Settings {
    /// A server in `data_dir`, its programs in `PATH`, its passwords in `passfile`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, passfile: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            bin_dir: None,
            bin_name: BTreeMap::new(),
            config_dir: None,
            passfile: passfile.into(),
            custom_conf: None,
            connection: ConnectionOptions::default(),
            rewinds_as_superuser: true,
            rewind: Vec::new(),
            basebackup: Vec::new(),
            server_output: ServerOutput::AsTheAgent,
        }
    }

    /// As `postgresql` says. A password file that is not named is `pgpass` in the home directory, as Patroni has it.
    #[must_use]
    pub fn of(config: &PostgresqlConfig) -> Self {
        let home = || env::home_dir().unwrap_or_else(|| PathBuf::from("/")).join("pgpass");
        Self {
            bin_dir: config.bin_dir.clone(),
            bin_name: config.bin_name.clone(),
            config_dir: config.config_dir.clone(),
            custom_conf: config.custom_conf.clone(),
            connection: config.connection.clone(),
            rewinds_as_superuser: config.rewind.is_none(),
            rewind: config.rewind_options.clone(),
            basebackup: config.basebackup.clone(),
            ..Self::new(&config.data_dir, config.pgpass.clone().unwrap_or_else(home))
        }
    }

    /// libpq's parameters of the user that rewinds.
    pub(crate) const fn rewind_connection(&self) -> &BTreeMap<String, String> {
        if self.rewinds_as_superuser { &self.connection.superuser } else { &self.connection.rewind }
    }

    /// The program of that name.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let name = self.bin_name.get(name).map_or(name, String::as_str);
        self.bin_dir.as_ref().map_or_else(|| PathBuf::from(name), |dir| dir.join(name))
    }

    /// Where the configuration files are.
    pub(crate) fn config_dir(&self) -> &Path {
        self.config_dir.as_deref().unwrap_or(&self.data_dir)
    }

    /// `postgresql.conf`.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.config_dir().join("postgresql.conf")
    }

    /// `pg_wal` of the data directory; it may be a symbolic link.
    pub(crate) fn wal_dir(&self) -> PathBuf {
        self.data_dir.join("pg_wal")
    }

    /// A path beside the data directory: `<data_dir>.failed`.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.data_dir.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    }
}
