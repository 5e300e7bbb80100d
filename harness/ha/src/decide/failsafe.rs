//! Life without the DCS (`Ha.handle_dcs_error`), and failsafe mode on both of its sides (documentation "DCS Failsafe Mode").

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use super::{Cycle, demote, slot_name_from_member_name};
use crate::config::Config;
use crate::decision::{Action, Decision, Peer, Reason, StartAs, Upstream};
use crate::memory::Memory;
use crate::records::{FailsafeRecord, MemberRecord};
use crate::view::{
    Cluster, FailsafeAnswer, FailsafePing, Leader, LocalView, PostgresRole, Process, TaskKind, Versioned,
};
use crate::{Lsn, Monotonic};

/// What `POST /failsafe` is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailsafeVerdict {
    /// 200 `Accepted`: we give our word not to race for ttl.
    Accept,
    /// 500 with this text.
    Refuse(String),
}

/// Judges a `POST /failsafe` of `leader`.
///
/// Patroni refuses only as a running primary. A node that has taken the lock and is still promoting is a leader too: its
/// word to a thawed predecessor would make two primaries.
pub fn answer_failsafe(leader: &str, local: &LocalView, memory: &Memory, now: Monotonic) -> FailsafeVerdict {
    let promoting = local.task.as_ref().is_some_and(|task| task.is_running() && task.kind == TaskKind::Promote);
    if leader == local.name {
        FailsafeVerdict::Refuse(format!("{leader} is my own name"))
    } else if local.postgres.is_running_primary() {
        FailsafeVerdict::Refuse("Running as a leader".into())
    } else if promoting || memory.may_lead(now) {
        FailsafeVerdict::Refuse("I hold the leader lock".into())
    } else {
        FailsafeVerdict::Accept
    }
}

/// The latest `POST /failsafe` that was accepted, while it counts (`Failsafe.leader`).
pub(super) fn failsafe_ping<'a>(local: &'a LocalView, config: &Config, now: Monotonic) -> Option<&'a FailsafePing> {
    let ping = local.failsafe_ping.as_ref().filter(|ping| config.failsafe_mode && now < ping.received + config.ttl);
    ping.filter(|ping| ping.leader != local.name)
}

/// The cluster with what a leader without DCS has told of its slots, which it cannot publish (`Failsafe.update_cluster`). Also
/// while somebody is seen to hold the lock: the DCS may be one that can be read and not be written.
pub(super) fn with_told_positions<'a>(
    cluster: Cow<'a, Cluster>,
    local: &LocalView,
    config: &Config,
    now: Monotonic,
) -> Cow<'a, Cluster> {
    let Some(ping) = failsafe_ping(local, config, now) else { return cluster };
    if ping.slots.is_empty() || cluster.leader_name() != Some(&*ping.leader) {
        return cluster;
    }
    let mut cluster = cluster.into_owned();
    for (slot, told) in &ping.slots {
        let known = cluster.status.value.slots.entry(slot.clone()).or_insert(*told);
        *known = (*known).max(*told);
    }
    tell_members(&mut cluster.members, |name| ping.slots.get(&slot_name_from_member_name(name)).copied());
    Cow::Owned(cluster)
}

/// Members that stream from another replica cannot write how far they are, either.
fn tell_members(members: &mut BTreeMap<String, MemberRecord>, position: impl Fn(&str) -> Option<Lsn>) {
    for (name, member) in members.iter_mut().filter(|(_, member)| member.tags.replicatefrom().is_some()) {
        member.xlog_location = position(name).max(member.xlog_location);
    }
}

/// Slots go on without the DCS (`_sync_replication_slots`): on replicas by what the leader has told, on the leader by what its
/// members have answered. Else they would keep all the WAL of an outage. The members are those that were there last, so nothing
/// is dropped.
fn slots_without_dcs(local: &LocalView, config: &Config, memory: &mut Memory, now: Monotonic) -> Option<Action> {
    let led = memory.last_led.clone().filter(|_| config.failsafe_mode)?;
    let mut cluster = Cluster { members: led.members, ..Cluster::default() };
    let leader = if local.postgres.is_running_primary() {
        let answers = local.round.failsafe.as_ref()?;
        tell_members(&mut cluster.members, |name| match answers.get(name) {
            Some(FailsafeAnswer::Accepted { lsn }) => *lsn,
            _ => None,
        });
        local.name.clone()
    } else {
        failsafe_ping(local, config, now)?.leader.clone()
    };
    cluster.leader = Some(Leader { name: leader, mod_revision: 0, lease_id: 0 });
    cluster.status = Versioned::new(led.status, 0);
    let cluster = with_told_positions(Cow::Owned(cluster), local, config, now);
    Cycle { cluster, local, config, memory, now }.slots_to_sync()
}

