//! What a host's clocks show at a given simulated time.
//!
//! The engine counts true time in nanoseconds since the start of the simulation. A host sees it through two clocks, as on
//! Linux: the monotonic one, which may run fast or slow, and the wall clock, which is the monotonic one plus an offset that
//! can be stepped. Drift moves both, a step only the wall clock.

/// Wall time at the start of every simulation: 2023-11-14 22:13:20 UTC.
const WALL_AT_START_NS: i64 = 1_700_000_000_000_000_000;

/// Uptime at the start of every simulation: a day, so that code may subtract from an `Instant` as on a real machine.
const UPTIME_AT_START_NS: u64 = 86_400_000_000_000;

const PER_MILLION: i128 = 1_000_000;

/// A host's clock, piecewise linear in true time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostClock {
    /// True time at which the current rate began.
    anchor_ns: u64,
    /// What the monotonic clock showed then, without the uptime at the start.
    shown_at_anchor_ns: u64,
    /// How much faster than true time it runs.
    drift_ppm: i64,
    wall_offset_ns: i64,
}

impl HostClock {
    pub(crate) const fn new() -> Self {
        Self { anchor_ns: 0, shown_at_anchor_ns: 0, drift_ppm: 0, wall_offset_ns: 0 }
    }

    /// The monotonic clock, counted from the start of the simulation.
    pub(crate) const fn elapsed(&self, now_ns: u64) -> u64 {
        let passed_ns = now_ns - self.anchor_ns;
        // Nearly every clock is right, and it is read several times a step: a division of 128 bits would cost more than the rest.
        if self.drift_ppm == 0 {
            return self.shown_at_anchor_ns + passed_ns;
        }
        let passed = passed_ns as i128;
        (self.shown_at_anchor_ns as i128 + passed + passed * self.drift_ppm as i128 / PER_MILLION) as u64
    }

    /// `CLOCK_MONOTONIC`.
    pub(crate) const fn monotonic(&self, now_ns: u64) -> u64 {
        UPTIME_AT_START_NS + self.elapsed(now_ns)
    }

    /// `CLOCK_REALTIME`, in nanoseconds since 1970.
    pub(crate) const fn wall(&self, now_ns: u64) -> i64 {
        WALL_AT_START_NS + self.wall_offset_ns + self.elapsed(now_ns) as i64
    }

    /// The first true time at which [`Self::elapsed`] is at least `shown_ns`.
    pub(crate) fn true_time_of(&self, shown_ns: u64) -> u64 {
        if shown_ns <= self.shown_at_anchor_ns {
            return self.anchor_ns;
        }
        if self.drift_ppm == 0 {
            return self.anchor_ns + (shown_ns - self.shown_at_anchor_ns);
        }
        let shown = i128::from(shown_ns - self.shown_at_anchor_ns);
        let mut at_ns = self.anchor_ns + (shown * PER_MILLION / (PER_MILLION + i128::from(self.drift_ppm))) as u64;
        // The division rounded down: at most a few nanoseconds are missing.
        while self.elapsed(at_ns) < shown_ns {
            at_ns += 1;
        }
        at_ns
    }

    /// Lets the clock run `ppm` parts per million fast (negative: slow) from now on.
    pub(crate) fn set_drift(&mut self, now_ns: u64, ppm: i64) {
        assert!(ppm > -1_000_000, "a clock that runs {ppm} ppm fast stands still or runs backwards");
        self.shown_at_anchor_ns = self.elapsed(now_ns);
        self.anchor_ns = now_ns;
        self.drift_ppm = ppm;
    }

    /// Moves the wall clock by `step_ns`, which may be negative.
    pub(crate) const fn step_wall(&mut self, step_ns: i64) {
        self.wall_offset_ns += step_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn drift_begins_when_it_is_set_and_does_not_jump() {
        let mut clock = HostClock::default();
        clock.set_drift(10 * SECOND, 50_000);
        assert_eq!(clock.elapsed(10 * SECOND), 10 * SECOND);
        assert_eq!(clock.elapsed(30 * SECOND), 31 * SECOND);
        clock.set_drift(30 * SECOND, 0);
        assert_eq!(clock.elapsed(40 * SECOND), 41 * SECOND);
    }

    #[test]
    fn a_step_moves_the_wall_clock_alone() {
        let mut clock = HostClock::default();
        let before = (clock.wall(SECOND), clock.monotonic(SECOND));
        clock.step_wall(-5 * SECOND as i64);
        assert_eq!((clock.wall(SECOND), clock.monotonic(SECOND)), (before.0 - 5 * SECOND as i64, before.1));
    }

    #[test]
    fn a_timer_is_due_at_the_first_instant_that_shows_it() {
        for ppm in [-300_000, -7, 0, 3, 50_000, 1_000_000] {
            let mut clock = HostClock::default();
            clock.set_drift(3 * SECOND, ppm);
            for shown in [3 * SECOND + 1, 4 * SECOND, 77 * SECOND + 123_456_789] {
                let at = clock.true_time_of(shown);
                assert!(clock.elapsed(at) >= shown, "{ppm} ppm: too early");
                assert!(clock.elapsed(at - 1) < shown, "{ppm} ppm: late");
            }
        }
    }
}
