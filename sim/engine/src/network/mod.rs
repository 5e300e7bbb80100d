//! Links between hosts: how long a packet takes, whether it arrives, and in which order.
//!
//! ```text
//!  kernel of A --egress--> [latency, bandwidth, loss] --in flight--> arrival --[cut? peer down?]--> kernel of B
//!                                                                       |  ^
//!                                                                       v  | next retransmission after the fault has ended
//!                                                                      held
//! ```
//!
//! Whether a packet passes a cut is decided where it arrives, so a cut also catches what is in flight, and packets are
//! held in the order in which they would have arrived. The socket stack accepts a connection's segments strictly in
//! order and never sends one again by itself; therefore a flow is first in, first out, and nothing but a reset is ever lost.

mod flow;
mod hash;
mod key;
mod link;
mod retransmission;
mod segment;
mod trace;

use std::collections::BTreeMap;

pub(crate) use flow::Flow;
pub(crate) use key::FlowKey;
use link::Link;
pub use link::{Latency, LinkStats};
pub(crate) use retransmission::{CONNECTION_GIVE_UP_NS, ORPHAN_GIVE_UP_NS, next_retransmission};
pub(crate) use segment::{InFlight, forged, is_pure_ack, segment};
pub use trace::Trace;
use turmoil_net::Packet;

use crate::{
    id::HostId,
    random::{Key, Purpose},
};

/// Of a TCP segment: Ethernet, IPv4 and TCP with its timestamps.
const HEADERS: u64 = 14 + 20 + 32;

/// All links and flows of a simulation.
#[derive(Debug)]
pub(crate) struct Network {
    default_latency: Latency,
    /// What draws between hosts are decided by, host by host.
    hosts: Vec<Key>,
    /// `links[from][to]`.
    links: Vec<Vec<Link>>,
    pub(crate) flows: BTreeMap<FlowKey, Flow>,
    pub(crate) trace: Trace,
}

impl Network {
    pub(crate) fn new() -> Self {
        Self {
            default_latency: Latency::default(),
            hosts: Vec::new(),
            links: Vec::new(),
            flows: BTreeMap::new(),
            trace: Trace::default(),
        }
    }

    /// Connects one more host with all that exist.
    pub(crate) fn add_host(&mut self, key: Key) {
        self.hosts.push(key);
        let hosts = self.links.len() + 1;
        self.links.push(Vec::new());
        for row in &mut self.links {
            row.resize_with(hosts, || Link::new(self.default_latency));
        }
    }

    pub(crate) fn set_default_latency(&mut self, latency: Latency) {
        self.default_latency = latency;
        self.links.iter_mut().flatten().for_each(|link| link.latency = latency);
    }

    pub(crate) fn link(&self, from: HostId, to: HostId) -> &Link {
        &self.links[from.0][to.0]
    }

    pub(crate) fn link_mut(&mut self, from: HostId, to: HostId) -> &mut Link {
        &mut self.links[from.0][to.0]
    }

    /// Sends a packet on its way; answers when it will arrive, or `None` if it was lost for good.
    pub(crate) fn send(&mut self, now_ns: u64, key: FlowKey, packet: &Packet) -> Option<u64> {
        self.trace.packet(now_ns, key, packet);
        let link = &mut self.links[key.from().0][key.to().0];
        let segment = segment(packet)?;
        let flow = self.flows.entry(key).or_default();
        let draws_by = *flow.draws_by.get_or_insert_with(|| stray(&self.hosts, key));
        flow.sent += 1;
        let mut delay_ns = link.delay(draws_by, flow.sent);
        let (on_link_ns, waited) = link.serialise(now_ns, HEADERS + segment.payload.len() as u64);
        delay_ns += on_link_ns;
        let lost = link.losses(draws_by, flow.sent);
        // The handshake's ACK opens the flow: data overtaking it would be dropped by the socket stack.
        let overtakable = is_pure_ack(segment) && flow.acks_sent > 0;
        flow.note_sent(now_ns, segment);
        if lost > 0 {
            if segment.flags.rst {
                // Nobody sends a reset again.
                link.stats.dropped += 1;
                return None;
            }
            link.stats.delayed += 1;
            delay_ns += retransmission::after_losses(lost, segment.flags.syn);
            if overtakable {
                // A late ACK holds nothing up: a later one says more.
                return Some(now_ns + delay_ns);
            }
        } else if link.is_slowed() || waited {
            link.stats.delayed += 1;
        }
        flow.last_arrival_ns = flow.last_arrival_ns.max(now_ns + delay_ns);
        Some(flow.last_arrival_ns)
    }

    /// A connection begins: both its directions draw by its key from now on, whatever used the same ports before.
    pub(crate) fn open(&mut self, key: FlowKey, connection: Key) {
        for (direction, key) in [(0, key), (1, key.reversed())] {
            let flow = self.flows.entry(key).or_default();
            (flow.draws_by, flow.sent, flow.releases) = (Some(connection.with(direction)), 0, 0);
        }
    }

    /// A delay for packets that leave now after having been held.
    pub(crate) fn draw_delay(&mut self, key: FlowKey) -> u64 {
        let flow = self.flows.entry(key).or_default();
        let draws_by = *flow.draws_by.get_or_insert_with(|| stray(&self.hosts, key));
        flow.releases += 1;
        self.links[key.from().0][key.to().0].delay(draws_by.with(Purpose::Release as u64), flow.releases)
    }

    /// Forgets flows that are neither in use nor have anything on its way.
    pub(crate) fn forget_old_flows(&mut self, now_ns: u64, in_use: impl Fn(FlowKey) -> bool) {
        // A packet still in flight arrives at `last_arrival_ns` at the latest.
        self.flows.retain(|key, flow| !flow.is_quiet_since(now_ns) || in_use(*key));
    }
}

/// The key of a flow whose beginning is not known (any more): hosts and ports.
fn stray(hosts: &[Key], key: FlowKey) -> Key {
    let ports = u64::from(key.source_port()) << 16 | u64::from(key.target_port());
    hosts[key.from().0].with_key(hosts[key.to().0]).with(ports)
}
