//! Links and their faults. All are directed; the faults take effect at once, also for packets in flight.

use std::time::Duration;

use super::Engine;
use crate::{
    id::HostId,
    network::{Latency, LinkStats},
};

impl Engine {
    /// The latency of every link, present and future.
    pub fn set_default_latency(&mut self, latency: Latency) {
        assert!(latency.min <= latency.max, "the shortest latency is above the longest");
        self.network.set_default_latency(latency);
    }

    /// The latency of one directed link.
    pub fn set_latency(&mut self, from: HostId, to: HostId, latency: Latency) {
        assert!(latency.min <= latency.max, "the shortest latency is above the longest");
        self.network.link_mut(from, to).latency = latency;
    }

    /// Slows packets that leave from now on by `delay` and up to `jitter` more. Zero for both ends it.
    pub fn set_delay(&mut self, from: HostId, to: HostId, delay: Duration, jitter: Duration) {
        let link = self.network.link_mut(from, to);
        (link.extra_delay, link.jitter) = (delay, jitter);
    }

    /// Only so many bytes per second leave `from` for `to` from now on; the others wait their turn. `None` ends it.
    pub fn set_bandwidth(&mut self, from: HostId, to: HostId, bytes_per_second: Option<u64>) {
        self.network.link_mut(from, to).bytes_per_second = bytes_per_second;
    }

    /// The probability (0 to 0.99) that a transmission is lost. A lost segment is sent again after 200 ms, 400 ms and so on
    /// (a SYN after 1 s, 2 s, ...); a stream never gets a hole. Only a reset is lost for good.
    pub fn set_loss(&mut self, from: HostId, to: HostId, probability: f64) {
        assert!((0.0..=0.99).contains(&probability), "a loss of {probability} is not within 0 and 0.99: use a cut");
        self.network.link_mut(from, to).loss = probability;
    }

    /// Nothing arrives at `to` from `from` any more, packets in flight included.
    pub fn cut(&mut self, from: HostId, to: HostId) {
        self.network.link_mut(from, to).cut = true;
        self.arm_probes(|key| (key.from(), key.to()) == (from, to) || (key.from(), key.to()) == (to, from));
    }

    /// Cuts both directions.
    pub fn cut_both(&mut self, a: HostId, b: HostId) {
        self.cut(a, b);
        self.cut(b, a);
    }

    /// Ends a cut: what was held arrives with its sender's next retransmission.
    pub fn heal(&mut self, from: HostId, to: HostId) {
        self.network.link_mut(from, to).cut = false;
        self.release_where(|key| key.from() == from && key.to() == to);
    }

    /// Heals both directions.
    pub fn heal_both(&mut self, a: HostId, b: HostId) {
        self.heal(a, b);
        self.heal(b, a);
    }

    /// Whether the directed link is cut.
    #[must_use]
    pub fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.network.link(from, to).cut
    }

    /// What the directed link has done to packets since the simulation began.
    #[must_use]
    pub fn link_stats(&self, from: HostId, to: HostId) -> LinkStats {
        self.network.link(from, to).stats
    }
}
