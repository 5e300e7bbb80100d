//! Packets from links to kernels.
//!
//! The engine answers for a kernel where the socket stack would not do as Linux does: closed ports whose listener is
//! kept, data for closed sockets, resets in the middle of a handshake.

use turmoil_net::{Packet, TcpFlags, TcpSegment};

use super::{Engine, delivery::NARROW_WINDOW};
use crate::{
    id::HostId,
    network::{FlowKey, InFlight, forged, is_pure_ack, segment},
    world,
};

/// A sender with less than this in flight cannot be waiting for the window (64 KiB) to open.
const WINDOW_MAY_BE_FULL: u32 = 32 * 1024;

/// What was so when a packet arrived.
struct Received {
    /// Its receiver may have waited for the window.
    window_was_full: bool,
    /// The handshake was not over.
    half_open: bool,
}

impl Engine {
    /// Hands a packet to the kernel of its host, as far as the engine does not have to answer for the kernel.
    pub(super) fn receive(&mut self, packet: InFlight) {
        let InFlight { key, packet, .. } = packet;
        let Some(segment) = segment(&packet) else { return };
        let flags = segment.flags;
        let Received { window_was_full, half_open } = self.note_received(key, segment);
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
        } else if half_open {
            self.network.flows.entry(key).or_default().half_open = false;
            if flags.rst {
                self.complete_handshake(key);
            }
        } else if is_pure_ack(segment) {
            // It wakes nobody but a writer that waited for room, so no process is stepped for it. A kernel that has closed the socket
            // answers with a reset, which must not wait until something happens elsewhere.
            let is_open = world::with(|world| world.sockets.get(&socket).is_some_and(|entry| !entry.orphan));
            self.stack().deliver(packet);
            self.kernels_stirred |= window_was_full || !is_open;
            self.touch(key.to());
            return;
        } else if !segment.payload.is_empty() {
            // What arrives for a closed socket is answered with a reset, as Linux does; the stack would acknowledge it.
            self.discard_orphan(socket);
        }
        self.deliver(socket, packet);
        self.reset_late_handshake(key);
    }

    /// Books what the packet tells about the connection.
    fn note_received(&mut self, key: FlowKey, segment: &TcpSegment) -> Received {
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
        let half_open = flow.half_open;
        let back = self.network.flows.entry(key.reversed()).or_default();
        let window_was_full = was_narrow || back.in_flight() >= WINDOW_MAY_BE_FULL;
        if segment.flags.ack {
            back.note_acknowledged(now_ns, segment.ack);
        }
        Received { window_was_full, half_open }
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
}
