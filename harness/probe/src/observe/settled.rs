//! What is read once, when the run is over and the cluster has settled.

use std::{collections::BTreeMap, time::Duration};

use etcd_client::GetOptions;
use pgdrill_lab::event::{Slot, What};
use pgdrill_net::Net;
use tokio::time::timeout;

use super::dcs::{DcsTarget, connect};
use crate::{Connection, Endpoint, Journal, Login, sql::describe};

const PATIENCE: Duration = Duration::from_secs(5);

/// Records every row that the workload's table holds on this server.
///
/// # Errors
/// When the server does not answer: its rows are then not known, which is not the same as none.
pub async fn read_rows<N: Net>(net: &N, server: &Endpoint, login: &Login, journal: &Journal) -> Result<(), String> {
    let connection = open(net, server, login).await?;
    let primary = query(&connection, "SELECT pg_is_in_recovery()::text").await?;
    let primary = primary.first().is_some_and(|r| matches!(r.first(), Some(Some(v)) if v == "f" || v == "false"));
    let rows = query(&connection, "SELECT id, key FROM pgdrill_rows ORDER BY id").await?;
    let rows = rows.iter().filter_map(|r| Some((number(r, 0)?, number(r, 1)?))).collect();
    journal.record(&server.name, What::Rows { rows, primary });
    Ok(())
}

/// Where a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Out of recovery.
    pub is_primary: bool,
    /// Primary: the flush position; standby: the replay position. Bytes.
    pub lsn: u64,
}

/// Asks a server for its position.
///
/// # Errors
/// When it does not answer.
pub async fn position<N: Net>(net: &N, server: &Endpoint, login: &Login) -> Result<Position, String> {
    let connection = open(net, server, login).await?;
    let sql = "SELECT pg_is_in_recovery()::text, pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() \
               THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END, '0/0')::bigint";
    let rows = query(&connection, sql).await?;
    let row = rows.first().ok_or("no row")?;
    let is_primary = matches!(row.first(), Some(Some(v)) if v == "f" || v == "false");
    Ok(Position { is_primary, lsn: number(row, 1).ok_or("no position")? })
}

/// The replication slots of this server.
///
/// # Errors
/// When it does not answer.
pub async fn read_slots<N: Net>(net: &N, server: &Endpoint, login: &Login) -> Result<Vec<Slot>, String> {
    let connection = open(net, server, login).await?;
    let sql = "SELECT slot_name, active::text, pg_wal_lsn_diff(restart_lsn, '0/0')::bigint FROM pg_replication_slots \
               ORDER BY slot_name";
    let rows = query(&connection, sql).await?;
    Ok(rows
        .iter()
        .filter_map(|r| {
            let active = matches!(r.get(1)?.as_deref(), Some("t" | "true"));
            Some(Slot { name: r.first()?.clone()?, active, restart_lsn: number(r, 2) })
        })
        .collect())
}

/// Everything in the DCS below the prefix, from the first member that answers with a linearizable read.
///
/// # Errors
/// When no member does.
pub async fn read_scope<N: Net>(net: &N, target: &DcsTarget) -> Result<BTreeMap<String, String>, String> {
    let mut why = String::from("etcd has no members");
    for member in &target.members {
        let reading = async {
            let mut client = connect(net, member).await?;
            client.get(target.prefix.as_str(), Some(GetOptions::new().with_prefix())).await
        };
        match timeout(PATIENCE, reading).await {
            Ok(Ok(found)) => {
                let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                let short = |k: String| k.strip_prefix(&target.prefix).map(str::to_owned).unwrap_or(k);
                return Ok(found.kvs().iter().map(|kv| (short(text(kv.key())), text(kv.value()))).collect());
            }
            Ok(Err(e)) => why = format!("{}: {e}", member.name),
            Err(_) => why = format!("{}: no answer in time", member.name),
        }
    }
    Err(why)
}

async fn open<N: Net>(net: &N, server: &Endpoint, login: &Login) -> Result<Connection, String> {
    Connection::open(net, server, login, "pgdrill-end", PATIENCE).await.map_err(|e| e.to_string())
}

async fn query(connection: &Connection, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
    match connection.query(sql, PATIENCE).await {
        Some(Ok(rows)) => {
            Ok(rows.iter().map(|r| (0..r.len()).map(|c| r.get(c).map(str::to_owned)).collect()).collect())
        }
        Some(Err(e)) => Err(describe(&e)),
        None => Err("no answer in time".to_owned()),
    }
}

fn number<T: std::str::FromStr>(row: &[Option<String>], column: usize) -> Option<T> {
    row.get(column)?.as_ref()?.parse().ok()
}
