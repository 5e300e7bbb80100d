//! What a changed configuration may change while the agent runs: SIGHUP and `POST /reload`.

use std::{path::PathBuf, sync::Arc};

use futures::future::BoxFuture;
use pgdrill_agent::{
    AgentConfig,
    ports::{ConfigSource, Reread},
};
use tracing::warn;

use super::{Environment, read};
use crate::logging;

/// What differs between the configuration that an agent runs with and the one that is in its files now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Settings that can be applied at once.
    pub live: Vec<&'static str>,
    /// Settings that only count when the agent is started anew; until then the old ones do.
    pub restart: Vec<&'static str>,
}

impl Changes {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty() && self.restart.is_empty()
    }
}

/// One field: its name in the file, and where it is in the configuration.
struct Field {
    name: &'static str,
    same: fn(&AgentConfig, &AgentConfig) -> bool,
    copy: fn(&mut AgentConfig, &AgentConfig),
}

macro_rules! fields {
    ($($name:literal: $($part:ident).+),+ $(,)?) => {
        &[$(Field {
            name: $name,
            same: |a, b| a.$($part).+ == b.$($part).+,
            copy: |to, from| to.$($part).+.clone_from(&from.$($part).+),
        }),+]
    };
}

/// Applied at once.
const LIVE: &[Field] = fields![
    "tags": tags,
    "log.level": log.level,
    "log.loggers": log.loggers,
    "restapi.authentication": restapi.authentication,
    "restapi.allowlist": restapi.allowlist,
    "restapi.allowlist_include_members": restapi.allowlist_include_members,
    "restapi.http_extra_headers": restapi.http_extra_headers,
    "restapi.https_extra_headers": restapi.https_extra_headers,
    "restapi.server_tokens": restapi.server_tokens,
    "ctl.authentication": ctl.authentication,
    "postgresql.parameters": postgresql.parameters,
    "postgresql.recovery_conf": postgresql.recovery_conf,
    "postgresql.pg_hba": postgresql.pg_hba,
    "postgresql.pg_ident": postgresql.pg_ident,
    "postgresql.proxy_address": postgresql.proxy_address,
    "postgresql.use_pg_rewind": postgresql.use_pg_rewind,
    "postgresql.remove_data_directory_on_rewind_failure": postgresql.remove_data_directory_on_rewind_failure,
    "postgresql.remove_data_directory_on_diverged_timelines": postgresql.remove_data_directory_on_diverged_timelines,
    "postgresql.pg_ctl_timeout": postgresql.pg_ctl_timeout,
    "postgresql.callbacks": postgresql.callbacks,
    "postgresql.create_replica_methods": postgresql.create_replica_methods,
    "the sections of postgresql.create_replica_methods": postgresql.replica_methods,
    "postgresql.basebackup": postgresql.basebackup,
    "postgresql.rewind": postgresql.rewind_options,
    "postgresql.pre_promote": postgresql.pre_promote,
    "postgresql.before_stop": postgresql.before_stop,
];

