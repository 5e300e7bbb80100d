//! Drives one Raft node: ticks, messages, proposals; persists before it sends; applies what is committed.
//!
//! Everything happens in one task, so the state machine sees one thing at a time and a slow disk holds up all of it, as in
//! etcd.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use raft::{
    Config, RawNode, SnapshotStatus, StateRole,
    eraftpb::{Message, MessageType},
};
use slog::{Discard, Logger, o};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{
    elections::{Elections, NEVER},
    input::Input,
    reads::Reads,
    storage::DiskStorage,
};
use crate::{disk::Disk, member::Member};

/// Ticks that the first election of a fresh process is brought forward, once its peers are there
/// (`EtcdServer.adjustTicks`): it has no leader whose silence it could measure.
pub(super) const FAST_FORWARD_WINDOW_SECONDS: u64 = 5;

pub(crate) struct Node {
    pub(super) raft: RawNode<DiskStorage>,
    pub(super) member: Arc<Member>,
    pub(super) disk: Disk,
    inputs: mpsc::UnboundedReceiver<Input>,
    /// Where messages to each peer go; full means that they are dropped.
    outboxes: BTreeMap<u64, mpsc::Sender<Message>>,
    pub(super) incarnations: BTreeMap<u64, u64>,
    pub(super) reads: Reads,
    /// Proposals for which there is no leader yet.
    pub(super) pending: VecDeque<(u64, Vec<u8>)>,
    pub(super) leader: u64,
    pub(super) snapshot_index: u64,
    /// A leader's term has begun: reads that it refused before can be asked again.
    pub(super) read_again: bool,
    pub(super) next_expiry_check: Instant,
    ticks_without_leader: usize,
    ticks: u64,
    pub(super) started: Instant,
    pub(super) fast_forwarded: bool,
    pub(super) elections: Elections,
}

impl Node {
    /// # Errors
    /// What raft-rs finds wrong with the configuration.
    pub(crate) fn new(
        member: Arc<Member>,
        disk: Disk,
        inputs: mpsc::UnboundedReceiver<Input>,
        outboxes: BTreeMap<u64, mpsc::Sender<Message>>,
    ) -> raft::Result<Self> {
        let applied = member.machine().applied;
        let config = Config {
            id: member.config.id,
            election_tick: member.config.election_ticks(),
            heartbeat_tick: 1,
            applied,
            // etcd's `maxSizePerMsg` and `maxInflightMsgs`.
            max_size_per_msg: 1024 * 1024,
            max_inflight_msgs: 512,
            min_election_tick: NEVER,
            max_election_tick: NEVER + 1,
            check_quorum: true,
            pre_vote: true,
            ..Config::default()
        };
        let voters = member.config.peers.iter().map(|p| p.id).collect();
        let storage = DiskStorage { disk: disk.clone(), voters };
        let raft = RawNode::new(&config, storage, &Logger::root(Discard, o!()))?;
        let elections = Elections::new(member.config.election_ticks(), member.config.seed);
        Ok(Self {
            elections,
            raft,
            member,
            disk,
            inputs,
            outboxes,
            incarnations: BTreeMap::new(),
            reads: Reads::default(),
            pending: VecDeque::new(),
            leader: 0,
            snapshot_index: applied,
            read_again: false,
            next_expiry_check: Instant::now(),
            ticks_without_leader: 0,
            ticks: 0,
            started: Instant::now(),
            fast_forwarded: false,
        })
    }

