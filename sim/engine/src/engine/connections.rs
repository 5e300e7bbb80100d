//! What Linux does with connections and the socket stack does not: giving up, handshakes that never end, window updates,
//! and listeners that close.
//!
//! None of it costs anything while packets flow: checks are scheduled only once a fault has touched a connection.

use std::{
    collections::BTreeSet,
    io,
    task::{Context, Poll, Waker},
};

use turmoil_net::{TcpFlags, shim::tokio::net::TcpStream};

use super::{CONNECTIONS_AT_LEAST, Engine, nanos, schedule::Event};
use crate::{
    id::HostId,
    network::{CONNECTION_GIVE_UP_NS, FlowKey, ORPHAN_GIVE_UP_NS, forged},
    world::{self, SocketEntry},
};

/// `tcp_synack_retries` = 5.
const SYN_ACK_GIVE_UP_NS: u64 = 63_000_000_000;

impl Engine {
    /// Something in this flow, or its acknowledgement, does not get through: see later whether to give up.
    pub(super) fn arm_give_up(&mut self, key: FlowKey) {
        let Some(flow) = self.network.flows.get(&key) else { return };
        let Some(since_ns) = flow.unacknowledged_since_ns.filter(|_| !flow.give_up_armed) else { return };
        let at_ns = since_ns + self.give_up_after(key);
        self.network.flows.entry(key).or_default().give_up_armed = true;
        self.schedule.push(at_ns.max(self.now_ns), Event::GiveUp(key));
    }

    fn give_up_after(&self, key: FlowKey) -> u64 {
        let half_open = self.network.flows.get(&key.reversed()).is_some_and(|flow| flow.half_open);
        let of_socket = |entry: &SocketEntry| match entry.options.and_then(|options| options.user_timeout) {
            Some(limit) => nanos(limit),
            None if entry.orphan => ORPHAN_GIVE_UP_NS,
            None => CONNECTION_GIVE_UP_NS,
        };
        let otherwise = if half_open { SYN_ACK_GIVE_UP_NS } else { CONNECTION_GIVE_UP_NS };
        world::with(|world| world.sockets.get(&key).map_or(otherwise, of_socket))
    }

    pub(super) fn check_give_up(&mut self, key: FlowKey) {
        let limit_ns = self.give_up_after(key);
        let Some(flow) = self.network.flows.get_mut(&key) else { return };
        flow.give_up_armed = false;
        let Some(since_ns) = flow.unacknowledged_since_ns else { return };
        if since_ns + limit_ns <= self.now_ns {
            self.break_connection(key, io::ErrorKind::TimedOut);
        } else {
            self.arm_give_up(key);
        }
    }

    /// The kernel of the flow's sender gives the connection up, without telling the peer.
    pub(super) fn break_connection(&mut self, key: FlowKey, error: io::ErrorKind) {
        let flow = self.network.flows.entry(key).or_default();
        flow.unacknowledged_since_ns = None;
        flow.held.clear();
        flow.unanswered_probes = None;
        if self.network.flows.get(&key.reversed()).is_some_and(|flow| flow.half_open) {
            self.complete_handshake(key.reversed());
        }
        world::with(|world| {
            if let Some(entry) = world.sockets.get_mut(&key) {
                entry.error = Some(error);
            }
        });
        self.reset_locally(key);
    }

    /// A kernel in SYN_RECV does not survive a reset properly: its half of the connection would block the address for
    /// ever. The handshake is completed on the client's behalf first; the listener then discards the reset connection.
    pub(super) fn complete_handshake(&mut self, syn: FlowKey) {
        let flow = self.network.flows.entry(syn).or_default();
        flow.half_open = false;
        let seq = flow.next_sequence();
        let ack = self.network.flows.entry(syn.reversed()).or_default().next_sequence();
        let flags = TcpFlags { ack: true, ..TcpFlags::default() };
        let packet = forged(self.local_end(syn), self.peer_end(syn), flags, seq, ack);
        self.stack().deliver(packet);
        self.touch(syn.to());
    }