/// What an agent is, where it is reached, and whom it talks to: Patroni changes most of it by opening its sockets anew and
/// talking to another store; here it stays as long as the agent runs. `bootstrap` is in neither list: it says how a cluster
/// is made, and one that runs is made already.
const RESTART: &[Field] = fields![
    "name": name,
    "scope": scope,
    "namespace": namespace,
    "etcd3": etcd,
    "restapi.listen": restapi.listen,
    "restapi.connect_address": restapi.connect_address,
    "restapi.certfile, keyfile, cafile or verify_client": restapi.tls,
    "restapi.request_queue_size": restapi.request_queue_size,
    "ctl.insecure": ctl.insecure,
    "ctl.cacert": ctl.cacert,
    "ctl.certfile": ctl.certfile,
    "ctl.keyfile": ctl.keyfile,
    "postgresql.listen": postgresql.listen,
    "postgresql.connect_address": postgresql.connect_address,
    "the address of the local PostgreSQL": postgresql.local_address,
    "postgresql.data_dir": postgresql.data_dir,
    "postgresql.config_dir": postgresql.config_dir,
    "postgresql.bin_dir": postgresql.bin_dir,
    "postgresql.bin_name": postgresql.bin_name,
    "postgresql.pgpass": postgresql.pgpass,
    "postgresql.authentication.superuser": postgresql.superuser,
    "postgresql.authentication.replication": postgresql.replication,
    "postgresql.authentication.rewind": postgresql.rewind,
    "sslmode and its like in postgresql.authentication": postgresql.connection,
    "postgresql.use_unix_socket": postgresql.use_unix_socket,
    "postgresql.use_unix_socket_repl": postgresql.use_unix_socket_repl,
    "postgresql.custom_conf": postgresql.custom_conf,
    "watchdog": watchdog,
    "pgdrill.fencing": fencing,
    "log.type": log.kind,
    "log.static_fields": log.static_fields,
    "log.dir": log.dir,
    "log.mode": log.mode,
    "log.file_num": log.file_num,
    "log.file_size": log.file_size,
    "log.deduplicate_heartbeat_logs": log.deduplicate_heartbeat_logs,
];

/// Compares two configurations.
#[must_use]
pub fn changes(before: &AgentConfig, after: &AgentConfig) -> Changes {
    let differing = |fields: &[Field]| {
        fields.iter().filter(|field| !(field.same)(before, after)).map(|field| field.name).collect::<Vec<_>>()
    };
    Changes { live: differing(LIVE), restart: differing(RESTART) }
}

/// The configuration before the change, with everything of the new one that can be applied at once.
#[must_use]
pub fn with_live(before: &AgentConfig, after: &AgentConfig) -> AgentConfig {
    let mut it = before.clone();
    for field in LIVE {
        (field.copy)(&mut it, after);
    }
    // For what is no longer set the cluster's configuration counts, and no longer for what is.
    it.postgresql.given.clone_from(&after.postgresql.given);
    it
}

/// The files and variables that an agent was started with, to be read again.
#[derive(Clone)]
pub struct ConfigFile {
    path: Option<PathBuf>,
    environment: Environment,
}

impl ConfigFile {
    /// What [`read`] was given.
    #[must_use]
    pub const fn new(path: Option<PathBuf>, environment: Environment) -> Self {
        Self { path, environment }
    }

    fn compare(&self, running: &AgentConfig) -> Result<Reread, Vec<String>> {
        let loaded = read(self.path.as_deref(), &self.environment)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let Changes { live, restart } = changes(running, &loaded.config);
        Ok(Reread { config: with_live(running, &loaded.config), applied: live, needs_restart: restart })
    }
}

impl ConfigSource for ConfigFile {
    fn reread(&self, running: Arc<AgentConfig>) -> BoxFuture<'_, Result<Option<Reread>, Vec<String>>> {
        let it = self.clone();
        Box::pin(async move {
            // A disk that hangs must not keep the REST API from answering.
            let compared = tokio::task::spawn_blocking(move || it.compare(&running)).await;
            let reread = compared.unwrap_or_else(|error| Err(vec![error.to_string()]))?;
            logging::set_levels(&reread.config.log);
            Ok(Some(reread))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_but_bootstrap_is_in_one_of_the_lists() {
        let read = |text: &str| {
            let variables = [("PATRONI_CONFIGURATION".to_owned(), text.to_owned())];
            super::read(None, &Environment::of(variables)).expect("it is accepted").config
        };
        let full = read(include_str!("../../tests/agent_config/full.yml"));
        let mut other = AgentConfig::new("x", "y", "z", Vec::new());
        assert_eq!((changes(&full, &full), changes(&full, &other).is_empty()), (Changes::default(), false));
        for field in LIVE.iter().chain(RESTART) {
            (field.copy)(&mut other, &full);
        }
        other.bootstrap.clone_from(&full.bootstrap);
        assert_eq!(with_live(&other, &full).postgresql.given, full.postgresql.given);
        other.postgresql.given.clone_from(&full.postgresql.given);
        assert_eq!(other, full);
    }
}
