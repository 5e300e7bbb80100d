//! The workload's clients, all in one container, each bound to an address of its own: so that a cut between the leader and
//! `client1` cuts that client alone. What they do goes to standard output, one event a JSON line, in the lab's own time.

use std::{
    collections::BTreeMap,
    io::Write,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use futures::future::join_all;
use pgdrill_lab::{
    event::{At, Recorder},
    scenario::Workload,
};
use pgdrill_net::BoundNet;
use pgdrill_probe::{
    Endpoint, Journal, Login,
    workload::{ClientOptions, Route, Shared, pace, reader, writer},
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::{clock::Clock, ports};

/// What the clients are told. It holds a password: it travels in a file that only root may read.
#[derive(Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Time zero of the scenario, on the monotonic clock.
    pub zero_ns: u64,
    /// No operation begins later than this after time zero.
    pub until_ns: u64,
    /// What they do.
    pub workload: Workload,
    /// Each client's name and address, in order: writers first.
    pub clients: Vec<(String, IpAddr)>,
    /// Each node's address by its name.
    pub nodes: BTreeMap<String, IpAddr>,
    /// The router's name and address; without one they try every node.
    pub router: Option<(String, IpAddr)>,
    /// PostgreSQL's user.
    pub user: String,
    /// Its password.
    pub password: Option<String>,
    /// The database.
    pub dbname: String,
}

impl Plan {
    fn route(&self) -> Route {
        let at =
            |name: &str, address: &IpAddr, port| Endpoint { name: name.to_owned(), host: address.to_string(), port };
        match &self.router {
            Some((name, address)) => Route::Proxy {
                proxy: at(name, address, ports::PRIMARY),
                servers: self.nodes.iter().map(|(name, address)| (address.to_string(), name.clone())).collect(),
            },
            None => Route::Direct { hosts: self.nodes.iter().map(|(n, a)| at(n, a, ports::POSTGRESQL)).collect() },
        }
    }

    fn login(&self) -> Login {
        Login { user: self.user.clone(), password: self.password.clone(), dbname: self.dbname.clone() }
    }
}

/// Plays the clients until the plan's end and every operation under way has ended.
///
/// # Errors
/// When there is no runtime, or standard output is closed: nobody wants to know any more.
pub fn run(plan: &Plan) -> std::io::Result<()> {
    let recorder = Recorder::new();
    let over = Arc::new(AtomicBool::new(false));
    let printing = {
        let (recorder, over) = (recorder.clone(), over.clone());
        thread::spawn(move || print_all(&recorder, &over))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(play(plan, recorder));
    over.store(true, Ordering::SeqCst);
    printing.join().map_err(|_| std::io::Error::other("the printing thread has panicked"))?
}

async fn play(plan: &Plan, recorder: Recorder) {
    let clock = Clock::since(plan.zero_ns);
    let now = clock.clone();
    let shared = Shared::new(Journal::new(recorder, move || now.now()));
    let clients = plan.clients.iter().enumerate().map(|(n, (name, address))| {
        let options = ClientOptions::of(&plan.workload, n, plan.login());
        let (net, route, phase) = (BoundNet::new(*address), plan.route(), pace(&plan.workload, n).1);
        let (name, shared) = (name.clone(), shared.clone());
        let writes = n < usize::from(plan.workload.writers);
        async move {
            if writes {
                writer(name, net, route, options, phase, shared).await;
            } else {
                reader(name, net, route, options, phase, shared).await;
            }
        }
    });
    let ending = async {
        sleep(At(plan.until_ns).since(clock.now())).await;
        shared.stop();
    };
    futures::join!(join_all(clients), ending);
}

/// Prints what is recorded, from a thread of its own: a reader that is slow for a moment must not hold up the clients.
fn print_all(recorder: &Recorder, over: &AtomicBool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    loop {
        let last = over.load(Ordering::SeqCst);
        for event in recorder.take() {
            let line = serde_json::to_string(&event).map_err(std::io::Error::other)?;
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        if last {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
}
