//! What a conformance body may do to a server: everything else goes through SQL.

use std::{future::Future, time::Duration};

use tokio_postgres::{Client, SimpleQueryMessage};

use super::session::{Ending, Session};

/// How to stop a server.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// `pg_ctl stop -m smart`.
    Smart,
    /// `pg_ctl stop -m fast`.
    Fast,
    /// `pg_ctl stop -m immediate`.
    Immediate,
    /// SIGKILL to every process.
    Kill,
}

/// PostgreSQL servers of one body, by number. What cannot be done is a panic, as in any test.
pub trait Operations: Sync {
    /// The major version of the servers.
    fn major(&self) -> u16;
    /// `initdb` with data checksums and the superuser `postgres`.
    fn initdb(&self, node: usize) -> impl Future<Output = ()> + Send;
    /// Starts a server without waiting until it accepts connections.
    fn launch(&self, node: usize) -> impl Future<Output = ()> + Send;
    /// Starts a server and waits until it accepts connections.
    fn start(&self, node: usize) -> impl Future<Output = ()> + Send;
    /// Stops a server and waits for its end.
    fn stop(&self, node: usize, how: Stop) -> impl Future<Output = ()> + Send;
    /// `pg_ctl reload`.
    fn reload(&self, node: usize) -> impl Future<Output = ()> + Send;
    /// `pg_ctl promote`, without waiting.
    fn promote(&self, node: usize) -> impl Future<Output = ()> + Send;
    /// Sets parameters in `postgresql.conf`.
    fn configure(&self, node: usize, values: &[(&str, &str)]) -> impl Future<Output = ()> + Send;
    /// What `pg_controldata` says under a label.
    fn controldata(&self, node: usize, label: &str) -> impl Future<Output = String> + Send;
    /// `pg_basebackup` with streamed WAL.
    fn basebackup(&self, from: usize, to: usize) -> impl Future<Output = Result<(), String>> + Send;
    /// `pg_rewind --no-ensure-shutdown` of a stopped server; says whether anything was to do.
    fn rewind(&self, from: usize, target: usize) -> impl Future<Output = Result<bool, String>> + Send;
    /// Makes `node` a standby of `primary` (`standby.signal`, `primary_conninfo` with application name `n<node>`).
    fn follow(&self, node: usize, primary: usize, slot: &str) -> impl Future<Output = ()> + Send;
    /// Fills the disk of a server, or frees it again.
    fn fill_disk(&self, node: usize, full: bool) -> impl Future<Output = ()> + Send;
    /// A new connection, whose end is of interest.
    ///
    /// # Errors
    /// How the server did not let us in.
    fn open(&self, node: usize) -> impl Future<Output = Result<Session, Ending>> + Send;
    /// A new connection.
    ///
    /// # Errors
    /// How the server did not let us in.
    fn connect(&self, node: usize) -> impl Future<Output = Result<Client, Ending>> + Send {
        async move { self.open(node).await.map(|session| session.client) }
    }
}

/// Longest wait for something that must happen. Generous: on a busy machine a real server takes its time.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// Tries to connect until the server says why it does not let anybody in; until then nobody must be let in.
pub async fn wait_for_ending<O: Operations>(pg: &O, node: usize, expected: &Ending) {
    let waiting = async {
        loop {
            match pg.connect(node).await {
                Ok(_) => panic!("node {node} lets us in and should say {expected:?}"),
                Err(found) if found == *expected => return,
                Err(Ending::Refused) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(other) => panic!("node {node} says {other:?} and should say {expected:?}"),
            }
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("node {node} does not say {expected:?}");
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
        pg.follow(node, 0, "").await;
        pg.start(node).await;
        let sql = format!("SELECT state FROM pg_stat_replication WHERE application_name = 'n{node}'");
        wait_for(&primary, &sql, "streaming").await;
    }
    primary
}
