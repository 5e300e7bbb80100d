//! The model's servers on loopback sockets.

use std::{
    net::TcpListener,
    sync::{
        Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use pgdrill_net::TokioNet;
use pgdrill_sim_postgres::{
    DataDir, ExitStatus, Signal, SignalSender, Timings, Version,
    conformance::{
        operations::{Operations, Stop},
        session::{Ending, Session},
    },
    run, signals, tools,
};
use tokio::{net::TcpStream, task::JoinHandle};

/// Servers of one test.
pub struct Model {
    version: Version,
    nodes: Vec<Node>,
}

pub struct Node {
    pub dir: DataDir,
    port: u16,
    process: Mutex<Option<(SignalSender, JoinHandle<ExitStatus>)>>,
}

impl Model {
    pub fn new(nodes: usize) -> Self {
        Self::of(Version::default(), nodes)
    }

    /// Servers of another version.
    pub fn of(version: Version, nodes: usize) -> Self {
        let node = |_| Node { dir: DataDir::new(), port: free_port(), process: Mutex::new(None) };
        Self { version, nodes: (0..nodes).map(node).collect() }
    }

    pub fn dir(&self, node: usize) -> &DataDir {
        &self.nodes[node].dir
    }

    fn timings() -> Timings {
        Timings { initdb_s: 0.01, start_s: 0.01, basebackup_s: 0.01, rewind_s: 0.01, ..Timings::default() }
    }

    fn signal(&self, node: usize, signal: Signal) {
        let process = self.nodes[node].process.lock().expect("not poisoned");
        process.as_ref().expect("it runs").0.send(signal);
    }

    fn conninfo(&self, node: usize, name: &str) -> String {
        let port = self.nodes[node].port;
        format!("host=127.0.0.1 port={port} user=postgres application_name={name}")
    }

    /// Waits for the end of a server.
    pub async fn ended(&self, node: usize) -> ExitStatus {
        let (_, task) = self.nodes[node].process.lock().expect("not poisoned").take().expect("it runs");
        task.await.expect("it does not panic")
    }
}

impl Operations for Model {
    fn major(&self) -> u16 {
        self.version.major()
    }

    async fn initdb(&self, node: usize) {
        let options = tools::InitDb {
            system_identifier: 7_000_000_000_000_000_001,
            data_checksums: true,
            version: self.version,
            username: "postgres".into(),
        };
        tools::initdb(self.dir(node), &options, &Self::timings()).await.expect("empty directory");
    }

    async fn launch(&self, node: usize) {
        let (sender, receiver) = signals();
        let (dir, port) = (self.nodes[node].dir.clone(), self.nodes[node].port);
        let task = tokio::spawn(async move { run(dir, TokioNet, "127.0.0.1", port, receiver, Self::timings()).await });
        *self.nodes[node].process.lock().expect("not poisoned") = Some((sender, task));
    }

    async fn start(&self, node: usize) {
        self.launch(node).await;
        for _ in 0..500 {
            if self.connect(node).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("node {node} does not accept connections: {:#?}", self.dir(node).server_log());
    }

    async fn stop(&self, node: usize, how: Stop) {
        match how {
            Stop::Smart => self.signal(node, Signal::SmartShutdown),
            Stop::Fast => self.signal(node, Signal::FastShutdown),
            Stop::Immediate => self.signal(node, Signal::ImmediateShutdown),
            Stop::Kill => {
                let (_, task) = self.nodes[node].process.lock().expect("not poisoned").take().expect("it runs");
                task.abort();
                assert!(task.await.is_err_and(|error| error.is_cancelled()));
                return;
            }
        }
        self.ended(node).await;
    }

    async fn reload(&self, node: usize) {
        self.signal(node, Signal::Reload);
    }

    async fn promote(&self, node: usize) {
        self.signal(node, Signal::Promote);
    }

    async fn configure(&self, node: usize, values: &[(&str, &str)]) {
        self.dir(node).configure(values.iter().map(|(name, value)| (*name, Some(*value)))).expect("initialised");
    }

    async fn controldata(&self, node: usize, label: &str) -> String {
        let lines = tools::controldata(self.dir(node)).expect("initialised");
        lines.into_iter().find(|(name, _)| *name == label).expect("a known label").1
    }

    async fn basebackup(&self, from: usize, to: usize) -> Result<(), String> {
        let source = tools::SourceServer::new(&self.conninfo(from, "pg_basebackup"));
        tools::basebackup(self.dir(to), &TokioNet, &source).await
    }

    async fn rewind(&self, from: usize, target: usize) -> Result<bool, String> {
        let source = tools::SourceServer::new(&self.conninfo(from, "pg_rewind"));
        tools::rewind(self.dir(target), &TokioNet, &source).await
    }

    async fn follow(&self, node: usize, primary: usize, slot: &str) {
        let conninfo = self.conninfo(primary, &format!("n{node}"));
        let values = [
            ("primary_conninfo", conninfo.as_str()),
            ("primary_slot_name", slot),
            ("wal_retrieve_retry_interval", "200ms"),
        ];
        self.configure(node, &values).await;
        self.dir(node).set_standby_signal(true).expect("initialised");
    }

    async fn fill_disk(&self, node: usize, full: bool) {
        self.dir(node).set_full(full);
    }

    async fn open(&self, node: usize) -> Result<Session, Ending> {
        let stream = TcpStream::connect(("127.0.0.1", self.nodes[node].port)).await;
        Session::log_in(stream.map_err(|error| Ending::from(&error))?).await
    }
}

/// A port that no other test of this process gets, and that the kernel gives to no client: who asks for any free one and gives it
/// back may find somebody else there a moment later.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let port = 10_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
