//! A client that writes without pause to whatever server takes it, and remembers when it could not.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use pgdrill_agent::{
    config::{HostPort, Password, User},
    postgres::Sql,
};
use pgdrill_net::TokioNet;

use crate::member::SECRET;

/// The client.
pub(crate) struct Traffic {
    end: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(i64, Instant)>>,
}

impl Traffic {
    pub(crate) fn start(addresses: &[String]) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let (addresses, ended) = (addresses.to_vec(), Arc::clone(&end));
        Self { end, thread: thread::spawn(move || write_on(&addresses, &ended)) }
    }

    /// Ends it: which numbers were acknowledged, and when.
    pub(crate) fn stop(self) -> Vec<(i64, Instant)> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client did not panic")
    }
}

/// The longest time between two acknowledgements.
pub(crate) fn outage(acknowledged: &[(i64, Instant)]) -> Duration {
    acknowledged.windows(2).map(|pair| pair[1].1 - pair[0].1).max().unwrap_or_default()
}

fn write_on(addresses: &[String], end: &AtomicBool) -> Vec<(i64, Instant)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let user = || User { username: "postgres".into(), password: Some(Password::new(SECRET)) };
    let servers: Vec<_> =
        addresses.iter().map(|address| Sql::new(TokioNet, HostPort::new(address, 5432), user())).collect();
    let mut acknowledged = Vec::new();
    let mut number = 0;
    runtime.block_on(async {
        while !end.load(Ordering::Relaxed) {
            for server in &servers {
                number += 1;
                let statement = format!("INSERT INTO written VALUES ({number})");
                if server.query(&statement).await.is_ok() {
                    acknowledged.push((number, Instant::now()));
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    acknowledged
}
