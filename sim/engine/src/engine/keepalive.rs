//! TCP keepalive.
//!
//! A probe is not sent as a packet: as long as nothing is wrong it would be answered, and an idle connection would cost
//! time. Probing begins, at the time of the next probe, when a fault touches the connection.

use std::{io, time::Duration};

use super::{Engine, nanos, schedule::Event};
use crate::{id::HostId, network::FlowKey, world};

impl Engine {
    /// A connection has been established: it may have happened in the middle of a fault.
    pub(super) fn watch_new_connection(&mut self, key: FlowKey) {
        let now_ns = self.now_ns;
        let flow = self.network.flows.entry(key).or_default();
        flow.last_heard_ns = now_ns;
        if !self.answers(key) {
            self.arm_probe(key);
        }
    }

    /// Arms keepalive for every connection that has an end on this host.
    pub(super) fn arm_probes_of(&mut self, host: HostId) {
        self.arm_probes(|key| key.touches(host));
    }

    /// Arms keepalive for every matching connection. Only a fault can leave a probe unanswered.
    pub(super) fn arm_probes(&mut self, affected: impl Fn(FlowKey) -> bool) {
        let keys: Vec<FlowKey> =
            world::with(|world| world.sockets.keys().copied().filter(|&key| affected(key)).collect());
        for key in keys {
            self.arm_probe(key);
        }
    }

    fn arm_probe(&mut self, key: FlowKey) {
        let Some((idle_ns, _, _)) = keepalive_of(key) else { return };
        let now_ns = self.now_ns;
        let flow = self.network.flows.entry(key).or_default();
        if key.from() == key.to() || flow.unanswered_probes.is_some() {
            return;
        }
        flow.unanswered_probes = Some(0);
        // Up to now every probe was answered: the next one goes out a multiple of the idle time after the last word.
        let periods = (now_ns - flow.last_heard_ns).div_ceil(idle_ns).max(1);
        flow.last_heard_ns += (periods - 1) * idle_ns;
        self.schedule.push(flow.last_heard_ns + idle_ns, Event::Probe(key));
    }

    /// tcp_keepalive_timer(): breaks the connection, or sends the next probe.
    pub(super) fn probe(&mut self, key: FlowKey) {
        let Some((idle_ns, interval_ns, give_up)) = keepalive_of(key) else { return };
        let (now_ns, answers) = (self.now_ns, self.answers(key));
        let Some(flow) = self.network.flows.get_mut(&key) else { return };
        let Some(unanswered) = flow.unanswered_probes else { return };
        let silent_ns = now_ns - flow.last_heard_ns;
        let next_ns = if flow.in_flight() > 0 {
            // Retransmission is in charge while data is outstanding.
            now_ns + idle_ns
        } else if silent_ns < idle_ns && !answers {
            flow.unanswered_probes = Some(0);
            flow.last_heard_ns + idle_ns
        } else if answers {
            flow.unanswered_probes = None;
            flow.last_heard_ns = now_ns;
            if !self.peer_knows(key) {
                // It has been restarted and answers the probe with a reset.
                self.break_connection(key, io::ErrorKind::ConnectionReset);
            }
            return;
        } else if give_up(unanswered, silent_ns) {
            self.break_connection(key, io::ErrorKind::TimedOut);
            return;
        } else {
            flow.unanswered_probes = Some(unanswered + 1);
            now_ns + interval_ns
        };
        self.schedule.push(next_ns, Event::Probe(key));
    }

    /// Whether a probe sent now would come back with an answer of any kind.
    fn answers(&self, key: FlowKey) -> bool {
        !self.is_blocked(key) && !self.is_blocked(key.reversed()) && !self.hosts[key.to().0].frozen
    }

    fn peer_knows(&self, key: FlowKey) -> bool {
        let (local, peer) = (self.local_end(key), self.peer_end(key));
        let sockets = turmoil_net::netstat(self.hosts[key.to().0].ip).entries;
        sockets.iter().any(|socket| socket.local == peer && socket.peer == Some(local))
    }
}

/// Idle time, interval, and the rule when to give up (unanswered probes, nanoseconds of silence) of a socket.
fn keepalive_of(key: FlowKey) -> Option<(u64, u64, impl Fn(u32, u64) -> bool)> {
    let options = world::with(|world| world.sockets.get(&key).filter(|entry| !entry.orphan)?.options)?;
    let keepalive = options.keepalive?;
    let user_timeout: Option<Duration> = options.user_timeout;
    let give_up = move |unanswered: u32, silent_ns: u64| match user_timeout {
        // tcp(7): TCP_USER_TIMEOUT overrides keepalive's own count.
        Some(limit) => unanswered > 0 && silent_ns >= nanos(limit),
        None => unanswered >= keepalive.count,
    };
    Some((nanos(keepalive.idle).max(1), nanos(keepalive.interval).max(1), give_up))
}
