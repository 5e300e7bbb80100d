//! The run's clock: the kernel's monotonic clock, which the lab and the containers on its machine share, counted from time
//! zero of the scenario.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use nix::time::{ClockId, clock_gettime};
use pgdrill_lab::event::At;

/// `CLOCK_MONOTONIC` in nanoseconds. It goes on while a machine's wall clock is set.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has this clock");
    let part = |n: i64| u64::try_from(n).expect("it counts from boot");
    part(now.tv_sec()) * 1_000_000_000 + part(now.tv_nsec())
}

/// Time zero of a scenario. Before it is set, everything happens at zero. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    /// The scenario has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// Time zero was at this moment of the monotonic clock.
    #[must_use]
    pub fn since(zero_ns: u64) -> Self {
        Self(Arc::new(AtomicU64::new(zero_ns)))
    }

    /// Time zero is now. The moment, for those who count from it elsewhere.
    pub fn begin(&self) -> u64 {
        let now = monotonic_ns();
        self.0.store(now, Ordering::SeqCst);
        now
    }

    /// Time since zero.
    #[must_use]
    pub fn now(&self) -> At {
        At(monotonic_ns().saturating_sub(self.0.load(Ordering::SeqCst)))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_scenario_begins_it_is_time_zero() {
        let clock = Clock::new();
        assert_eq!(clock.now(), At(0));
        let zero = clock.begin();
        let (before, elsewhere, after) = (clock.now(), Clock::since(zero).now(), clock.now());
        assert!(before <= elsewhere && elsewhere <= after, "whoever is told time zero has the same clock");
        assert!(Clock::since(zero.saturating_sub(5_000_000_000)).now() >= At::from_secs(5));
    }
}
