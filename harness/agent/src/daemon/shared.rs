//! What the HA loop publishes for the REST API, and what the REST API asks of the loop.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use pgdrill_ha::{
    Config, Memory, Monotonic,
    config::Tags,
    records::{MemberRecord, MemberRole, MemberState, StatusRecord},
    view::{Cluster, FailsafePing, LocalView, PostgresView, Versioned},
};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::server_config::Desired;
use crate::{AgentConfig, clock::Clock, postgres::ServerState, rest::python_datetime};

/// The loop's latest view, as REST answers show it.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// The DCS as last read; `None` before the first read.
    pub cluster: Option<Cluster>,
    /// `/status` as we have last written it: when the lock is released, what is written again must not be older.
    pub(crate) status_written: Option<Versioned<StatusRecord>>,
    /// `/config` as last seen, for a leader that finds it gone.
    pub last_config: Option<Value>,
    /// What decisions see of this node, as of the latest round.
    pub local: Option<LocalView>,
    /// The state machine's memory, as of the latest round.
    pub memory: Memory,
    /// When that was, by the wall clock.
    pub dcs_last_seen: Option<Timestamp>,
    /// When it was last read, on the clock of the lock's deadline.
    pub dcs_read: Option<Monotonic>,
    /// The last read failed.
    pub dcs_unreachable: bool,
    /// PostgreSQL as decisions see it.
    pub postgres: PostgresView,
    /// PostgreSQL as SQL showed it last.
    pub server: Option<ServerState>,
    /// Patroni's word for what PostgreSQL does.
    pub state: Option<MemberState>,
    /// Patroni's word for what it is.
    pub role: Option<MemberRole>,
    /// Until when we may act as leader, by the lock or by the members' word.
    pub leadership_deadline: Option<Monotonic>,
    /// The watchdog or the dead-man process is required and not to be had.
    pub watchdog_failed: bool,
    /// The configuration in force.
    pub config: Config,
    /// When the latest cycle began.
    pub cycle_started: Monotonic,
    /// Our member record as last written.
    pub member: MemberRecord,
    /// Settings that wait for a restart: `{name: {old_value, new_value}}`.
    pub pending_restart: Map<String, Value>,
    /// How many want this node to be no synchronous standby for the time being, whatever its tags are.
    pub leaving_sync: usize,
    /// A restart at a later time, as it was asked for.
    pub scheduled_restart: Option<ScheduledRestart>,
}

/// A restart asked for at a later time. Node-local; void as soon as PostgreSQL was restarted otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledRestart {
    /// When.
    pub at: Timestamp,
    /// The request as it came.
    pub request: Value,
    /// `pg_postmaster_start_time()` of the server that is meant.
    pub postmaster_start_time: String,
}

impl ScheduledRestart {
    /// As the member key tells of it; `/patroni` has the request alone.
    #[must_use]
    pub fn recorded(&self) -> Value {
        let mut recorded = self.request.clone();
        if let Some(fields) = recorded.as_object_mut() {
            let started = python_datetime(&self.postmaster_start_time);
            fields.insert("postmaster_start_time".into(), started.into());
        }
        recorded
    }
}

impl Published {
    /// `/status` as last read, or as we have written it since.
    pub(crate) fn latest_status(&self) -> Option<&StatusRecord> {
        let read = self.cluster.as_ref().map(|cluster| &cluster.status);
        read.into_iter()
            .chain(&self.status_written)
            .max_by_key(|status| status.mod_revision)
            .map(|status| &status.value)
    }

    /// The DCS as last read, for as long as Patroni trusts its own reading: `ttl` (`AbstractDCS.cluster`).
    #[must_use]
    pub fn known_cluster(&self, now: Monotonic) -> Option<&Cluster> {
        self.cluster.as_ref().filter(|_| self.dcs_read.is_some_and(|seen| now.since(seen) < self.config.ttl))
    }

    /// Whether failsafe mode is at work here: on a leader whom all members agree to have, and on a member that a leader without
    /// DCS has asked less than `ttl` ago (`Failsafe.is_active`). `ping`: who asked last.
    #[must_use]
    pub fn failsafe_is_active(&self, ping: Option<&FailsafePing>, now: Monotonic) -> bool {
        let agreed = self.memory.failsafe.agreed_until.is_some_and(|until| now < until);
        let promised = ping.is_some_and(|ping| now < ping.received + self.config.ttl);
        agreed || (promised && !self.is_leader(now))
    }

    /// Whether we may act as leader now: the rule behind every `200` of `/primary` and `/leader`.
    #[must_use]
    pub fn is_leader(&self, now: Monotonic) -> bool {
        self.leadership_deadline.is_some_and(|deadline| now < deadline)
    }

