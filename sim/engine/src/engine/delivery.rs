//! Packets between kernels and links.

use std::net::SocketAddr;

use turmoil_net::{NetstatState, Packet, TcpFlags, TcpSegment};

use super::{Engine, Event, host_of};
use crate::{
    HostId,
    network::{FlowKey, InFlight, forged, is_pure_ack, next_retransmission, segment},
    world,
};

/// A sender with less than this in flight cannot be waiting for the window (64 KiB) to open.
const WINDOW_MAY_BE_FULL: u32 = 32 * 1024;

/// A receiver that advertises less than this has an unread backlog.
const NARROW_WINDOW: u16 = 32 * 1024;

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

    /// Hands a packet to the kernel of its host, as far as the engine does not have to answer for the kernel.
    pub(super) fn receive(&mut self, packet: InFlight) {
        let InFlight { key, packet, .. } = packet;
        let Some(segment) = segment(&packet) else { return };
        let flags = segment.flags;
        let window_was_full = self.note_received(key, segment);
        let socket = key.reversed();
        if flags.rst {
            self.save_unread(socket);
        }
        if flags.syn && !flags.ack {
            if self.is_parked(key.to(), key.target_port()) {
                self.refuse(key, segment.seq.wrapping_add(1));
                return;
            }
            self.discard_orphan(socket);
            self.network.flows.entry(key).or_default().half_open = true;
        } else if std::mem::take(&mut self.network.flows.entry(key).or_default().half_open) {
            if flags.rst {
                self.complete_handshake(key);
            }
        } else if is_pure_ack(segment) {
            // It wakes nobody but a writer that waited for room, so no process is stepped for it.
            self.stack().deliver(packet);
            self.kernels_stirred |= window_was_full;
            self.touch(key.to());
            return;
        } else if !segment.payload.is_empty() {
            // What arrives for a closed socket is answered with a reset, as Linux does; the stack would acknowledge it.
            self.discard_orphan(socket);
        }
        self.deliver(socket, packet);
        self.reset_late_handshake(key);
    }

    /// Books what the packet tells about the connection; answers whether its receiver may have waited for the window.
    fn note_received(&mut self, key: FlowKey, segment: &TcpSegment) -> bool {
        let now_ns = self.now_ns;
        if segment.flags.fin {
            world::with(|world| {
                if let Some(entry) = world.sockets.get_mut(&key.reversed()) {
                    entry.peer_finished = true;
                }
            });
        }
        let flow = self.network.flows.entry(key).or_default();
        let was_narrow = std::mem::replace(&mut flow.window_heard, segment.window) < NARROW_WINDOW;
        let back = self.network.flows.entry(key.reversed()).or_default();
        let window_was_full = was_narrow || back.in_flight() >= WINDOW_MAY_BE_FULL;
        if segment.flags.ack {
            back.note_acknowledged(now_ns, segment.ack);
        }
        window_was_full
    }

    /// Delivers within the step of the process that owns the socket, or at once if there is none.
    fn deliver(&mut self, socket: FlowKey, packet: Packet) {
        let owner = world::with(|world| {
            let connected = world.sockets.get(&socket).filter(|entry| !entry.orphan).map(|entry| entry.owner);
            let listens = || world.listeners.get(&(socket.from(), socket.source_port())).map(|entry| entry.owner);
            connected.or_else(listens)
        });
        match owner {
            Some(id) if self.processes[id.0].life.is_some() && !self.processes[id.0].frozen => {
                self.processes[id.0].mail.push(packet);
                self.wake(id);
            }
            _ => {
                self.stack().deliver(packet);
                self.kernels_stirred = true;
                self.touch(socket.from());
            }
        }
    }

    /// Makes the kernel of the flow's sender believe that its peer has reset the connection.
    pub(super) fn reset_locally(&mut self, socket: FlowKey) {
        let reset = TcpFlags { rst: true, ..TcpFlags::default() };
        let packet = forged(self.peer_end(socket), self.local_end(socket), reset, 0, 0);
        self.save_unread(socket);
        self.stack().deliver(packet);
        self.kernels_stirred = true;
        self.touch(socket.from());
    }

    /// The kernel is about to lose what the process has not read yet; Linux would not.
    fn save_unread(&mut self, socket: FlowKey) {
        self.deliver_mail_of(socket.from());
        let stack_id = self.hosts[socket.from().0].stack_id;
        self.stack().set_current(stack_id);
        world::with(|world| {
            if let Some(entry) = world.sockets.get_mut(&socket) {
                entry.save_unread();
            }
        });
    }

    /// Packets waiting for a step of their process come before one that is made up now.
    pub(super) fn deliver_mail_of(&mut self, host: HostId) {
        for index in 0..self.hosts[host.0].processes.len() {
            let id = self.hosts[host.0].processes[index];
            for packet in std::mem::take(&mut self.processes[id.0].mail) {
                self.stack().deliver(packet);
                self.kernels_stirred = true;
            }
        }
    }

    /// Removes what is left of a closed socket from the kernel.
    pub(super) fn discard_orphan(&mut self, socket: FlowKey) {
        if !world::with(|world| world.sockets.get(&socket).is_some_and(|entry| entry.orphan)) {
            return;
        }
        world::with(|world| world.sockets.remove(&socket));
        self.reset_locally(socket);
        // The kernel forgets it while collecting packets; whatever comes next must find it gone.
        self.collect_outgoing();
    }

    /// Answers a SYN to a closed port, whose kernel listener is only kept.
    fn refuse(&mut self, key: FlowKey, ack: u32) {
        let flags = TcpFlags { rst: true, ack: true, ..TcpFlags::default() };
        let refusal = forged(self.peer_end(key), self.local_end(key), flags, 0, ack);
        self.send(refusal);
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
