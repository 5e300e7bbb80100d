//! What the agent writes into PostgreSQL's configuration: parameters, client authentication and where a standby streams from.

use std::{collections::BTreeMap, time::Duration};

use crate::config::Password;

/// A server to copy, rewind or stream from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Host name or IP address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Role to connect as; it needs `REPLICATION` for a base backup and superuser rights for a rewind.
    pub user: String,
    /// Its password. `None`: the server trusts us or uses something else.
    pub password: Option<Password>,
    /// Database for a rewind.
    pub dbname: String,
}

/// `primary_conninfo` of a standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryConninfo {
    /// Host name or IP address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Role with `REPLICATION`.
    pub user: String,
    /// Its password (Patroni keeps it in `passfile`).
    pub password: Option<Password>,
    /// `application_name`: this member's name, which `synchronous_standby_names` of the primary refers to.
    pub application_name: String,
    /// `connect_timeout`, and the base of keepalives: how soon a walreceiver notices a vanished primary.
    pub connect_timeout: Duration,
}

/// Recovery settings. With them the server is a standby (`standby.signal`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Where to stream from; `None`: nowhere, wait for a change of configuration or for promotion.
    pub primary_conninfo: Option<PrimaryConninfo>,
    /// Replication slot on the upstream.
    pub primary_slot_name: Option<String>,
    /// Other recovery parameters: `restore_command`, `archive_cleanup_command`, `recovery_min_apply_delay`, ...
    /// `recovery_target_timeline` is `latest` unless it is among them.
    pub parameters: BTreeMap<String, String>,
    /// It ends recovery by itself at the target that `parameters` name: `recovery.signal` instead of `standby.signal`.
    pub ends_at_target: bool,
}

/// Everything that configures a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerConfig {
    /// `postgresql.conf`: names to values as `SHOW` spells them. Includes `listen_addresses`, `port`, `cluster_name`,
    /// `hot_standby`; `synchronous_standby_names` only when somebody has set them.
    pub parameters: BTreeMap<String, String>,
    /// Lines of `pg_hba.conf`; `None`: leave the file as it is.
    pub hba: Option<Vec<String>>,
    /// Lines of `pg_ident.conf`; `None`: leave the file as it is.
    pub ident: Option<Vec<String>>,
    /// `Some`: a standby; `None`: a primary.
    pub recovery: Option<Recovery>,
    /// Of a primary that was a standby: the settings that it had as such. They mean nothing to it, but they stay in the file:
    /// of most of them PostgreSQL says, where they go, that it waits for a restart.
    pub past_recovery: Option<Recovery>,
    /// Leave `standby.signal`, `recovery.signal` and the recovery settings as they are: a restore has made them.
    pub keep_recovery: bool,
}

impl ServerConfig {
    /// Whether this is a bootstrap that recovers what was restored, and is promoted at the end by itself. `hot_standby` must then
    /// be off: with it the recovery would stop where the WAL tells of higher limits than the server has now (Patroni's
    /// `effective_configuration`).
    #[must_use]
    pub fn recovers_alone(&self) -> bool {
        let promotes = |recovery: &Recovery| {
            recovery.ends_at_target
                && recovery.parameters.get("recovery_target_action").is_some_and(|it| it == "promote")
        };
        // What a restore has written is trusted to do the same.
        self.keep_recovery || self.recovery.as_ref().is_some_and(promotes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_recovery_that_ends_by_itself_is_not_looked_at() {
        let of = |ends_at_target: bool, action: Option<&str>| {
            let parameters = action.map(|action| ("recovery_target_action".to_owned(), action.to_owned()));
            let recovery =
                Recovery { parameters: parameters.into_iter().collect(), ends_at_target, ..Recovery::default() };
            ServerConfig { recovery: Some(recovery), ..ServerConfig::default() }.recovers_alone()
        };
        assert!(of(true, Some("promote")));
        // A pause waits for somebody who looks.
        assert!(!of(true, Some("pause")) && !of(true, None) && !of(false, Some("promote")));
        assert!(ServerConfig { keep_recovery: true, ..ServerConfig::default() }.recovers_alone());
        assert!(!ServerConfig::default().recovers_alone());
    }
}
