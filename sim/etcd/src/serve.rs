//! Starts one member and runs it.

use std::{collections::BTreeMap, convert::Infallible, io};

use etcd_client::proto::{PbClusterServer, PbKvServer, PbLeaseServer, PbMaintenanceServer, PbWatchServer};
use pgdrill_net::Net;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    config::MemberConfig,
    disk::Disk,
    machine::Machine,
    member::Member,
    peek::Peek,
    raft::{
        Node,
        transport::{OUTBOX, accept, send_to},
    },
    server::{Server, incoming::incoming, watch::sync_watchers},
};

/// Why a member could not start, or has stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// The configuration contradicts itself; the sentence says how.
    Config(String),
    /// The disk holds something that is not this cluster's.
    Disk(String),
    /// A port could not be listened on, or broke.
    Listen(io::Error),
    /// The gRPC server ended.
    Grpc(tonic::transport::Error),
    /// A part of the member ended, which none ever does by itself.
    Ended(&'static str),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(why) => write!(f, "etcd member cannot start: {why}"),
            Self::Disk(why) => write!(f, "etcd member cannot read its disk: {why}"),
            Self::Listen(error) => write!(f, "etcd member cannot listen: {error}"),
            Self::Grpc(error) => write!(f, "etcd member's gRPC server ended: {error}"),
            Self::Ended(part) => write!(f, "etcd member's {part} ended"),
        }
    }
}

impl std::error::Error for ServeError {}

/// Runs a member until its future is dropped, which is its `kill -9`. `disk` is what it finds on start and leaves behind;
/// `peek` is kept up to date while it runs.
///
/// # Errors
/// See [`ServeError`]; a running member gives none.
pub async fn serve<N: Net>(config: MemberConfig, disk: Disk, peek: Peek, net: N) -> Result<Infallible, ServeError> {
    let me = config.check().map_err(ServeError::Config)?.clone();
    let machine = recover(&config, &disk)?;
    peek.set_raft(0, disk.files().hard_state.term, machine.applied);
    peek.set_applied(machine.applied, machine.store.revision());

    let listen = |port| net.listen(&config.listen_host, port);
    let peers_in = listen(me.port).await.map_err(ServeError::Listen)?;
    let clients_in = listen(me.client_port).await.map_err(ServeError::Listen)?;

    let (node, inputs) = mpsc::unbounded_channel();
    let member = Member::new(config, peek, machine, node);
    let mut parts = JoinSet::new();
    let mut outboxes = BTreeMap::new();
    for peer in member.config.peers.iter().filter(|p| p.id != me.id) {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        outboxes.insert(peer.id, outbox);
        let sending = send_to(net.clone(), member.clone(), peer.clone(), disk.incarnation(), messages);
        parts.spawn(async {
            sending.await;
            ServeError::Ended("connection to a peer")
        });
    }
    let raft = Node::new(member.clone(), disk, inputs, outboxes).map_err(|e| ServeError::Config(e.to_string()))?;
    parts.spawn(async {
        raft.run().await;
        ServeError::Ended("Raft loop")
    });
    let watching = sync_watchers(member.clone());
    parts.spawn(async {
        watching.await;
        ServeError::Ended("watch loop")
    });

    let accepting = accept::<N>(peers_in, member.clone());
    parts.spawn(async { accepting.await.map_or_else(ServeError::Listen, |()| ServeError::Ended("peer listener")) });
    let server = Server { member, net };
    parts.spawn(async {
        let grpc = tonic::transport::Server::builder()
            .add_service(PbKvServer::new(server.clone()))
            .add_service(PbLeaseServer::new(server.clone()))
            .add_service(PbWatchServer::new(server.clone()))
            .add_service(PbClusterServer::new(server.clone()))
            .add_service(PbMaintenanceServer::new(server))
            .serve_with_incoming(incoming::<N>(clients_in));
        grpc.await.map_or_else(ServeError::Grpc, |()| ServeError::Ended("client listener"))
    });
    match parts.join_next().await {
        Some(Ok(error)) => Err(error),
        // A part that panicked takes the whole member down, loudly.
        Some(Err(join)) if join.is_panic() => std::panic::resume_unwind(join.into_panic()),
        _ => Err(ServeError::Ended("tasks")),
    }
}

/// The state of the last snapshot; the log after it is replayed by Raft.
fn recover(config: &MemberConfig, disk: &Disk) -> Result<Machine, ServeError> {
    let mut machine = Machine::new(config.min_lease_ttl());
    let snapshot = disk.files().snapshot.clone();
    let index = snapshot.get_metadata().index;
    if index > 0 {
        let restored = machine.restore(&snapshot.data, index, config.min_lease_ttl());
        restored.map_err(|e| ServeError::Disk(format!("snapshot {index} does not decode: {e}")))?;
    }
    Ok(machine)
}
