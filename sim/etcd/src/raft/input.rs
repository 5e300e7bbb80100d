//! What a node is told.

use raft::eraftpb::Message;

use super::reads::ReadDone;

/// What the node is told.
pub(crate) enum Input {
    /// A request to put into the log.
    Propose { id: u64, data: Vec<u8> },
    /// A linearizable read.
    Read { done: ReadDone },
    /// A message from a peer whose disk had been wiped `incarnation` times.
    Message { message: Message, incarnation: u64 },
    /// A peer has connected.
    Hello { from: u64, incarnation: u64 },
    /// The connection to a peer was made (`true`) or lost.
    Connected { peer: u64, connected: bool },
    /// Messages to a peer were lost.
    Unreachable { peer: u64 },
    /// What became of a snapshot for a peer.
    SnapshotSent { peer: u64, sent: bool },
    /// Hand leadership over.
    MoveLeader { to: u64 },
}
