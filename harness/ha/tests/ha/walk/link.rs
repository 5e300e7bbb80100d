//! What becomes of requests on their way to etcd, and of the REST calls between nodes.
//!
//! A request that got no answer in time may never arrive, may have taken effect, or may still take effect, long after who sent it
//! has given up and got other requests through.

use std::collections::BTreeMap;

use pgdrill_ha::decision::Peer;
use pgdrill_ha::view::{FailsafeAnswer, FailsafePing, PeerAnswer, PeerStatus};
use pgdrill_ha::{FailsafeVerdict, Lsn, answer_failsafe};

use super::dcs::{Answer, Request};
use super::world::World;
use super::{Ms, NAMES};

/// A way from a node to etcd, or to another node's REST API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Open,
    /// Nothing arrives. Who is still trying when it opens again gets through.
    Cut,
    /// Requests wait on their way. They arrive one by one, or when it opens again if somebody still waits for them.
    Held,
    /// Requests take effect; the answers wait until it opens again. Of REST calls: they are lost.
    Mute,
}

/// A request without an answer.
#[derive(Debug, Clone)]
pub struct Sent {
    pub id: u64,
    pub node: usize,
    request: Request,
    /// It has taken effect, with this answer.
    answer: Option<Answer>,
    /// It was sent into nothing: it arrives only if it is sent again.
    is_lost: bool,
}

/// A REST call.
#[derive(Debug, Clone)]
pub struct Call {
    pub id: u64,
    pub from: usize,
    to: usize,
    /// `POST /failsafe` rather than `GET /patroni`.
    is_failsafe: bool,
}

/// What a node said to a call.
#[derive(Debug, Clone)]
pub enum Said {
    Status(PeerStatus),
    Failsafe(FailsafeAnswer),
}

impl World {
    /// Sends a request, and tells under which id its answer will be found in `answers`.
    pub fn send(&mut self, node: usize, request: Request) -> u64 {
        self.ids += 1;
        let id = self.ids;
        match self.links[node] {
            Link::Open => {
                let answer = self.execute(node, &request);
                self.answers.insert(id, answer);
            }
            Link::Mute => {
                let answer = Some(self.execute(node, &request));
                self.sent.push(Sent { id, node, request, answer, is_lost: false });
            }
            link => self.sent.push(Sent { id, node, request, answer: None, is_lost: link == Link::Cut }),
        }
        id
    }

    fn execute(&mut self, node: usize, request: &Request) -> Answer {
        let before = self.etcd.lock.clone();
        let answer = self.etcd.execute(node, request, self.now);
        if self.etcd.lock != before {
            self.wake_watchers();
            let holder = self.etcd.lock.as_ref().map(|lock| NAMES[lock.holder]);
            self.tell(|| format!("{}: the lock is {}'s", NAMES[node], holder.unwrap_or("nobody")));
        }
        answer
    }

    /// The watch tells of a change of the lock whoever can be told.
    pub fn wake_watchers(&mut self) {
        for node in &mut self.nodes {
            node.is_woken |= self.links[node.number] == Link::Open;
        }
    }

    /// Whether a release of the lock has not arrived yet.
    pub fn has_release_under_way(&self, node: usize) -> bool {
        self.sent.iter().any(|sent| sent.node == node && matches!(sent.request, Request::Release { .. }))
    }

    /// Whoever sent it waits no longer.
    pub fn give_up(&mut self, id: u64) {
        self.answers.remove(&id);
        self.sent.retain(|sent| sent.id != id || !(sent.is_lost || sent.answer.is_some()));
    }

    /// What is still waited for gets through a way that opens. What nobody waits for any more takes its time all the same.
    pub fn set_link(&mut self, node: usize, link: Link) {
        self.links[node] = link;
        if link == Link::Open {
            while let Some(at) = self.sent.iter().position(|sent| sent.node == node && self.awaits(node, sent.id)) {
                self.arrive(at);
            }
        }
    }

    /// The oldest request of the node that has not arrived does, or the oldest answer. Whether there was one.
    pub fn deliver(&mut self, node: usize) -> bool {
        let next = self.sent.iter().position(|sent| sent.node == node && !sent.is_lost);
        next.map(|at| self.arrive(at)).is_some()
    }

