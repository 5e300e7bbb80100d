//! What the monitoring statements tell about a running server.

use std::collections::BTreeMap;

use pgdrill_ha::{
    Lsn,
    view::{Follows, SlotView, StandbyView, SyncState},
};
use pgdrill_net::Net;
use tokio_postgres::SimpleQueryRow;

use super::{Sql, SqlError, statements};

/// A running server as of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerState {
    /// `pg_is_in_recovery()`.
    pub in_recovery: bool,
    /// Primary: the timeline it writes on.
    pub primary_timeline: Option<u32>,
    /// Primary: `pg_current_wal_flush_lsn()`.
    pub current_lsn: Option<Lsn>,
    /// What the walreceiver has got: the later of `pg_last_wal_receive_lsn()`, which is on disk, and `written_lsn`, which a server
    /// that lives will replay as well (Patroni's `receive_lsn`).
    pub received_lsn: Option<Lsn>,
    /// `pg_last_wal_replay_lsn()`.
    pub replayed_lsn: Option<Lsn>,
    /// `pg_last_xact_replay_timestamp()` as PostgreSQL prints it.
    pub replayed_timestamp: Option<String>,
    /// Replay is paused.
    pub replay_paused: bool,
    /// `pg_postmaster_start_time()` as PostgreSQL prints it.
    pub postmaster_start_time: String,
    /// `server_version_num`.
    pub server_version: u32,
    /// `synchronous_standby_names` in force.
    pub synchronous_standby_names: String,
    /// There is a `restore_command`.
    pub restores: bool,
    /// Whom `primary_conninfo` names.
    pub follows: Option<Follows>,
    /// The walreceiver, if there is one.
    pub walreceiver: Option<Walreceiver>,
    /// Its standbys.
    pub standbys: Vec<StandbyRow>,
    /// Its slots.
    pub slots: BTreeMap<String, SlotView>,
}

/// The row of `pg_stat_wal_receiver`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walreceiver {
    /// `status` is `streaming`.
    pub streaming: bool,
    /// `received_tli`.
    pub timeline: Option<u32>,
    /// `latest_end_lsn`: how far the upstream was.
    pub latest_end_lsn: Option<Lsn>,
    /// `written_lsn`.
    pub written_lsn: Option<Lsn>,
}

/// A row of `pg_stat_replication`, with what only REST shows beside what decisions need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StandbyRow {
    /// For decisions.
    pub view: StandbyView,
    /// `state`.
    pub state: String,
    /// `sync_state`.
    pub sync_state: String,
    /// `sync_priority`.
    pub sync_priority: i64,
    /// `usename`.
    pub usename: String,
    /// `client_addr`.
    pub client_addr: Option<String>,
}

impl ServerState {
    /// Asks the server: three short statements.
    ///
    /// # Errors
    /// The first statement's; see [`SqlError`].
    pub async fn read<N: Net>(sql: &Sql<N>) -> Result<Self, SqlError> {
        let rows = sql.query(statements::STATE).await?;
        let row = rows.first().ok_or_else(|| SqlError::Refused("the monitoring query returned no row".into()))?;
        let mut state = Self::from_row(row);
        if state.in_recovery {
            state.walreceiver = sql.query(statements::WALRECEIVER).await?.first().map(Walreceiver::from_row);
            state.received_lsn = state.received_lsn.max(state.walreceiver.as_ref().and_then(|it| it.written_lsn));
        }
        // A cascading standby has standbys too.
        state.standbys = sql.query(statements::STANDBYS).await?.iter().map(StandbyRow::from_row).collect();
        state.slots = slots(&sql.query(statements::SLOTS).await?);
        Ok(state)
    }

