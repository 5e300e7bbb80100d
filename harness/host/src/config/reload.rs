//! What a changed configuration may change while the agent runs: SIGHUP and `POST /reload`.

use pgdrill_agent::AgentConfig;

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

/// Compares two configurations. Patroni applies most of what is `restart` here as well, by opening its sockets anew and
/// talking to another store; what an agent is and where it is reached does not change below it here.
#[must_use]
pub fn changes(before: &AgentConfig, after: &AgentConfig) -> Changes {
    let mut found = Changes::default();
    let (old, new) = (&before.postgresql, &after.postgresql);
    let mut live = |name: &'static str, same: bool| {
        if !same {
            found.live.push(name);
        }
    };
    live("tags", before.tags == after.tags);
    live("log.level", before.log.level == after.log.level);
    live("restapi.authentication", before.restapi.authentication == after.restapi.authentication);
    live("restapi.allowlist", before.restapi.allowlist == after.restapi.allowlist);
    live("postgresql.parameters", old.parameters == new.parameters);
    live("postgresql.recovery_conf", old.recovery_conf == new.recovery_conf);
    live("postgresql.pg_hba", old.pg_hba == new.pg_hba);
    live("postgresql.pg_ident", old.pg_ident == new.pg_ident);
    live("postgresql.use_pg_rewind", old.use_pg_rewind == new.use_pg_rewind);
    live("postgresql.pg_ctl_timeout", old.pg_ctl_timeout == new.pg_ctl_timeout);
    live("postgresql.callbacks", old.callbacks == new.callbacks);
    live("postgresql.create_replica_methods", old.create_replica_methods == new.create_replica_methods);
    live("postgresql.basebackup", old.basebackup == new.basebackup);
    live("postgresql.rewind", old.rewind_options == new.rewind_options);
    live("postgresql.pre_promote", old.pre_promote == new.pre_promote);
    live("postgresql.before_stop", old.before_stop == new.before_stop);
    let applied = with_live(before, after);
    let mut restart = |name: &'static str, same: bool| {
        if !same {
            found.restart.push(name);
        }
    };
    restart("name", before.name == after.name);
    restart("scope", before.scope == after.scope);
    restart("namespace", before.namespace == after.namespace);
    restart("etcd3", before.etcd == after.etcd);
    restart("restapi", applied.restapi == after.restapi);
    restart("ctl", before.ctl == after.ctl);
    restart("postgresql", applied.postgresql == after.postgresql);
    restart("watchdog", before.watchdog == after.watchdog);
    restart("pgdrill.fencing", before.fencing == after.fencing);
    restart("log", applied.log == after.log);
    // `bootstrap` says how a cluster is made: one that runs is made already.
    found
}

/// The configuration before the change, with everything of the new one that can be applied at once.
#[must_use]
pub fn with_live(before: &AgentConfig, after: &AgentConfig) -> AgentConfig {
    let mut it = before.clone();
    it.tags.clone_from(&after.tags);
    it.log.level = after.log.level;
    it.restapi.authentication.clone_from(&after.restapi.authentication);
    it.restapi.allowlist.clone_from(&after.restapi.allowlist);
    let (to, from) = (&mut it.postgresql, &after.postgresql);
    to.parameters.clone_from(&from.parameters);
    to.recovery_conf.clone_from(&from.recovery_conf);
    to.pg_hba.clone_from(&from.pg_hba);
    to.pg_ident.clone_from(&from.pg_ident);
    to.use_pg_rewind = from.use_pg_rewind;
    to.pg_ctl_timeout = from.pg_ctl_timeout;
    to.callbacks.clone_from(&from.callbacks);
    to.create_replica_methods.clone_from(&from.create_replica_methods);
    to.replica_methods.clone_from(&from.replica_methods);
    to.basebackup.clone_from(&from.basebackup);
    to.rewind_options.clone_from(&from.rewind_options);
    to.pre_promote.clone_from(&from.pre_promote);
    to.before_stop.clone_from(&from.before_stop);
    it
}
