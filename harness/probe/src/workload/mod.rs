//! The workload: writers and readers as a sane application has them, every operation's outcome recorded.
//!
//! Each client keeps one connection, reconnects when it breaks, and never retries an operation: a retry would be a new
//! operation. Writers insert rows `(id, key)` with ids that grow over the whole run; readers ask for the largest id of a
//! key. So the largest id of a key behaves as a register.

mod client;
mod outcome;
mod route;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

pub use client::{reader, writer};
pub use route::Route;

use pgdrill_lab::scenario::Workload;
use pgdrill_net::Net;

use crate::{Connection, Endpoint, Journal, Login};

/// The table that the workload writes.
pub const TABLE: &str = "pgdrill_rows";

/// Creates [`TABLE`] where it is missing. It has no primary key: that would refuse the second copy of a row, and a write that
/// was applied twice (by a driver, a router, or replay) would never be seen.
pub const CREATE_TABLE: &str = "CREATE TABLE IF NOT EXISTS pgdrill_rows (id bigint NOT NULL, key int NOT NULL)";

/// Creates the workload's table on the primary.
///
/// # Errors
/// When the server refuses or does not answer.
pub async fn create_table<N: Net>(net: &N, primary: &Endpoint, login: &Login) -> Result<(), String> {
    let limit = Duration::from_secs(5);
    let connection = Connection::open(net, primary, login, "pgdrill-lab", limit).await.map_err(|e| e.to_string())?;
    match connection.query(CREATE_TABLE, limit).await {
        Some(Ok(_)) => Ok(()),
        Some(Err(e)) => Err(e.to_string()),
        None => Err("no answer in time".to_owned()),
    }
}

/// How clients behave.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Time between the starts of two operations of one client; a slower operation delays the next one.
    pub period: Duration,
    /// Limit for connecting and logging in.
    pub connect_timeout: Duration,
    /// Limit for one operation; past it the connection is dropped and the outcome is unknown.
    pub operation_timeout: Duration,
    /// How long it waits after a failure before it connects again.
    pub reconnect_delay: Duration,
    /// Keys in use, from 0.
    pub keys: u32,
    /// How to log in.
    pub login: Login,
}

/// What all clients of a run share: the journal, the numbering of operations and rows, and the end of the workload.
#[derive(Clone)]
pub struct Shared {
    pub(crate) journal: Journal,
    next_op: Arc<AtomicU64>,
    next_id: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Shared {
    /// Numbering starts at 1.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        let one = || Arc::new(AtomicU64::new(1));
        Self { journal, next_op: one(), next_id: one(), stopped: Arc::default() }
    }

    /// No new operations are started from now on; those under way end by themselves.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn op(&self) -> u64 {
        self.next_op.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn row(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }
}

/// The period of the `n`th client (from 0; writers come first), and a phase that spreads the clients evenly over it.
#[must_use]
pub fn pace(workload: &Workload, n: usize) -> (Duration, Duration) {
    let writers = usize::from(workload.writers);
    let (rate, among, position) = if n < writers {
        (workload.rate, writers, n)
    } else {
        (workload.read_rate, usize::from(workload.readers), n - writers)
    };
    let period = rate.interval() * u32::try_from(among).unwrap_or(u32::MAX);
    (period, period.mul_f64(position as f64 / among as f64))
}

impl ClientOptions {
    /// The options of the `n`th client of a scenario's workload.
    #[must_use]
    pub fn of(workload: &Workload, n: usize, login: Login) -> Self {
        Self {
            period: pace(workload, n).0,
            connect_timeout: workload.connect_timeout.0,
            operation_timeout: workload.statement_timeout.0,
            reconnect_delay: workload.reconnect_delay.0,
            keys: workload.keys,
            login,
        }
    }
}
