//! Connections between members: each member opens one to every other and sends its messages there.
//!
//! A frame is a big-endian length and a protobuf message. The first frame of a connection is a [`Hello`]; after it come
//! Raft messages in one direction only, or, for a question about a lease, one answer.

use std::{io, sync::Arc, time::Duration};

use pgdrill_net::{Keepalive, Listener as _, Net, SocketOptions};
use prost::Message as _;
use protobuf::Message as _;
use raft::eraftpb::{Message, MessageType};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::{sleep, timeout},
};

use super::Input;
use crate::{
    config::Peer,
    member::Member,
    request::{Hello, LeaseAnswer, LeaseQuestion},
    server::lease,
};

/// Messages that wait for a slow connection; more are dropped (etcd's `streamBufSize`).
pub(crate) const OUTBOX: usize = 4096;

/// Time between two attempts to connect (etcd's `rafthttp` dials ten times a second).
const RETRY: Duration = Duration::from_millis(100);

/// A snapshot of a large store is one frame; longer ones are taken for garbage.
const MAX_FRAME: u32 = 512 * 1024 * 1024;

/// etcd's `ConnReadTimeout` and `ConnWriteTimeout` are 5 s.
fn options() -> SocketOptions {
    let interval = Duration::from_millis(1700);
    SocketOptions {
        connect_timeout: Duration::from_secs(1),
        keepalive: Some(Keepalive { idle: interval, interval, count: 2 }),
        user_timeout: Some(Duration::from_secs(5)),
    }
}

fn push_frame(buffer: &mut Vec<u8>, body: &[u8]) {
    let length = u32::try_from(body.len()).expect("frames are far smaller than 4 GiB");
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(body);
}

async fn read_frame(from: &mut (impl AsyncRead + Unpin), body: &mut Vec<u8>) -> io::Result<()> {
    let length = from.read_u32().await?;
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
    }
    body.resize(length as usize, 0);
    from.read_exact(body).await.map(drop)
}

fn garbage(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Keeps a connection to `peer` and sends what comes out of `outbox`; never ends by itself.
pub(crate) async fn send_to<N: Net>(
    net: N,
    member: Arc<Member>,
    peer: Peer,
    incarnation: u64,
    mut outbox: mpsc::Receiver<Message>,
) {
    let hello =
        Hello { cluster_id: member.config.cluster_id, from: member.config.id, to: peer.id, incarnation, lease: None };
    let tell = |input| {
        // Only fails when the node has ended, and this task is about to be ended with it.
        let _ = member.node.send(input);
    };
    loop {
        if let Ok(mut stream) = net.connect(&peer.host, peer.port, &options()).await {
            let mut first = Vec::new();
            push_frame(&mut first, &hello.encode_to_vec());
            if stream.write_all(&first).await.is_ok() {
                tell(Input::Connected { peer: peer.id, connected: true });
                let lost_snapshot = send_until_broken(&mut stream, &mut outbox, &tell, peer.id).await;
                if lost_snapshot {
                    tell(Input::SnapshotSent { peer: peer.id, sent: false });
                }
                tell(Input::Connected { peer: peer.id, connected: false });
            }
        }
        // What piled up meanwhile is old: drop it and let Raft send what is due.
        if drop_all(&mut outbox, peer.id, &tell) {
            tell(Input::Unreachable { peer: peer.id });
        }
        sleep(RETRY).await;
    }
}

/// Empties the outbox; true if there was anything in it.
fn drop_all(outbox: &mut mpsc::Receiver<Message>, peer: u64, tell: &impl Fn(Input)) -> bool {
    let mut any = false;
    while let Ok(message) = outbox.try_recv() {
        any = true;
        if message.get_msg_type() == MessageType::MsgSnapshot {
            tell(Input::SnapshotSent { peer, sent: false });
        }
    }
    any
}

/// Sends until the connection breaks; true if a snapshot was lost with it.
async fn send_until_broken<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    outbox: &mut mpsc::Receiver<Message>,
    tell: &impl Fn(Input),
    peer: u64,
) -> bool {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut buffer, mut body) = (Vec::new(), Vec::new());
    let mut never = [0_u8; 1];
    loop {
        let message = tokio::select! {
            biased;
            // The other end never writes: whatever comes means that the connection is over.
            _ = reader.read(&mut never) => return false,
            message = outbox.recv() => message,
        };
        let Some(mut message) = message else { return false };
        buffer.clear();
        let mut snapshot = false;
        // Everything that waits goes out in one write.
        loop {
            snapshot |= message.get_msg_type() == MessageType::MsgSnapshot;
            body.clear();
            message.write_to_vec(&mut body).expect("a vector takes everything");
            push_frame(&mut buffer, &body);
            let Ok(next) = outbox.try_recv() else { break };
            message = next;
        }
        if writer.write_all(&buffer).await.is_err() {
            return snapshot;
        }
        if snapshot {
            tell(Input::SnapshotSent { peer, sent: true });
        }
    }
}

/// Accepts peers for ever.
///
/// # Errors
/// When the listening socket breaks.
pub(crate) async fn accept<N: Net>(mut listener: N::Listener, member: Arc<Member>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let member = member.clone();
        tokio::spawn(async move {
            // A peer that goes away, or talks nonsense, ends its own connection and nothing else.
            let _ = receive(stream, &member).await;
        });
    }
}

async fn receive(mut stream: impl AsyncRead + AsyncWrite + Unpin, member: &Member) -> io::Result<()> {
    let mut body = Vec::new();
    read_frame(&mut stream, &mut body).await?;
    let hello = Hello::decode(body.as_slice()).map_err(garbage)?;
    if hello.cluster_id != member.config.cluster_id || hello.to != member.config.id {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a member of another cluster"));
    }
    if let Some(question) = hello.lease {
        let answer = lease::answer_peer(member, question).await;
        let mut frame = Vec::new();
        push_frame(&mut frame, &answer.encode_to_vec());
        return stream.write_all(&frame).await;
    }
    let closed = || io::Error::new(io::ErrorKind::BrokenPipe, "this member is stopping");
    let Hello { from, incarnation, .. } = hello;
    member.node.send(Input::Hello { from, incarnation }).map_err(|_| closed())?;
    loop {
        read_frame(&mut stream, &mut body).await?;
        let message = Message::parse_from_bytes(&body).map_err(garbage)?;
        member.node.send(Input::Message { message, incarnation }).map_err(|_| closed())?;
    }
}

/// Asks the leader about a lease (etcd's `leasehttp`).
///
/// # Errors
/// Whatever the network has to say; also when no answer came within `limit`.
pub(crate) async fn ask_leader<N: Net>(
    net: &N,
    member: &Member,
    leader: &Peer,
    question: LeaseQuestion,
    limit: Duration,
) -> io::Result<LeaseAnswer> {
    let asking = async {
        let mut stream = net.connect(&leader.host, leader.port, &options()).await?;
        let (cluster_id, from, to) = (member.config.cluster_id, member.config.id, leader.id);
        let hello = Hello { cluster_id, from, to, incarnation: 0, lease: Some(question) };
        let mut body = Vec::new();
        push_frame(&mut body, &hello.encode_to_vec());
        stream.write_all(&body).await?;
        read_frame(&mut stream, &mut body).await?;
        LeaseAnswer::decode(body.as_slice()).map_err(garbage)
    };
    timeout(limit, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
