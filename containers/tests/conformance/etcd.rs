//! Real etcd members, as processes in one container: they are killed, frozen and started one by one.

use std::{sync::Arc, time::Duration};

use etcd_client::Client;
use libtest_mimic::Trial;
use pgdrill_sim_etcd::conformance::{TestCluster, cluster, kv, lease, txn, watch};

use super::{
    lab::{Container, Lab},
    trial,
};

/// A cluster in a container.
struct RealCluster {
    container: Container,
    members: usize,
}

/// Every body of the suite.
pub fn trials(lab: &Option<Arc<Lab>>) -> Vec<Trial> {
    let mut trials = Vec::new();
    macro_rules! on_real_etcd {
        ($($module:ident::$body:ident, $members:expr;)*) => { $(
            let name = concat!("etcd::", stringify!($module), "::", stringify!($body)).to_owned();
            trials.push(trial(name, lab, |lab| async move {
                $module::$body(&mut RealCluster::start(&lab, $members).await).await;
            }));
        )* };
    }
    pgdrill_sim_etcd::for_each_conformance_body!(on_real_etcd);
    trials
}

impl RealCluster {
    async fn start(lab: &Lab, members: usize) -> Self {
        let container = lab.container("etcd", "/var/lib/etcd").await;
        let mut cluster = Self { container, members };
        for member in 0..members {
            cluster.launch(member).await;
        }
        for member in 0..members {
            cluster.answers(member).await;
        }
        cluster
    }

    const fn port(member: usize) -> usize {
        2379 + 10 * member
    }

    const fn peer_port(member: usize) -> usize {
        2380 + 10 * member
    }

    async fn launch(&mut self, member: usize) {
        let (port, peer, address) = (Self::port(member), Self::peer_port(member), self.container.address);
        let peers: Vec<_> =
            (0..self.members).map(|m| format!("etcd{m}=http://127.0.0.1:{}", Self::peer_port(m))).collect();
        let script = format!(
            "echo $$ > /run/etcd{member}.pid; exec etcd --name etcd{member} --data-dir /var/lib/etcd/{member} \
             --listen-client-urls http://0.0.0.0:{port} --advertise-client-urls http://{address}:{port} \
             --listen-peer-urls http://127.0.0.1:{peer} --initial-advertise-peer-urls http://127.0.0.1:{peer} \
             --initial-cluster {} --initial-cluster-state new >> /var/log/etcd{member}.log 2>&1",
            peers.join(",")
        );
        self.container.start(&script).await;
    }

    /// Waits until a member knows a leader.
    async fn answers(&self, member: usize) {
        for _ in 0..300 {
            let url = format!("http://{}:{}", self.container.address, Self::port(member));
            if let Ok(mut client) = Client::connect([url], None).await
                && let Ok(Ok(status)) = tokio::time::timeout(Duration::from_secs(2), client.status()).await
                && status.leader() != 0
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("member {member} knows no leader: {}", self.container.script("tail -20 /var/log/etcd*.log").await);
    }

    async fn signal(&self, member: usize, signal: &str) {
        self.container.script(&format!("kill -{signal} $(cat /run/etcd{member}.pid)")).await;
    }
}

impl TestCluster for RealCluster {
    fn members(&self) -> usize {
        self.members
    }

    async fn client(&self, member: usize) -> Client {
        let url = format!("http://{}:{}", self.container.address, Self::port(member));
        Client::connect([url], None).await.expect("connecting is lazy")
    }

    async fn stop_member(&mut self, member: usize) {
        let gone = "pid=$(cat /run/etcdN.pid); kill -9 $pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done";
        self.container.script(&gone.replace('N', &member.to_string())).await;
    }

    async fn start_member(&mut self, member: usize) {
        self.launch(member).await;
        // As the model does: until somebody listens, which real etcd does once it takes part again.
        let address = (self.container.address, u16::try_from(Self::port(member)).expect("a port"));
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("member {member} does not listen");
    }

    async fn freeze_member(&mut self, member: usize) {
        self.signal(member, "STOP").await;
    }

    async fn thaw_member(&mut self, member: usize) {
        self.signal(member, "CONT").await;
    }
}
