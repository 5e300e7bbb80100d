//! The database is as large as the scenario says before anything is done to it: rows that nobody reads, in a table of their own,
//! written through the primary and replayed everywhere. A new copy of a node then takes as long as it would there.

use std::time::Duration;

use pgdrill_net::TokioNet;
use pgdrill_probe::{Connection, Endpoint, Login, observe::position};
use tokio::time::{Instant, sleep};

/// What there is of all databases, in bytes: what a base backup copies, but for the WAL.
const SIZE: &str = "SELECT sum(pg_database_size(oid))::bigint FROM pg_database";

/// What a row takes with its header and its place in the page: eight of them are a page of 8 KiB.
const ROW_BYTES: u64 = 1024;

/// Slower than this no machine is on which clusters can be tried.
const BYTES_PER_S: u64 = 2 << 20;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fills the database of the primary until all of it takes `wanted` bytes, and waits until the others have replayed that. Every
/// server then has a checkpoint behind it, so that no crash of the scenario replays what was filled in.
///
/// # Errors
/// When a server refuses, or does not come to it in the time that this much data may take.
pub(super) async fn fill(nodes: &[Endpoint], primary: &Endpoint, login: &Login, wanted: u64) -> Result<(), String> {
    let connection = open(primary, login).await?;
    let there = ask(&connection, SIZE, PATIENCE).await?;
    let there: u64 = there.parse().map_err(|_| format!("{}: the size of its databases is {there:?}", primary.name))?;
    let Some(statement) = filling(wanted.saturating_sub(there)) else { return Ok(()) };
    let limit = PATIENCE + Duration::from_secs(wanted / BYTES_PER_S);
    let filled = ask(&connection, &statement, limit).await;
    filled.map_err(|why| format!("{}: {why}", primary.name))?;
    checkpoint(&connection, limit).await.map_err(|why| format!("{}: {why}", primary.name))?;
    let target = position(&TokioNet, primary, login).await.map_err(|why| format!("{}: {why}", primary.name))?.lsn;
    for node in nodes.iter().filter(|node| *node != primary) {
        replayed(node, login, target, limit).await?;
        let standby = open(node, login).await?;
        checkpoint(&standby, limit).await.map_err(|why| format!("{}: {why}", node.name))?;
    }
    Ok(())
}

/// The statement that adds so many bytes; `None` when that is less than a row. Nothing comes after it: an autovacuum of the
/// table some seconds later would write more WAL than a replica may lag behind, in the middle of a scenario's fault.
fn filling(bytes: u64) -> Option<String> {
    let rows = bytes / ROW_BYTES;
    // Each row's text is its own, and short enough to be kept as it is: neither compressed nor put aside.
    let text = "repeat(md5(n::text), 30)";
    (rows > 0).then(|| {
        format!(
            "CREATE TABLE pgdrill_filling WITH (autovacuum_enabled = off) AS SELECT n, {text} AS filling \
             FROM generate_series(1, {rows}) AS n"
        )
    })
}

async fn replayed(node: &Endpoint, login: &Login, target: u64, limit: Duration) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let stands = position(&TokioNet, node, login).await;
        if stands.as_ref().is_ok_and(|position| position.lsn >= target) {
            return Ok(());
        }
        if began.elapsed() > limit {
            let found = stands.map_or_else(|why| why, |position| format!("it has replayed to {}", position.lsn));
            return Err(format!("{} does not reach {target} within {} s: {found}", node.name, limit.as_secs()));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn open(server: &Endpoint, login: &Login) -> Result<Connection, String> {
    let opened = Connection::open(&TokioNet, server, login, "pgdrill-lab", PATIENCE).await;
    opened.map_err(|why| format!("{}: {why}", server.name))
}

/// On a standby: a restartpoint.
async fn checkpoint(connection: &Connection, limit: Duration) -> Result<(), String> {
    ask(connection, "CHECKPOINT", limit).await.map(drop)
}

/// The first column of the first row; nothing where there is none.
async fn ask(connection: &Connection, sql: &str, limit: Duration) -> Result<String, String> {
    match connection.query(sql, limit).await {
        Some(Ok(rows)) => Ok(rows.first().and_then(|row| row.get(0)).unwrap_or_default().to_owned()),
        Some(Err(why)) => Err(format!("{sql}: {why}")),
        None => Err(format!("{sql}: no answer within {} s", limit.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_enough_is_not_filled() {
        assert_eq!(filling(0), None);
        assert_eq!(filling(ROW_BYTES - 1), None);
    }

    #[test]
    fn as_many_rows_are_made_as_fit_into_what_is_missing() {
        let statement = filling(40 << 20).expect("there is room");
        assert!(statement.contains("generate_series(1, 40960)"), "{statement}");
    }
}
