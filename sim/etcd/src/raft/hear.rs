//! What a node does with what it is told.

use raft::{
    SnapshotStatus,
    eraftpb::{Message, MessageType},
};
use tokio::time::Instant;

use super::{
    input::Input,
    node::{FAST_FORWARD_WINDOW_SECONDS, Node},
};
use crate::error::EtcdError;

impl Node {
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::Propose { id, data } => self.propose(id, data),
            Input::Read { done } => self.reads.add(done),
            Input::Message { message, incarnation } => self.receive(message, incarnation),
            Input::Hello { from, incarnation } => self.meet(from, incarnation),
            Input::Connected { peer, connected } => self.connected(peer, connected),
            Input::Unreachable { peer } => self.raft.report_unreachable(peer),
            Input::SnapshotSent { peer, sent } => {
                let status = if sent { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
                self.raft.report_snapshot(peer, status);
            }
            Input::MoveLeader { to } => self.raft.transfer_leader(to),
        }
    }

    fn propose(&mut self, id: u64, data: Vec<u8>) {
        if self.leader == 0 {
            self.pending.push_back((id, data));
        } else if self.member.mark_proposed(id)
            && let Err(raft::Error::ProposalDropped) = self.raft.propose(Vec::new(), data)
        {
            // Raft refuses while leadership is being handed over: this one was surely not applied.
            self.member.answer(id, Err(EtcdError::ProposalDropped));
        }
    }

    fn receive(&mut self, message: Message, incarnation: u64) {
        // What a member said before it lost its log is not true any more.
        if incarnation < self.incarnations.get(&message.from).copied().unwrap_or(0) {
            return;
        }
        if self.disk.is_rejoining() && !self.may_hear(&message) {
            return;
        }
        // Raft returns an error for messages from strangers and for proposals it cannot forward: both are dropped.
        let _ = self.raft.step(message);
        self.elections.observe(&self.raft);
    }

    /// A wiped member neither votes nor believes a commit index that it does not have the entries for; real etcd panics on
    /// the latter ("tocommit is out of range").
    fn may_hear(&mut self, message: &Message) -> bool {
        let last = self.raft.raft.raft_log.last_index();
        match message.get_msg_type() {
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote | MessageType::MsgTimeoutNow => false,
            MessageType::MsgHeartbeat => message.commit <= last,
            MessageType::MsgAppend if message.commit > 0 && last >= message.commit => {
                self.disk.rejoined();
                true
            }
            _ => true,
        }
    }

    fn meet(&mut self, from: u64, incarnation: u64) {
        let known = self.incarnations.insert(from, incarnation).unwrap_or(0);
        if incarnation > known
            && let Some(progress) = self.raft.raft.mut_prs().get_mut(from)
        {
            // It has nothing of what it once acknowledged: replicate from the beginning.
            progress.matched = 0;
            progress.next_idx = 1;
            progress.become_probe();
        }
    }

    fn connected(&mut self, peer: u64, connected: bool) {
        let mut contact = self.member.contact();
        if connected {
            contact.connected.entry(peer).or_insert_with(Instant::now);
        } else {
            contact.connected.remove(&peer);
        }
        let active = contact.connected.len();
        drop(contact);
        let young = self.started.elapsed().as_secs() < FAST_FORWARD_WINDOW_SECONDS;
        if active > 1 && young && !self.fast_forwarded && !self.disk.is_rejoining() {
            self.fast_forward(self.member.config.election_ticks().saturating_sub(2));
        }
    }

    pub(super) fn propose_pending(&mut self, id: u64, data: Vec<u8>) {
        // While Raft's `Ready` is being handled it must not be stepped; the queue is read right after.
        if self.member.node.send(Input::Propose { id, data }).is_err() {
            self.member.answer(id, Err(EtcdError::Stopped));
        }
    }
}