    /// The tags as others are told them: the configured ones, and what holds for the time being (`Ha.get_effective_tags`).
    #[must_use]
    pub fn effective_tags(&self) -> Tags {
        let mut tags = self.config.tags.shown();
        if self.leaving_sync > 0 {
            tags.0.insert("nosync".into(), true.into());
            tags.0.insert("sync_priority".into(), 0.into());
        }
        tags
    }
}

/// How a request that the loop carried out ended.
pub type Reply = oneshot::Sender<Result<(), String>>;

/// What the REST API asks of the loop.
#[derive(Debug)]
pub enum Request {
    /// Restart PostgreSQL.
    Restart(Reply),
    /// Throw the data directory away and copy it anew.
    Reinitialize {
        /// Even if a task runs.
        force: bool,
        /// From the leader, even if another member is meant to be copied from.
        from_leader: bool,
        /// Answered as soon as it is accepted or not.
        reply: Reply,
    },
    /// Read the configuration again and apply it.
    Reload,
}

/// The state shared between loop and REST. Locked for moments only, never across an await.
pub struct Shared {
    published: Mutex<Published>,
    requests: Mutex<Vec<Request>>,
    failsafe_ping: Mutex<Option<FailsafePing>>,
    desired: Mutex<Desired>,
    heard_itself: AtomicBool,
    /// Where the latest connections to the REST API came from; `None`: nobody asks any more.
    accepted: Mutex<Option<VecDeque<SocketAddr>>>,
}

/// So many connections are remembered while the agent looks for itself among them.
const ACCEPTED: usize = 64;

impl Shared {
    pub(crate) fn new(config: &AgentConfig, clock: Clock) -> Self {
        let published = Published { cycle_started: clock.now(), ..Published::default() };
        Self {
            published: Mutex::new(published),
            requests: Mutex::new(Vec::new()),
            failsafe_ping: Mutex::new(None),
            desired: Mutex::new(Desired::new(config)),
            heard_itself: AtomicBool::new(false),
            accepted: Mutex::new(Some(VecDeque::new())),
        }
    }

    /// The latest view.
    pub fn published(&self) -> MutexGuard<'_, Published> {
        lock(&self.published)
    }

    /// How PostgreSQL is to be configured.
    pub(crate) fn desired(&self) -> MutexGuard<'_, Desired> {
        lock(&self.desired)
    }

    /// The latest accepted failsafe ping.
    pub fn failsafe_ping(&self) -> MutexGuard<'_, Option<FailsafePing>> {
        lock(&self.failsafe_ping)
    }

    /// The REST API was asked by an agent of our own name that starts: by this one.
    pub(crate) fn hear_itself(&self) {
        self.heard_itself.store(true, Ordering::SeqCst);
    }

    /// Whether that was so.
    pub(crate) fn has_heard_itself(&self) -> bool {
        self.heard_itself.load(Ordering::SeqCst)
    }

    /// The REST API has accepted a connection from there.
    pub(crate) fn accept(&self, from: SocketAddr) {
        if let Some(accepted) = lock(&self.accepted).as_mut() {
            accepted.truncate(ACCEPTED - 1);
            accepted.push_front(from);
        }
    }

    /// Whether that was so lately, as long as it was not forgotten.
    pub(crate) fn has_accepted(&self, from: SocketAddr) -> bool {
        lock(&self.accepted).as_ref().is_some_and(|accepted| accepted.contains(&from))
    }

    /// Nobody asks any more.
    pub(crate) fn forget_accepted(&self) {
        *lock(&self.accepted) = None;
    }

    /// Hands a request to the loop, which must be woken to see it.
    pub fn ask(&self, request: Request) {
        let mut requests = lock(&self.requests);
        // However often it is asked for before the loop comes to it, once is enough.
        let repeats = matches!(request, Request::Reload) && requests.iter().any(|it| matches!(it, Request::Reload));
        if !repeats {
            requests.push(request);
        }
    }

    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *lock(&self.requests))
    }
}

/// A panic while a lock is held ends the agent anyway; until then the data is whole, since it is only ever replaced.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_status_is_what_was_read_or_written_last() {
        let status =
            |optime, revision| Versioned::new(StatusRecord { optime: Some(optime), ..<_>::default() }, revision);
        let latest = |read, written| {
            let cluster = Cluster { status: read, ..Cluster::default() };
            let published = Published { cluster: Some(cluster), status_written: written, ..Published::default() };
            published.latest_status().and_then(|status| status.optime)
        };
        let [one, two] = [1, 2].map(pgdrill_ha::Lsn);
        assert_eq!(latest(status(one, 5), None), Some(one));
        assert_eq!(latest(status(one, 5), Some(status(two, 6))), Some(two), "our own write was not read yet");
        assert_eq!(latest(status(two, 7), Some(status(one, 6))), Some(two), "somebody else's came later");
    }
}
