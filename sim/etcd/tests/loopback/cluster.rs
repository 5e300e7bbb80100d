//! Members on threads of their own, so that ending one ends all its connections, as killing a process does.

use std::{net::TcpListener, sync::mpsc, thread::JoinHandle, time::Duration};

use etcd_client::Client;
use pgdrill_net::TokioNet;
use pgdrill_sim_etcd::{Disk, MemberConfig, Peek, Peer, conformance::TestCluster, serve};
use tokio::sync::{mpsc as orders, oneshot};

/// A running member.
struct Running {
    stop: oneshot::Sender<()>,
    freeze: orders::UnboundedSender<mpsc::Receiver<()>>,
    thaw: Option<mpsc::Sender<()>>,
    thread: JoinHandle<()>,
}

/// A cluster on loopback.
pub struct LoopbackCluster {
    configs: Vec<MemberConfig>,
    pub disks: Vec<Disk>,
    pub peeks: Vec<Peek>,
    running: Vec<Option<Running>>,
}

fn free_ports(n: usize) -> Vec<u16> {
    // All are held until all are found, so that no port is found twice.
    let listeners: Vec<_> = (0..n).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
    listeners.iter().map(|l| l.local_addr().expect("a bound socket has an address").port()).collect()
}

impl LoopbackCluster {
    pub async fn start(members: usize) -> Self {
        Self::start_with(members, |_| {}).await
    }

    pub async fn start_with(members: usize, adjust: impl Fn(&mut MemberConfig)) -> Self {
        let ports = free_ports(2 * members);
        let peers: Vec<_> = (0..members)
            .map(|i| Peer {
                id: 0x1000 + i as u64,
                name: format!("etcd{i}"),
                host: "127.0.0.1".to_owned(),
                port: ports[2 * i],
                client_port: ports[2 * i + 1],
            })
            .collect();
        let configs = peers.iter().map(|p| {
            let mut config = MemberConfig::new(p.id, peers.clone());
            adjust(&mut config);
            config
        });
        let mut cluster = Self {
            configs: configs.collect(),
            disks: (0..members).map(|_| Disk::new()).collect(),
            peeks: (0..members).map(|_| Peek::new()).collect(),
            running: (0..members).map(|_| None).collect(),
        };
        for member in 0..members {
            cluster.start_member(member).await;
        }
        cluster.leader().await;
        cluster
    }

    pub fn client_port(&self, member: usize) -> u16 {
        self.configs[member].peers[member].client_port
    }

    /// Index of the member that the majority takes for the leader.
    pub async fn leader(&self) -> usize {
        for _ in 0..200 {
            let up: Vec<_> = (0..self.members()).filter(|m| self.running[*m].is_some()).collect();
            let leads = |m: &usize| self.peeks[*m].leader() == self.configs[*m].id;
            if let Some(leader) = up.iter().copied().find(leads) {
                let id = self.configs[leader].id;
                if up.iter().all(|m| self.peeks[*m].leader() == id) {
                    return leader;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no leader within ten seconds: {:?}", self.peeks);
    }
}

impl TestCluster for LoopbackCluster {
    fn members(&self) -> usize {
        self.configs.len()
    }

    async fn client(&self, member: usize) -> Client {
        let port = self.client_port(member);
        for _ in 0..100 {
            if let Ok(client) = Client::connect([format!("http://127.0.0.1:{port}")], None).await {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("member {member} does not accept connections");
    }

    async fn stop_member(&mut self, member: usize) {
        if let Some(running) = self.running[member].take() {
            let _ = running.stop.send(());
            running.thread.join().expect("a member stops without panic");
        }
    }

    async fn start_member(&mut self, member: usize) {
        let (stop, stopped) = oneshot::channel();
        let (freeze, mut frozen) = orders::unbounded_channel::<mpsc::Receiver<()>>();
        let (config, disk, peek) =
            (self.configs[member].clone(), self.disks[member].clone(), self.peeks[member].clone());
        let (started, wait) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(async {
                started.send(()).expect("the test waits for this");
                let freezing = async {
                    while let Some(until) = frozen.recv().await {
                        // Blocks the only thread of the member: nothing of it runs, its sockets stay.
                        let _ = until.recv();
                    }
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = freezing => {}
                    _ = stopped => {}
                    ended = serve(config, disk, peek, TokioNet) => panic!("the member ended: {ended:?}"),
                }
            });
        });
        wait.recv().expect("the member's thread runs");
        // The client connects only when it is first used, so wait here until somebody listens.
        while tokio::net::TcpStream::connect(("127.0.0.1", self.client_port(member))).await.is_err() {
            assert!(!thread.is_finished(), "member {member} did not start");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.running[member] = Some(Running { stop, freeze, thaw: None, thread });
    }

    async fn freeze_member(&mut self, member: usize) {
        let running = self.running[member].as_mut().expect("it runs");
        let (thaw, until) = mpsc::channel();
        running.freeze.send(until).expect("it listens");
        running.thaw = Some(thaw);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    async fn thaw_member(&mut self, member: usize) {
        // Whoever waits for the other end goes on when it is dropped.
        drop(self.running[member].as_mut().expect("it runs").thaw.take());
    }
}