/// To whom else we have given our word, while that lasts.
pub(super) fn promised<'m>(local: &LocalView, config: &Config, memory: &'m Memory, now: Monotonic) -> Option<&'m str> {
    let (name, _) = memory.failsafe.promised.as_ref().filter(|(name, until)| now < *until && *name != local.name)?;
    config.failsafe_mode.then_some(name)
}

/// The cluster with the failsafe leader in office whom we have given our word, if nobody holds the lock.
pub(super) fn with_promised_leader<'a>(
    cluster: &'a Cluster,
    local: &LocalView,
    config: &Config,
    memory: &Memory,
    now: Monotonic,
) -> Cow<'a, Cluster> {
    let taken = matches!(local.round.lock, Some(crate::view::LockOutcome::Held { .. }));
    let Some(name) = promised(local, config, memory, now) else { return Cow::Borrowed(cluster) };
    if !cluster.is_unlocked() || taken {
        return Cow::Borrowed(cluster);
    }
    let mut cluster = cluster.clone();
    cluster.leader = Some(Leader { name: name.to_owned(), mod_revision: 0, lease_id: 0 });
    if let Some(ping) = local.failsafe_ping.as_ref().filter(|ping| ping.leader == name) {
        cluster.members.entry(name.to_owned()).or_insert_with(|| MemberRecord {
            conn_url: ping.conn_url.clone(),
            api_url: ping.api_url.clone(),
            ..MemberRecord::default()
        });
    }
    Cow::Owned(cluster)
}

/// What is done when the DCS cannot be reached, or not the lock's renewal.
pub(super) fn without_dcs(
    local: &LocalView,
    config: &Config,
    memory: &mut Memory,
    now: Monotonic,
    error: &str,
) -> Decision {
    let rest = Decision::rest(Reason::DcsUnreachable(error.to_owned()));
    if config.paused {
        return Decision::rest(Reason::Paused("the DCS is not accessible"));
    }
    let running = local.task.as_ref().filter(|task| task.is_running() && task.kind != TaskKind::Checkpoint);
    match running.map(|task| task.kind) {
        // A second stop beside a running one made things worse (Patroni issue 3372).
        Some(TaskKind::Demote) => return rest,
        Some(TaskKind::Promote) if !memory.may_lead(now) => {
            return demote::nolock("the leader lock expired while promoting", memory).after(vec![Action::CancelTask]);
        }
        _ if comes_up_as_primary(local) && memory.lock_deadline.is_some() && !memory.may_lead(now) => {
            return demote::nolock("the leader lock expired while starting", memory).after(vec![Action::CancelTask]);
        }
        Some(_) => return rest,
        None => {}
    }
    if local.postgres.is_absent() && memory.demoted && memory.ever_started && local.postgres.control.is_some() {
        // We have stopped it ourselves; read-only it serves until the DCS is back (Patroni issue 2081).
        return Decision::last(vec![Action::Start(StartAs::Replica(Upstream::Unchanged))], rest.reason);
    }
    if !local.postgres.is_running_primary() {
        let slots = slots_without_dcs(local, config, memory, now);
        return Decision::last(slots.into_iter().collect(), rest.reason);
    }
    if memory.is_blank() && !memory.demoted {
        return found_primary(local, config, memory, now);
    }
    lone_primary(local, config, memory, now)
}

/// Between two looks at a DCS that answers at once, and with an error.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A primary that ran before this agent, which has not yet been able to read the DCS and so knows of no lease.
///
/// Patroni has not yet taken it over: it waits for the DCS as long as it takes (`Patroni.ensure_dcs_access`) and leaves
/// PostgreSQL alone. Two cases are told apart here:
///
/// - A server that no agent has led with (an instance that is to become a cluster) has no rival: it is left alone for ever.
/// - Otherwise an agent that was here before may have left a lease. One that still lasts lasts ttl at most, and until then
///   nobody else can lead: to stop the primary at once would be an outage for nothing. Once ttl has passed, another may lead,
///   and the primary is stopped as one whose lease has ended. If the lease had ended earlier, the dead-man process or the
///   watchdog of the agent that had it keeps its deadline, and stops PostgreSQL while we wait. Patroni, without a watchdog,
///   leaves two primaries here for as long as the DCS is away.
fn found_primary(local: &LocalView, config: &Config, memory: &mut Memory, now: Monotonic) -> Decision {
    if !local.postgres.was_managed {
        return Decision::rest(Reason::WaitingForDcs { stops_in: None });
    }
    let since = *memory.found_without_dcs.get_or_insert(now);
    let left = (since + config.ttl).since(now);
    if left.is_zero() {
        return demote::offline(None, memory, now);
    }
    // The next look takes up to retry_timeout, and is not to end after the time is over.
    let at_most = left.saturating_sub(config.retry_timeout).max(LOOK_AGAIN);
    Decision::soon(Vec::new(), Reason::WaitingForDcs { stops_in: Some(left) }, at_most)
}