    /// Runs until the member's inputs are closed.
    pub(crate) async fn run(mut self) {
        if self.member.config.peers.len() == 1 {
            // Nobody else could be leader, so there is no reason to wait for one.
            self.fast_forward(self.member.config.election_ticks() - 1);
        }
        let period = self.member.config.tick();
        let mut ticker = interval_at(Instant::now() + period, period);
        // A thawed process ticks once, not once for every tick it missed: so does Go's ticker.
        ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                input = self.inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => return,
                },
                _ = ticker.tick() => self.tick(),
            }
            // Whatever else has arrived shares this round's sync.
            while let Ok(input) = self.inputs.try_recv() {
                self.take(input);
            }
            self.advance().await;
        }
    }

    pub(super) fn fast_forward(&mut self, ticks: usize) {
        self.fast_forwarded = true;
        for _ in 0..ticks {
            self.raft.tick();
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        self.ticks += 1;
        self.expire_leases(now);
        self.member.contact().last_tick = now;
        // A member that lost its log must not campaign: it could be elected by others that lost theirs.
        if !self.disk.is_rejoining() {
            self.raft.tick();
            self.elections.ticked(&mut self.raft);
        }
        self.count_leaderless_ticks();
        let id = self.member.next_request_id();
        if self.reads.retry(id, now, false) {
            self.ask(id);
        }
    }

    /// Streams that insist on a leader are cancelled when there was none at three looks in a row, one election time-out
    /// apart (`v3rpc.monitorLeader`).
    fn count_leaderless_ticks(&mut self) {
        let election = self.member.config.election_ticks() as u64;
        if !self.ticks.is_multiple_of(election) {
            return;
        }
        self.ticks_without_leader = if self.leader == 0 { self.ticks_without_leader + 1 } else { 0 };
        if self.ticks_without_leader >= 3 {
            self.member.no_leader.send_modify(|n| *n += 1);
        }
    }

    fn ask(&mut self, id: u64) {
        self.raft.read_index(id.to_be_bytes().to_vec());
    }

    /// Does everything Raft has ready.
    async fn advance(&mut self) {
        let id = self.member.next_request_id();
        if self.reads.start(id, Instant::now(), self.member.config.request_timeout()) {
            self.ask(id);
        }
        loop {
            if std::mem::take(&mut self.read_again) {
                let id = self.member.next_request_id();
                if self.reads.retry(id, Instant::now(), true) {
                    self.ask(id);
                }
            }
            if !self.raft.has_ready() {
                break;
            }
            let mut ready = self.raft.ready();
            self.send(ready.take_messages());
            if !ready.snapshot().is_empty() {
                self.install(ready.snapshot().clone());
            }
            if let Some(state) = ready.ss() {
                let (leader, role) = (state.leader_id, state.raft_state);
                self.observe(leader, role);
            }
            for read in ready.take_read_states() {
                if let Ok(id) = <[u8; 8]>::try_from(read.request_ctx.as_slice()) {
                    self.reads.confirm(u64::from_be_bytes(id), read.index);
                }
            }
            self.apply(ready.take_committed_entries());
            self.persist(&mut ready).await;
            self.send(ready.take_persisted_messages());
            let mut light = self.raft.advance(ready);
            if let Some(commit) = light.commit_index() {
                self.disk.save_commit(commit);
            }
            self.send(light.take_messages());
            self.apply(light.take_committed_entries());
            self.raft.advance_apply();
            self.show();
        }
        self.reads.applied(self.member.peek.applied_index());
    }

    async fn persist(&mut self, ready: &mut raft::Ready) {
        if ready.must_sync() {
            let delay = self.disk.fsync_delay();
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
        }
        if let Some(hard_state) = ready.hs() {
            self.disk.save_hard_state(hard_state.clone(), ready.must_sync());
        }
        self.disk.append(ready.take_entries());
    }

    fn show(&self) {
        let raft = &self.raft.raft;
        self.member.peek.set_raft(raft.leader_id, raft.term, raft.raft_log.committed);
    }

    fn send(&mut self, messages: Vec<Message>) {
        for message in messages {
            let to = message.to;
            let snapshot = message.get_msg_type() == MessageType::MsgSnapshot;
            let taken = self.outboxes.get(&to).is_some_and(|outbox| outbox.try_send(message).is_ok());
            if !taken {
                // As etcd: a peer that does not keep up loses messages, and Raft probes what it has.
                self.raft.report_unreachable(to);
                if snapshot {
                    self.raft.report_snapshot(to, SnapshotStatus::Failure);
                }
            }
        }
    }

    /// Takes note of who leads (`raftNode.start`, `updateLeadership`).
    fn observe(&mut self, leader: u64, role: StateRole) {
        self.show();
        let new_leader = leader != 0 && leader != self.leader;
        self.leader = leader;
        if role != StateRole::Leader {
            self.member.machine().lessor.demote();
            self.member.lessor_changed.notify_waiters();
        } else if new_leader {
            self.member.contact().elected = Some(Instant::now());
        }
        if new_leader {
            self.reads.leader_changed();
            for (id, data) in std::mem::take(&mut self.pending) {
                self.propose_pending(id, data);
            }
        }
    }
}