    fn arrive(&mut self, at: usize) {
        let sent = self.sent.remove(at);
        let node = sent.node;
        let answer = match sent.answer {
            Some(answer) => answer,
            None => self.execute(node, &sent.request),
        };
        if self.awaits(node, sent.id) {
            self.answers.insert(sent.id, answer);
        }
    }

    /// Calls others, and tells under which ids their answers will be found in `said`.
    pub fn call(&mut self, from: usize, peers: &[Peer], is_failsafe: bool) -> BTreeMap<u64, String> {
        let mut ids = BTreeMap::new();
        for peer in peers {
            let to = NAMES.iter().position(|name| *name == peer.name).expect("a node");
            self.ids += 1;
            ids.insert(self.ids, peer.name.clone());
            self.calls.push(Call { id: self.ids, from, to, is_failsafe });
        }
        ids
    }

    /// Lets the calls arrive that can. What was held may arrive when nobody waits for the answer any more.
    pub fn answer_calls(&mut self) -> bool {
        let ready = |call: &Call| {
            let link = self.rest[call.from][call.to];
            matches!(link, Link::Open | Link::Mute) && !self.nodes[call.to].is_frozen()
        };
        let Some(at) = self.calls.iter().position(ready) else { return false };
        let call = self.calls.remove(at);
        let said = match call.is_failsafe {
            true => Said::Failsafe(self.consent(call.from, call.to)),
            false => Said::Status(self.status_of(call.to)),
        };
        if self.rest[call.from][call.to] == Link::Open {
            self.said.insert(call.id, said);
        }
        true
    }

    /// Calls that were not answered in time: those that were sent into nothing are gone.
    pub fn hang_up(&mut self, ids: &BTreeMap<u64, String>) {
        let rest = self.rest;
        self.calls.retain(|call| !ids.contains_key(&call.id) || rest[call.from][call.to] != Link::Cut);
        self.said.retain(|id, _| !ids.contains_key(id));
    }

    fn status_of(&self, node: usize) -> PeerStatus {
        let (node, silent) = (&self.nodes[node], PeerStatus::Unreachable { reason: "no position".into() });
        let Some(published) = node.published.as_ref().filter(|_| node.postgres.is_up()) else { return silent };
        PeerStatus::Answered(PeerAnswer {
            in_recovery: !published.local.postgres.is_running_primary(),
            position: Lsn(node.postgres.end()),
            timeline: node.postgres.wal.last().map(|segment| segment.timeline),
            ..crate::fixture::answer(Lsn(0))
        })
    }

    /// `POST /failsafe` (`rest::operations::consent`).
    fn consent(&mut self, leader: usize, to: usize) -> FailsafeAnswer {
        let now = self.now;
        let node = &mut self.nodes[to];
        let Some(published) = &node.published else {
            return FailsafeAnswer::Refused { reason: "I have just been started".into() };
        };
        let received = node.clock(now);
        let verdict = answer_failsafe(NAMES[leader], &published.local, &published.memory, received);
        if let FailsafeVerdict::Refuse(reason) = verdict {
            self.tell(|| format!("{} refuses {} its word: {reason}", NAMES[to], NAMES[leader]));
            return FailsafeAnswer::Refused { reason };
        }
        node.ping = Some(FailsafePing {
            leader: NAMES[leader].into(),
            conn_url: None,
            api_url: None,
            slots: BTreeMap::new(),
            received,
        });
        self.judge.consents.push((to, leader, received));
        self.tell(|| format!("{} gives {} its word", NAMES[to], NAMES[leader]));
        FailsafeAnswer::Accepted { lsn: None }
    }

    fn awaits(&self, node: usize, id: u64) -> bool {
        self.nodes[node].awaited() == Some(id) || self.nodes[node].task.as_ref().is_some_and(|task| task.awaits(id))
    }
}

/// How long a call may take: `GET` is tried once, `POST /failsafe` twice.
pub const fn patience(is_failsafe: bool) -> Ms {
    if is_failsafe { 4000 } else { 2000 }
}