    /// Whether a walreceiver streams.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.walreceiver.as_ref().is_some_and(|receiver| receiver.streaming)
    }

    fn from_row(row: &SimpleQueryRow) -> Self {
        let text = |index| get(row, index).unwrap_or_default().to_owned();
        Self {
            in_recovery: get(row, 0) == Some("t"),
            current_lsn: lsn(row, 1),
            primary_timeline: get(row, 2).and_then(|hex| u32::from_str_radix(hex, 16).ok()),
            received_lsn: lsn(row, 3),
            replayed_lsn: lsn(row, 4),
            replay_paused: get(row, 5) == Some("t"),
            postmaster_start_time: text(6),
            server_version: text(7).parse().unwrap_or(0),
            synchronous_standby_names: text(8),
            follows: follows(&text(9), &text(10)),
            replayed_timestamp: get(row, 11).map(str::to_owned),
            restores: get(row, 12).is_some_and(|command| !command.is_empty()),
            ..Self::default()
        }
    }
}

impl Walreceiver {
    fn from_row(row: &SimpleQueryRow) -> Self {
        Self {
            streaming: get(row, 0) == Some("streaming"),
            timeline: get(row, 1).and_then(|text| text.parse().ok()),
            latest_end_lsn: lsn(row, 2),
            written_lsn: lsn(row, 3),
        }
    }
}

impl StandbyRow {
    fn from_row(row: &SimpleQueryRow) -> Self {
        let text = |index| get(row, index).unwrap_or_default().to_owned();
        let position = |index| lsn(row, index).unwrap_or_default();
        Self {
            view: StandbyView {
                application_name: text(0),
                streaming: get(row, 1) == Some("streaming"),
                sync_state: match get(row, 2) {
                    Some("sync") => SyncState::Sync,
                    Some("quorum") => SyncState::Quorum,
                    Some("potential") => SyncState::Potential,
                    _ => SyncState::Async,
                },
                write_lsn: position(4),
                flush_lsn: position(5),
                replay_lsn: position(6),
            },
            state: text(1),
            sync_state: text(2),
            sync_priority: text(3).parse().unwrap_or(0),
            usename: text(7),
            client_addr: get(row, 8).map(str::to_owned),
        }
    }
}

/// The rows of [`statements::SLOTS`].
pub(crate) fn slots(rows: &[SimpleQueryRow]) -> BTreeMap<String, SlotView> {
    rows.iter().filter_map(slot).collect()
}

fn slot(row: &SimpleQueryRow) -> Option<(String, SlotView)> {
    let physical = get(row, 1) == Some("physical");
    let view = SlotView {
        physical,
        active: get(row, 2) == Some("t"),
        position: lsn(row, if physical { 3 } else { 4 }),
        lost: get(row, 5) == Some("lost"),
        database: get(row, 6).map(str::to_owned),
        plugin: get(row, 7).map(str::to_owned),
    };
    Some((get(row, 0)?.to_owned(), view))
}

fn get(row: &SimpleQueryRow, index: usize) -> Option<&str> {
    row.try_get(index).ok().flatten()
}

fn lsn(row: &SimpleQueryRow, index: usize) -> Option<Lsn> {
    get(row, index)?.parse().ok().filter(|lsn| *lsn != Lsn(0))
}

/// Reads host and port out of `primary_conninfo`; `None` when it names no host.
pub(super) fn follows(conninfo: &str, slot: &str) -> Option<Follows> {
    let field = |name: &str| {
        conninfo.split_whitespace().find_map(|part| {
            let (key, value) = part.split_once('=')?;
            (key == name).then(|| value.trim_matches('\'').to_owned())
        })
    };
    Some(Follows {
        host: field("host").filter(|host| !host.is_empty())?,
        port: field("port").and_then(|port| port.parse().ok()).unwrap_or(5432),
        slot: (!slot.is_empty()).then(|| slot.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primary_conninfo_says_whom_a_standby_follows() {
        let found = follows("user=replicator host=pg2 port=5433 application_name=pg1", "pg1");
        assert_eq!(found, Some(Follows { host: "pg2".into(), port: 5433, slot: Some("pg1".into()) }));
        assert_eq!(follows("host='10.0.0.2'", ""), Some(Follows { host: "10.0.0.2".into(), port: 5432, slot: None }));
        assert_eq!(follows("", "pg1"), None);
    }
}