    /// The reader has read: if that has made room for a whole window, it is announced by repeating the last
    /// acknowledgement. Announcing more room than there is would lose data: the stack drops what does not fit.
    pub(super) fn announce_window(&mut self, key: FlowKey) {
        let (local, peer) = (self.local_end(key), self.peer_end(key));
        let sockets = turmoil_net::netstat(local.ip()).entries;
        let socket = sockets.iter().find(|socket| socket.local == local && socket.peer == Some(peer));
        if socket.is_none_or(|socket| socket.recv_q + usize::from(u16::MAX) > super::RECEIVE_BUFFER_BYTES) {
            world::with(|world| world.narrow_windows.insert(key));
            return;
        }
        let Some(flow) = self.network.flows.get(&key) else { return };
        let (seq, ack) = (flow.next_sequence(), flow.last_ack_sent);
        let flags = TcpFlags { ack: true, ..TcpFlags::default() };
        let packet = forged(self.local_end(key), self.peer_end(key), flags, seq, ack);
        self.send(packet);
    }

    pub(super) fn is_parked(&self, host: HostId, port: u16) -> bool {
        world::with(|world| world.listeners.get(&(host, port)).is_some_and(|entry| entry.parked.is_some()))
    }

    /// A connection whose handshake ended after its listener had been closed.
    pub(super) fn reset_late_handshake(&mut self, key: FlowKey) {
        if self.is_parked(key.to(), key.target_port()) {
            self.reset_unaccepted(key.to(), key.target_port());
        }
    }

    /// Closing a listener resets the connections that nobody has accepted.
    pub(super) fn reset_unaccepted(&mut self, host: HostId, port: u16) {
        self.deliver_mail_of(host);
        let mut unaccepted: Vec<TcpStream> = Vec::new();
        let stack_id = self.hosts[host.0].stack_id;
        self.stack().set_current(stack_id);
        world::with(|world| {
            let Some(parked) = world.listeners.get(&(host, port)).and_then(|entry| entry.parked.as_ref()) else {
                return;
            };
            let mut cx = Context::from_waker(Waker::noop());
            while let Poll::Ready(Ok((stream, _))) = parked.poll_accept(&mut cx) {
                unaccepted.push(stream);
            }
        });
        for stream in unaccepted {
            // A connection that has an address is not reset yet.
            let (Ok(local), Ok(peer)) = (stream.local_addr(), stream.peer_addr()) else { continue };
            let reset = TcpFlags { rst: true, ..TcpFlags::default() };
            let to_peer = forged(local, peer, reset, 0, 0);
            // First the kernel's own half, so that dropping the stream sends nothing.
            self.stack().deliver(forged(peer, local, reset, 0, 0));
            let stack_id = self.hosts[host.0].stack_id;
            self.stack().set_current(stack_id);
            drop(stream);
            self.send(to_peer);
        }
        self.touch(host);
    }

    /// Keeps the books short: closed sockets that the kernel has finished with, and flows that nobody needs any more.
    pub(super) fn forget_ended_connections(&mut self) {
        let known = world::with(|world| world.sockets.len());
        if known.max(self.network.flows.len()) <= self.connections_limit {
            return;
        }
        let mut alive = BTreeSet::new();
        for (host, entry) in self.hosts.iter().enumerate() {
            for socket in turmoil_net::netstat(entry.ip).entries {
                alive.extend(socket.peer.map(|peer| (host, socket.local.port(), peer.port())));
            }
        }
        let in_kernel = |key: FlowKey| alive.contains(&(key.from().0, key.source_port(), key.target_port()));
        world::with(|world| world.sockets.retain(|&key, entry| !entry.orphan || in_kernel(key)));
        self.network.forget_old_flows(self.now_ns, |key| in_kernel(key) || in_kernel(key.reversed()));
        let left = world::with(|world| world.sockets.len()).max(self.network.flows.len());
        // Looking again only after as many new ones keeps the cost per connection constant.
        self.connections_limit = CONNECTIONS_AT_LEAST.max(left * 2);
    }
}
