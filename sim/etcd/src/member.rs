//! What the parts of one running member share: the state machine, the requests that wait for it, and the way to Raft.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use etcd_client::proto::PbResponseHeader;
use prost::Message as _;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, timeout_at},
};

use crate::{
    config::MemberConfig,
    error::EtcdError,
    machine::{Applied, Machine},
    peek::Peek,
    raft::Input,
    request::{InternalRaftRequest, Op},
};

type Answer = Result<Applied, EtcdError>;

/// A request that waits for its entry to be applied.
struct Waiter {
    answer: oneshot::Sender<Answer>,
    /// Whether Raft took the proposal; it does not while nobody is leader.
    proposed: bool,
}

/// What error messages tell about the recent past of the leadership and of connections.
#[derive(Debug)]
pub(crate) struct Contact {
    /// When this member last became leader.
    pub elected: Option<Instant>,
    /// Since when there is a connection to each peer.
    pub connected: BTreeMap<u64, Instant>,
    /// The last Raft tick: old after a freeze.
    pub last_tick: Instant,
}

/// See the module's description.
pub(crate) struct Member {
    pub config: MemberConfig,
    pub peek: Peek,
    pub node: mpsc::UnboundedSender<Input>,
    machine: Mutex<Machine>,
    waiters: Mutex<BTreeMap<u64, Waiter>>,
    pub contact: Mutex<Contact>,
    /// Counts how often streams that insist on a leader were cancelled.
    pub no_leader: watch::Sender<u64>,
    /// A lease was revoked or the lessor demoted: renewals that waited for it look again.
    pub lessor_changed: Notify,
    /// There are watchers to be fed from history.
    pub unsynced_watchers: Notify,
    next_request: AtomicU64,
    next_stream: AtomicU64,
}

impl Member {
    pub(crate) fn new(
        config: MemberConfig,
        peek: Peek,
        machine: Machine,
        node: mpsc::UnboundedSender<Input>,
    ) -> Arc<Self> {
        // As etcd's `idutil.Generator`: two bytes of member, five of milliseconds, one to count, so that a restarted
        // member does not use a request id or lease id twice.
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        let first_id = (config.id & 0xffff) << 48 | (millis & 0xff_ffff_ffff) << 8;
        let contact = Contact { elected: None, connected: BTreeMap::new(), last_tick: Instant::now() };
        Arc::new(Self {
            config,
            peek,
            node,
            machine: Mutex::new(machine),
            waiters: Mutex::default(),
            contact: Mutex::new(contact),
            no_leader: watch::Sender::new(0),
            lessor_changed: Notify::new(),
            unsynced_watchers: Notify::new(),
            next_request: AtomicU64::new(first_id),
            next_stream: AtomicU64::new(0),
        })
    }

    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().expect("applying an entry does not panic: its requests were checked before")
    }

    pub(crate) fn contact(&self) -> MutexGuard<'_, Contact> {
        self.contact.lock().expect("only plain assignments happen under this lock")
    }

    fn waiters(&self) -> MutexGuard<'_, BTreeMap<u64, Waiter>> {
        self.waiters.lock().expect("only map operations happen under this lock")
    }

    pub(crate) fn next_request_id(&self) -> u64 {
        self.next_request.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn next_stream_id(&self) -> u64 {
        self.next_stream.fetch_add(1, Relaxed)
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.peek.leader() == self.config.id
    }

    /// A response header; revision 0 means the newest.
    pub(crate) fn header(&self, revision: i64) -> Option<PbResponseHeader> {
        let revision = if revision == 0 { self.machine().store.revision() } else { revision };
        Some(PbResponseHeader {
            cluster_id: self.config.cluster_id,
            member_id: self.config.id,
            revision,
            raft_term: self.peek.term(),
        })
    }

    /// Completes the header of an answer from the state machine, which knows only the revision.
    pub(crate) fn fill(&self, header: &mut Option<PbResponseHeader>) {
        *header = self.header(header.map_or(0, |h| h.revision));
    }

    /// Sends a write through the log and waits until this member has applied it
    /// (`EtcdServer.processInternalRaftRequestOnce`).
    ///
    /// # Errors
    /// What applying it raised. After a time-out nobody knows whether it will still be applied.
    pub(crate) async fn propose(&self, op: Op) -> Answer {
        let id = self.next_request_id();
        let data = InternalRaftRequest { id, op: Some(op) }.encode_to_vec();
        if data.len() > self.config.max_request_bytes {
            return Err(EtcdError::RequestTooLarge);
        }
        let (answer, answered) = oneshot::channel();
        self.waiters().insert(id, Waiter { answer, proposed: false });
        let _forget = Forget { member: self, id };
        let start = Instant::now();
        self.node.send(Input::Propose { id, data }).map_err(|_| EtcdError::Stopped)?;
        match timeout_at(start + self.config.request_timeout(), answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(EtcdError::Stopped),
            Err(_) => Err(self.timed_out(id, start)),
        }
    }

    /// Which of etcd's time-out errors fits (`EtcdServer.parseProposeCtxErr`).
    fn timed_out(&self, id: u64, start: Instant) -> EtcdError {
        if !self.waiters().get(&id).is_some_and(|w| w.proposed) {
            return EtcdError::DeadlineExceeded;
        }
        let contact = self.contact();
        if let Some(elected) = contact.elected
            && start < elected
            && start + 2 * self.config.election_timeout() > elected
        {
            return EtcdError::TimeoutDueToLeaderFail;
        }
        let before = |id: &u64| contact.connected.get(id).is_some_and(|since| *since < start);
        let connected = match self.peek.leader() {
            0 => true,
            leader if leader == self.config.id => {
                let others = self.config.peers.iter().map(|p| p.id).filter(|id| *id != leader);
                others.filter(before).count() + 1 > self.config.peers.len() / 2
            }
            leader => before(&leader),
        };
        if connected { EtcdError::Timeout } else { EtcdError::TimeoutDueToConnectionLost }
    }

    /// Notes that Raft took a proposal; false if nobody waits for it any more.
    pub(crate) fn mark_proposed(&self, id: u64) -> bool {
        self.waiters().get_mut(&id).map(|w| w.proposed = true).is_some()
    }

    /// Hands the result to the request that waits for it, if it is this member's and still waits.
    pub(crate) fn answer(&self, id: u64, answer: Answer) {
        if let Some(waiter) = self.waiters().remove(&id) {
            // The client may have gone in this moment; then nobody wants to know.
            let _ = waiter.answer.send(answer);
        }
    }

    /// Waits until this member has applied everything that was committed in the cluster when it was called.
    ///
    /// # Errors
    /// `LeaderChanged`, or `Timeout` without a quorum.
    pub(crate) async fn linearizable_read(&self) -> Result<(), EtcdError> {
        let (done, waiting) = oneshot::channel();
        self.node.send(Input::Read { done }).map_err(|_| EtcdError::Stopped)?;
        waiting.await.unwrap_or(Err(EtcdError::Stopped))
    }

    /// Whether this member, which believes that it leads, can be believed: after a freeze it asks the others first
    /// (`EtcdServer.ensureLeadership`).
    pub(crate) async fn ensure_leadership(&self) -> bool {
        let active = self.contact().last_tick + 3 * self.config.tick() > Instant::now();
        active || self.linearizable_read().await.is_ok() && self.is_leader()
    }
}

/// Removes a waiter when its request ends for whatever reason, the client's cancellation included.
struct Forget<'a> {
    member: &'a Member,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.member.waiters().remove(&self.id);
    }
}
