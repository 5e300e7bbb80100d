//! `members/<name>`: what a node says about itself at the end of every cycle.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Lsn;
use crate::config::Tags;

/// The state Patroni shows for a node, spelled as in its `PostgresqlState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names are Patroni's own sentences
pub enum MemberState {
    #[serde(rename = "initializing new cluster")]
    InitializingNewCluster,
    #[serde(rename = "initdb failed")]
    InitdbFailed,
    #[serde(rename = "running custom bootstrap script")]
    RunningCustomBootstrapScript,
    #[serde(rename = "custom bootstrap failed")]
    CustomBootstrapFailed,
    #[serde(rename = "creating replica")]
    CreatingReplica,
    Running,
    Starting,
    #[serde(rename = "starting after custom bootstrap")]
    StartingAfterCustomBootstrap,
    #[serde(rename = "start failed")]
    StartFailed,
    Restarting,
    #[serde(rename = "restart failed")]
    RestartFailed,
    Stopping,
    Stopped,
    #[serde(rename = "stop failed")]
    StopFailed,
    Crashed,
}

/// The role a node shows, as in Patroni's `PostgresqlRole`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Accepts writes.
    #[serde(alias = "master")]
    Primary,
    /// The leader of a standby cluster: replicates from elsewhere.
    StandbyLeader,
    /// Follows the leader.
    Replica,
    /// Was the leader and gave it up.
    Demoted,
    /// Between `pg_ctl promote` and "in production".
    Promoted,
    /// Has no data directory yet.
    Uninitialized,
}

/// How a replica gets its WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicationState {
    /// From a walreceiver.
    #[serde(rename = "streaming")]
    Streaming,
    /// From `restore_command`.
    #[serde(rename = "in archive recovery")]
    InArchiveRecovery,
}

/// The content of `members/<name>`. Fields are declared in the order in which Patroni's `touch_member` writes them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemberRecord {
    /// `postgres://host:port/postgres`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conn_url: Option<String>,
    /// `http://host:port/patroni`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// PostgreSQL's state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<MemberState>,
    /// PostgreSQL's role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<MemberRole>,
    /// The agent's version; Patroni reads it as the version of Patroni.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where a connection pooler in front of the node listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    /// `false` while a leader's first CHECKPOINT after its promotion is unfinished, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_after_promote: Option<bool>,
    /// The node's tags, those that differ from their defaults.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// `true` if a changed setting needs a restart, else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_restart: Option<bool>,
    /// Which: `{guc: {old_value, new_value}}`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub pending_restart_reason: Map<String, Value>,
    /// Primary: flush position. Replica: the later of received and replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xlog_location: Option<Lsn>,
    /// Replica: what has been replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_lsn: Option<Lsn>,
    /// Replica: what the walreceiver has written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_lsn: Option<Lsn>,
    /// Replica: where its WAL comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_state: Option<ReplicationState>,
    /// The node's timeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<u32>,
    /// A restart asked for at a later time, with its conditions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_restart: Option<Value>,
    /// `true` if the node has noticed that the cluster is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<bool>,
}

impl MemberRecord {
    /// Parses the key's value.
    ///
    /// A record from a newer or broken writer is not thrown away for one field: each field is read on its own. The
    /// oldest form is the bare connection URL with the API's address as `application_name` in its query.
    pub fn parse(text: &str) -> Self {
        if let Some(record) = Self::parse_legacy(text) {
            return record;
        }
        let Ok(Value::Object(mut object)) = serde_json::from_str(text) else { return Self::default() };
        if let Ok(record) = Self::deserialize(&object) {
            return record;
        }
        // Drop what alone makes no sense, then the rest does.
        object.retain(|name, value| {
            let single = Map::from_iter([(name.clone(), value.clone())]);
            serde_json::from_value::<MemberRecord>(Value::Object(single)).is_ok()
        });
        serde_json::from_value(Value::Object(object)).unwrap_or_default()
    }

    fn parse_legacy(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("postgres")?;
        let (url, query) = rest.split_once('?').map_or((rest, None), |(url, query)| (url, Some(query)));
        let api_url = query.and_then(|q| q.split('&').find_map(|part| part.strip_prefix("application_name=")));
        Some(MemberRecord {
            conn_url: Some(format!("postgres{url}")),
            api_url: api_url.map(str::to_owned),
            ..Self::default()
        })
    }

    /// The JSON Patroni writes.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a member record is always JSON")
    }

    /// Host and port of `conn_url`, if it can be understood.
    pub fn conn_address(&self) -> Option<(String, u16)> {
        parse_conn_url(self.conn_url.as_deref()?)
    }

    /// Whether the node says that PostgreSQL runs.
    pub fn is_running(&self) -> bool {
        self.state == Some(MemberState::Running)
    }
}

/// Host and port of `postgres://user:password@host:port/database?options`; the port defaults to 5432.
pub fn parse_conn_url(url: &str) -> Option<(String, u16)> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let (host, port) = match address.rsplit_once(':') {
        // `[::1]` has colons of its own.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (address, 5432),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replicas_record_round_trips_byte_for_byte() {
        let text = concat!(
            r#"{"conn_url":"postgres://10.0.0.2:5432/postgres","api_url":"http://10.0.0.2:8008/patroni","#,
            r#""state":"running","role":"replica","version":"4.1.5","tags":{"nosync":true},"xlog_location":67108960,"#,
            r#""replay_lsn":67108864,"receive_lsn":67108960,"replication_state":"streaming","timeline":2}"#
        );
        assert_eq!(MemberRecord::parse(text).to_json(), text);
    }

    #[test]
    fn one_unreadable_field_does_not_hide_the_others() {
        let record = MemberRecord::parse(r#"{"state":"dancing","role":"master","api_url":"http://a/patroni"}"#);
        assert_eq!(record.state, None);
        assert_eq!(record.role, Some(MemberRole::Primary));
        assert_eq!(record.api_url.as_deref(), Some("http://a/patroni"));
    }

    #[test]
    fn the_oldest_form_is_a_url() {
        let record = MemberRecord::parse("postgres://a:b@h:5433/postgres?application_name=http://h:8008/patroni");
        assert_eq!(record.conn_address(), Some(("h".into(), 5433)));
        assert_eq!(record.api_url.as_deref(), Some("http://h:8008/patroni"));
    }

    #[test]
    fn addresses_are_found_in_urls() {
        assert_eq!(parse_conn_url("postgres://[::1]:6000/db"), Some(("::1".into(), 6000)));
        assert_eq!(parse_conn_url("postgres://host/db"), Some(("host".into(), 5432)));
        assert_eq!(parse_conn_url("host:5432"), None);
    }
}
