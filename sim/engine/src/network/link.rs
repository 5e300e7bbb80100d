//! One direction between two hosts.

use std::{ops::Sub, time::Duration};

use crate::random::{Key, Purpose};

/// How long a packet takes, drawn uniformly for each packet. Packets of one connection never overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The shortest delay.
    pub min: Duration,
    /// The longest delay; not below `min`.
    pub max: Duration,
}

impl Default for Latency {
    /// A data centre with some distance between its halls: 1 to 5 ms.
    fn default() -> Self {
        Self { min: Duration::from_millis(1), max: Duration::from_millis(5) }
    }
}

/// What a directed link did to packets, counted since the simulation began.
///
/// Subtract an earlier reading to see whether a fault has affected anything:
/// ```
/// # use pgdrill_sim_engine::LinkStats;
/// let before = LinkStats { passed: 10, ..LinkStats::default() };
/// let after = LinkStats { passed: 12, held: 1, ..LinkStats::default() };
/// assert!((after - before).affected() > 0, "the cut was not vacuous");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Packets that arrived.
    pub passed: u64,
    /// Packets that a set delay, jitter or loss made late.
    pub delayed: u64,
    /// Packets that a cut, a host without power or a frozen host kept from arriving when they should have.
    pub held: u64,
    /// Packets that never arrived: resets that were lost, and whatever a host without power had still to send.
    pub dropped: u64,
}

impl LinkStats {
    /// Packets that a fault touched.
    #[must_use]
    pub const fn affected(&self) -> u64 {
        self.delayed + self.held + self.dropped
    }
}

impl Sub for LinkStats {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            passed: self.passed - earlier.passed,
            delayed: self.delayed - earlier.delayed,
            held: self.held - earlier.held,
            dropped: self.dropped - earlier.dropped,
        }
    }
}

/// A directed link and its faults.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) latency: Latency,
    pub(crate) extra_delay: Duration,
    pub(crate) jitter: Duration,
    /// Probability, below 1, that a transmission is lost.
    pub(crate) loss: f64,
    pub(crate) cut: bool,
    /// Bytes that pass in a second, where that is limited.
    pub(crate) bytes_per_second: Option<u64>,
    /// When the link is free again, by its bandwidth.
    free_ns: u64,
    pub(crate) stats: LinkStats,
}

impl Link {
    pub(super) fn new(latency: Latency) -> Self {
        Self {
            latency,
            extra_delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            cut: false,
            bytes_per_second: None,
            free_ns: 0,
            stats: LinkStats::default(),
        }
    }

    /// How long the packet number `nth` of a flow takes.
    pub(super) fn delay(&self, flow: Key, nth: u64) -> u64 {
        let nanos = |d: Duration| d.as_nanos() as u64;
        let normal = flow.draw(Purpose::Latency, nth).between(nanos(self.latency.min), nanos(self.latency.max));
        let jitter = match self.jitter.is_zero() {
            true => 0,
            false => flow.draw(Purpose::Jitter, nth).between(0, nanos(self.jitter)),
        };
        normal + nanos(self.extra_delay) + jitter
    }

    /// How many transmissions of the packet number `nth` of a flow are lost before one arrives.
    pub(super) fn losses(&self, flow: Key, nth: u64) -> u32 {
        if self.loss == 0.0 {
            return 0;
        }
        let packet = flow.with(nth);
        let arrives = |transmission: &u32| !packet.draw(Purpose::Loss, u64::from(*transmission)).chance(self.loss);
        (0..).find(arrives).unwrap_or(u32::MAX)
    }

    /// How long a packet that is ready now takes until its last byte is on the link, and whether it waited for others.
    pub(super) fn serialise(&mut self, now_ns: u64, bytes: u64) -> (u64, bool) {
        let Some(rate) = self.bytes_per_second else { return (0, false) };
        let waited = self.free_ns > now_ns;
        let takes = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
        self.free_ns = self.free_ns.max(now_ns) + u64::try_from(takes).unwrap_or(u64::MAX / 2);
        (self.free_ns - now_ns, waited)
    }

    pub(super) fn is_slowed(&self) -> bool {
        !self.extra_delay.is_zero() || !self.jitter.is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_a_narrow_link_wait_for_each_other_and_a_link_without_limit_keeps_nobody() {
        let mut link = Link::new(Latency::default());
        assert_eq!(link.serialise(7, 1_000_000), (0, false));
        link.bytes_per_second = Some(100_000);
        assert_eq!(link.serialise(0, 2_000), (20_000_000, false));
        assert_eq!(link.serialise(5_000_000, 2_000), (35_000_000, true), "15 ms of the first, then its own 20");
        assert_eq!(link.serialise(1_000_000_000, 2_000), (20_000_000, false), "the link was free again");
        link.bytes_per_second = None;
        assert_eq!(link.serialise(1_000_000_000, 2_000), (0, false));
    }
}