/// Whether PostgreSQL is starting without being told to be a standby.
fn comes_up_as_primary(local: &LocalView) -> bool {
    let postgres = &local.postgres;
    let starting = matches!(postgres.process, Process::Starting { .. });
    starting && postgres.role == PostgresRole::Primary && !postgres.has_standby_signal
}

/// A primary that cannot renew its lock: either everybody agrees, or it stops in time.
fn lone_primary(local: &LocalView, config: &Config, memory: &mut Memory, now: Monotonic) -> Decision {
    let deadline = memory.leadership_deadline();
    let others = if config.failsafe_mode { others(&memory.failsafe.record, &local.name) } else { None };
    let Some(others) = others else { return demote::offline(deadline, memory, now) };
    match &local.round.failsafe {
        // A deadline that has passed cannot be mended by asking.
        None if !memory.may_lead(now) => demote::offline(deadline, memory, now),
        None if !others.is_empty() => {
            let count = others.len();
            Decision::ask(vec![Action::AskFailsafe(others)], Reason::AskingFailsafe(count))
        }
        answers => {
            let accepted = |peer: &Peer| {
                let answer = answers.as_ref().and_then(|answers| answers.get(&peer.name));
                matches!(answer, Some(FailsafeAnswer::Accepted { .. }))
            };
            // We may have stood still since they were asked: their word is of then.
            if !others.iter().all(accepted) || !memory.may_lead(now) {
                return demote::offline(deadline, memory, now);
            }
            if others.is_empty() {
                // Nobody else could ever take over.
                memory.failsafe.agreed_until = Some(now + config.ttl);
            }
            let until = memory.failsafe.agreed_until;
            let keepalive = local.watchdog.is_active.then_some(Action::WatchdogKeepalive { until });
            let slots = slots_without_dcs(local, config, memory, now);
            Decision::last(keepalive.into_iter().chain(slots).collect(), Reason::FailsafeActive(others.len()))
        }
    }
}

/// Whom to ask; `None` if we are not in `/failsafe` ourselves, and so must not go on.
fn others(record: &FailsafeRecord, me: &str) -> Option<Vec<Peer>> {
    let peer = |(name, api_url): (&String, &String)| Peer { name: name.clone(), api_url: api_url.clone() };
    record.contains_key(me).then(|| record.iter().filter(|(name, _)| *name != me).map(peer).collect())
}

impl Cycle<'_> {
    /// Whether there is a leader who may go on without us: `/failsafe` names others only.
    pub(super) fn is_left_out_of_failsafe(&self) -> bool {
        let record = self.cluster.failsafe.as_ref().filter(|record| !record.is_empty());
        self.config.failsafe_mode && record.is_some_and(|record| !record.contains_key(&self.local.name))
    }

    /// A lock that was won although another may lead in failsafe mode is given back, before anything comes of it.
    pub(super) fn gives_way(&self) -> Option<Decision> {
        let why = if promised(self.local, self.config, self.memory, self.now).is_some() {
            // The word was given while our own attempt at the lock was under way, and to a leader who goes on because of it.
            "another leader has our word in failsafe mode"
        } else if self.is_left_out_of_failsafe() {
            // As in the race, whose view may have been an old one: we stood still between the look and the attempt.
            "another leader may go on without us in failsafe mode"
        } else {
            return None;
        };
        Some(Decision::last(vec![Action::ReleaseLock { optime: None }], Reason::ReleasingLock(why)))
    }

    /// The holder keeps `/failsafe` in step with the members (`_failsafe_config`). From then on all must agree whom either record
    /// names: who is named in `/failsafe` may race, and it is not read again before the DCS is lost.
    pub(super) fn failsafe_record_to_write(&mut self) -> Option<Action> {
        if !self.config.failsafe_mode {
            return None;
        }
        let members = self.cluster.members.iter();
        let mut record: FailsafeRecord =
            members.filter_map(|(name, member)| Some((name.clone(), member.api_url.clone()?))).collect();
        if let Some(own) = &self.local.api_url {
            record.insert(self.local.name.clone(), own.clone());
        }
        if self.cluster.failsafe.as_ref() == Some(&record) {
            return None;
        }
        self.memory.failsafe.record.extend(record.clone());
        Some(Action::WriteFailsafe(record))
    }
}
