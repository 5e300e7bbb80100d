//! What a conformance test may do to a server: everything else goes through SQL.

use std::{future::Future, time::Duration};

use tokio_postgres::{Client, SimpleQueryMessage};

/// How to stop a server.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    Fast,
    Immediate,
    /// SIGKILL to every process.
    Kill,
}

/// PostgreSQL servers of one test, by number. Written so that real servers can stand in.
pub trait Operations: Sync {
    fn initdb(&self, node: usize) -> impl Future<Output = ()> + Send;
    fn start(&self, node: usize) -> impl Future<Output = ()> + Send;
    fn stop(&self, node: usize, how: Stop) -> impl Future<Output = ()> + Send;
    fn reload(&self, node: usize);
    fn promote(&self, node: usize);
    /// Sets parameters in `postgresql.conf`.
    fn configure(&self, node: usize, values: &[(&str, &str)]);
    fn controldata(&self, node: usize, label: &str) -> String;
    /// `pg_basebackup` into an empty directory.
    fn basebackup(&self, from: usize, to: usize) -> impl Future<Output = Result<(), String>> + Send;
    /// `pg_rewind` of a stopped server; says whether anything was to do.
    fn rewind(&self, from: usize, target: usize) -> impl Future<Output = Result<bool, String>> + Send;
    /// Makes `node` a standby of `primary` (`standby.signal`, `primary_conninfo` with application name `n<node>`).
    fn follow(&self, node: usize, primary: usize, slot: &str);
    fn connect(&self, node: usize) -> impl Future<Output = Result<Client, tokio_postgres::Error>> + Send;
}

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(12);

/// All rows of a query, as text.
pub async fn rows(client: &Client, sql: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

/// The only value of a query.
pub async fn value(client: &Client, sql: &str) -> String {
    rows(client, sql).await.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or_default()
}

/// The SQLSTATE a statement fails with.
pub async fn error_code(client: &Client, sql: &str) -> String {
    let error = client.simple_query(sql).await.expect_err(sql);
    error.code().map_or_else(|| format!("no SQLSTATE: {error}"), |code| code.code().to_owned())
}

/// Waits until a query answers `expected`.
pub async fn wait_for(client: &Client, sql: &str, expected: &str) {
    let waiting = async {
        loop {
            let found = value(client, sql).await;
            if found == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("{sql} answers {:?}, not {expected:?}", value(client, sql).await);
    }
}

/// A primary (0) with table `t(id)` and streaming standbys 1 to `standbys`.
pub async fn cluster<O: Operations>(pg: &O, standbys: usize) -> Client {
    pg.initdb(0).await;
    pg.start(0).await;
    let primary = pg.connect(0).await.expect("the primary accepts");
    primary.simple_query("CREATE TABLE t (id bigint PRIMARY KEY)").await.expect("created");
    for node in 1..=standbys {
        pg.basebackup(0, node).await.expect("copied");
        pg.follow(node, 0, "");
        pg.start(node).await;
        let sql = format!("SELECT state FROM pg_stat_replication WHERE application_name = 'n{node}'");
        wait_for(&primary, &sql, "streaming").await;
    }
    primary
}
