//! Packets from kernels to links, and what faults do to them on the way.

use std::net::SocketAddr;

use turmoil_net::{NetstatState, Packet, TcpSegment};

use super::{Engine, host_of, schedule::Event};
use crate::{
    id::HostId,
    network::{FlowKey, InFlight, next_retransmission, segment},
    world,
};

/// A receiver that advertises less than this has an unread backlog.
pub(super) const NARROW_WINDOW: u16 = 32 * 1024;

impl Engine {
    /// Takes what the kernels want to send and puts it on the links. Scanning all kernels is the most expensive thing the
    /// engine does, so it happens only when one may have something.
    pub(super) fn collect_outgoing(&mut self) {
        loop {
            let sockets_used = world::with(|world| std::mem::take(&mut world.sockets_used));
            if !std::mem::take(&mut self.kernels_stirred) && !sockets_used {
                return;
            }
            self.collect_once(sockets_used);
        }
    }

    fn collect_once(&mut self, sockets_used: bool) {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        self.stack().egress_all(&mut outgoing);
        self.close_waiting();
        if sockets_used && let Some(host) = self.last_stepped_host() {
            // Loopback packets have been delivered inside: neighbours may be ready.
            self.touch(host);
        }
        for packet in outgoing.drain(..) {
            self.send(packet);
        }
        // What was dialled and sent nothing has failed at once.
        world::with(|world| world.dials.clear());
        self.outgoing = outgoing;
    }

    /// Closes sockets whose last bytes have just left.
    fn close_waiting(&mut self) {
        let closing = world::with(|world| {
            world.collections += 1;
            std::mem::take(&mut world.closing)
        });
        for (host, stream) in closing {
            let stack_id = self.hosts[host.0].stack_id;
            self.stack().set_current(stack_id);
            drop(stream);
            self.kernels_stirred = true;
        }
    }

    /// Puts a packet on its link.
    pub(super) fn send(&mut self, packet: Packet) {
        // An address that no host has: nobody answers.
        let Some(key) = key_of(&packet).filter(|key| key.to().0 < self.hosts.len()) else { return };
        if !self.hosts[key.from().0].powered {
            self.network.link_mut(key.from(), key.to()).stats.dropped += 1;
            return;
        }
        if key.from() == key.to() {
            self.stack().deliver(packet);
            self.kernels_stirred = true;
            return;
        }
        if let Some(segment) = segment(&packet) {
            if segment.flags.syn && !segment.flags.ack {
                self.open(key);
            }
            note_window(key, segment);
        }
        if let Some(at_ns) = self.network.send(self.now_ns, key, &packet) {
            let in_flight = InFlight { key, sent_ns: self.now_ns, packet };
            self.schedule.push(at_ns, Event::Packet(Box::new(in_flight)));
        }
    }

    /// A packet has reached the end of its link.
    pub(super) fn arrive(&mut self, packet: InFlight) {
        let key = packet.key;
        if self.is_blocked(key) {
            self.hold(packet);
            return;
        }
        if let Some(flow) = self.network.flows.get_mut(&key).filter(|flow| !flow.held.is_empty()) {
            // Held packets of this flow arrive later: it must stay behind them.
            flow.held.push_back(packet);
            return;
        }
        if self.hosts[key.to().0].frozen {
            self.network.link_mut(key.from(), key.to()).stats.held += 1;
            self.hosts[key.to().0].inbox.push(packet);
            self.arm_give_up(key);
            self.arm_give_up(key.reversed());
            return;
        }
        self.network.link_mut(key.from(), key.to()).stats.passed += 1;
        self.receive(packet);
    }

    /// Whether nothing gets from one end of the flow to the other at present.
    pub(super) fn is_blocked(&self, key: FlowKey) -> bool {
        self.network.link(key.from(), key.to()).cut || !self.hosts[key.to().0].powered
    }

    fn hold(&mut self, packet: InFlight) {
        let key = packet.key;
        let stats = &mut self.network.link_mut(key.from(), key.to()).stats;
        if segment(&packet.packet).is_some_and(|segment| segment.flags.rst) {
            // Nobody sends a reset again.
            stats.dropped += 1;
            return;
        }
        stats.held += 1;
        self.network.flows.entry(key).or_default().held.push_back(packet);
        // The sender misses its acknowledgement; or, if this was one, the receiver's peer does.
        self.arm_give_up(key);
        self.arm_give_up(key.reversed());
    }

    /// Lets a flow's held packets go at the sender's next retransmission, if nothing blocks them any more.
    pub(super) fn schedule_release(&mut self, key: FlowKey) {
        if self.is_blocked(key) {
            return;
        }
        let Some(first) = self.network.flows.get(&key).and_then(|flow| flow.held.front()) else { return };
        let syn = segment(&first.packet).is_some_and(|segment| segment.flags.syn && !segment.flags.ack);
        let sent_ns = first.sent_ns;
        if syn && !self.is_connecting(key) {
            // Its connect was given up: nobody sends the SYN again.
            self.network.flows.entry(key).or_default().held.clear();
            return;
        }
        let at_ns = next_retransmission(sent_ns, self.now_ns, syn) + self.network.draw_delay(key);
        let flow = self.network.flows.entry(key).or_default();
        flow.release = Some(at_ns);
        flow.last_arrival_ns = flow.last_arrival_ns.max(at_ns);
        self.schedule.push(at_ns, Event::Release(key));
    }

    pub(super) fn release(&mut self, key: FlowKey) {
        let now_ns = self.now_ns;
        let Some(flow) = self.network.flows.get_mut(&key).filter(|flow| flow.release == Some(now_ns)) else { return };
        flow.release = None;
        for packet in std::mem::take(&mut flow.held) {
            self.arrive(packet);
        }
    }

    fn is_connecting(&mut self, key: FlowKey) -> bool {
        let (local, peer) = (self.local_end(key), self.peer_end(key));
        let sockets = turmoil_net::netstat(self.hosts[key.from().0].ip).entries;
        sockets.iter().any(|socket| {
            socket.local == local && socket.peer == Some(peer) && socket.state == Some(NetstatState::SynSent)
        })
    }

    pub(super) fn local_end(&self, key: FlowKey) -> SocketAddr {
        SocketAddr::new(self.hosts[key.from().0].ip, key.source_port())
    }

    pub(super) fn peer_end(&self, key: FlowKey) -> SocketAddr {
        self.local_end(key.reversed())
    }

    fn last_stepped_host(&self) -> Option<HostId> {
        self.last_stepped.map(|id| self.processes[id.0].host)
    }
}

fn key_of(packet: &Packet) -> Option<FlowKey> {
    let segment = segment(packet)?;
    Some(FlowKey::new(host_of(packet.src)?, segment.src_port, host_of(packet.dst)?, segment.dst_port))
}

/// Remembers receivers that fall behind: only they need their window announced when they catch up.
fn note_window(key: FlowKey, segment: &TcpSegment) {
    let narrow = segment.window < NARROW_WINDOW && !segment.flags.rst;
    world::with(|world| {
        if narrow {
            world.narrow_windows.insert(key);
        } else if !world.narrow_windows.is_empty() {
            world.narrow_windows.remove(&key);
        }
    });
}
