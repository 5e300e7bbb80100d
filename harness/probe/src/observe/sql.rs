//! Asks a node's PostgreSQL what it is and where it stands, at a steady pace.

use std::time::Duration;

use pgdrill_lab::event::{SqlState, What};
use pgdrill_net::Net;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::SimpleQueryRow;

use crate::{Connection, Endpoint, Journal, Login, sql::describe};

/// Everything about the server itself in one row.
const STATE: &str = "SELECT pg_is_in_recovery()::text, \
    CASE WHEN pg_is_in_recovery() THEN 0 ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END, \
    pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) \
    ELSE pg_current_wal_flush_lsn() END, '0/0')::bigint, \
    pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE NULL END, '0/0')::bigint, \
    current_setting('synchronous_standby_names')";
const RECEIVER: &str = "SELECT status, received_tli, sender_host FROM pg_stat_wal_receiver";
const STANDBYS: &str = "SELECT application_name, sync_state FROM pg_stat_replication ORDER BY application_name";

/// Probes for ever over one kept connection.
pub async fn probe_sql<N: Net>(
    net: N,
    server: Endpoint,
    login: Login,
    period: Duration,
    phase: Duration,
    journal: Journal,
) {
    let mut due = Instant::now() + phase;
    let mut prober =
        Prober { net, server, login, period, connection: None, history: (0, vec![]), timeline: 0, known_at: 0 };
    loop {
        sleep_until(due).await;
        let asked_at = journal.now();
        let seen = prober.look().await;
        // A run may set its clock to zero between question and answer.
        let asked_at = asked_at.min(journal.now());
        let what = match seen {
            Ok(state) => What::Sql { state: Some(state), asked_at, error: None },
            Err(why) => {
                prober.connection = None;
                What::Sql { state: None, asked_at, error: Some(why) }
            }
        };
        journal.record(&prober.server.name, what);
        due = (due + period).max(Instant::now());
    }
}

struct Prober<N> {
    net: N,
    server: Endpoint,
    login: Login,
    period: Duration,
    connection: Option<Connection>,
    /// The history file last read on this connection, and its timeline: while a server runs such a file never changes.
    history: (u32, Vec<(u32, u64)>),
    /// The timeline last known on this connection, else 0: a standby whose receiver is down does not say.
    timeline: u32,
    /// The position at which it was known. What a standby has beyond that may be of another timeline, if its receiver came and
    /// went between two looks.
    known_at: u64,
}

impl<N: Net> Prober<N> {
    async fn look(&mut self) -> Result<SqlState, String> {
        if self.connection.as_ref().is_none_or(Connection::is_closed) {
            let opened = Connection::open(&self.net, &self.server, &self.login, "pgdrill-probe", self.period).await;
            self.connection = Some(opened.map_err(|e| e.to_string())?);
            // A server that was started anew may have been rewound: it would be told to have replayed on its old timeline what
            // it has of the new one.
            (self.timeline, self.history) = (0, (0, vec![]));
        }
        // One message for all: each exchange would cost the network a round trip. Their rows differ in width.
        let rows = self.rows(&[STATE, RECEIVER, STANDBYS].join("; ")).await?;
        let of_width = |columns| rows.iter().filter(move |row: &&SimpleQueryRow| row.columns().len() == columns);
        let row = of_width(5).next().ok_or("no row")?;
        let in_recovery = matches!(row.get(0), Some("t" | "true"));
        let mut state = SqlState {
            in_recovery,
            timeline: number(row, 1).unwrap_or(0),
            lsn: number(row, 2).unwrap_or(0),
            replayed_lsn: number(row, 3),
            streaming_from: None,
            standbys: vec![],
            synchronous_standby_names: row.get(4).unwrap_or_default().to_owned(),
            history: vec![],
        };
        if in_recovery {
            self.receiver(&mut state, of_width(3).next());
        } else {
            (self.timeline, self.known_at) = (state.timeline, state.lsn);
            let name = |row: &SimpleQueryRow, column| row.get(column).unwrap_or_default().to_owned();
            state.standbys = of_width(2).map(|row| (name(row, 0), name(row, 1))).collect();
        }
        state.history = self.history(state.timeline).await;
        Ok(state)
    }

    fn receiver(&mut self, state: &mut SqlState, row: Option<&SimpleQueryRow>) {
        if let Some(row) = row {
            (self.timeline, self.known_at) = (number(row, 1).unwrap_or(self.timeline), state.lsn);
            if row.get(0) == Some("streaming") {
                state.streaming_from = row.get(2).map(str::to_owned);
            }
        }
        state.timeline = if state.lsn > self.known_at { 0 } else { self.timeline };
    }

    async fn history(&mut self, timeline: u32) -> Vec<(u32, u64)> {
        if timeline > 1 && self.history.0 != timeline {
            let sql = format!("SELECT pg_read_file('pg_wal/{timeline:08X}.history', 0, 1000000, true)");
            if let Ok(rows) = self.rows(&sql).await
                && let Some(text) = rows.first().and_then(|r| r.get(0))
            {
                self.history = (timeline, parse_history(text));
            }
        }
        if self.history.0 == timeline { self.history.1.clone() } else { vec![] }
    }

    async fn rows(&self, sql: &str) -> Result<Vec<SimpleQueryRow>, String> {
        let connection = self.connection.as_ref().ok_or("not connected")?;
        match connection.query(sql, self.period).await {
            Some(Ok(rows)) => Ok(rows),
            Some(Err(e)) => Err(describe(&e)),
            None => Err("no answer in time".to_owned()),
        }
    }
}

fn number<T: std::str::FromStr>(row: &SimpleQueryRow, column: usize) -> Option<T> {
    row.get(column)?.parse().ok()
}

/// `parentTLI switchpoint reason`, one line a switch, comments after `#` (PostgreSQL's `timeline.c`).
pub(crate) fn parse_history(text: &str) -> Vec<(u32, u64)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            Some((words.next()?.parse().ok()?, parse_lsn(words.next()?)?))
        })
        .collect()
}

/// `16/B374D848` in bytes.
pub(crate) fn parse_lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    Some(u64::from_str_radix(high, 16).ok()? << 32 | u64::from_str_radix(low, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::{parse_history, parse_lsn};

    #[test]
    fn a_history_file_is_read_without_its_comments_and_reasons() {
        let text = "1\t0/3000060\tno recovery target specified\n# remark\n\n2\t16/B374D848\tbefore 2000-01-01\n";
        assert_eq!(parse_history(text), [(1, 0x0300_0060), (2, 0x16_B374_D848)]);
    }

    #[test]
    fn what_is_not_an_lsn_is_not_read_as_one() {
        for text in ["", "0", "0/", "/0", "x/1", "1/2/3"] {
            assert_eq!(parse_lsn(text), None, "{text}");
        }
    }
}
