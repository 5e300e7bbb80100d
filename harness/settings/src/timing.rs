//! The one rule among the timings: `loop_wait + 2 * retry_timeout <= ttl`.

/// The three timings, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long the leader lock lives without being renewed.
    pub ttl: u64,
    /// How long a cycle waits for the next.
    pub loop_wait: u64,
    /// How long a DCS or PostgreSQL call is retried.
    pub retry_timeout: u64,
}

impl Timing {
    /// The smallest legal values (`patroni/validator.py`, documentation "Dynamic Configuration Settings").
    pub const MIN: Timing = Timing { ttl: 20, loop_wait: 1, retry_timeout: 3 };
    /// The defaults.
    pub const DEFAULT: Timing = Timing { ttl: 30, loop_wait: 10, retry_timeout: 10 };

    /// Whether a wait, a failed read and a failed renewal together end before the lock does.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.loop_wait.saturating_add(self.retry_timeout.saturating_mul(2)) <= self.ttl
    }
}

/// Makes the rule hold as Patroni does (`Config._validate_and_adjust_timeouts`): raise what is below its minimum, then
/// lower `loop_wait` first, and only if that is not enough `retry_timeout` too.
#[must_use]
pub fn adjust_timing(wanted: Timing) -> Timing {
    let ttl = wanted.ttl.max(Timing::MIN.ttl);
    let mut loop_wait = wanted.loop_wait.max(Timing::MIN.loop_wait);
    let mut retry_timeout = wanted.retry_timeout.max(Timing::MIN.retry_timeout);
    let both_retries = retry_timeout.saturating_mul(2);
    if both_retries.saturating_add(Timing::MIN.loop_wait) > ttl {
        loop_wait = Timing::MIN.loop_wait;
        retry_timeout = (ttl - loop_wait) / 2;
    } else if both_retries.saturating_add(loop_wait) > ttl {
        loop_wait = ttl - both_retries;
    }
    Timing { ttl, loop_wait, retry_timeout }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timing(ttl: u64, loop_wait: u64, retry_timeout: u64) -> Timing {
        Timing { ttl, loop_wait, retry_timeout }
    }

    #[test]
    fn loop_wait_is_lowered_before_retry_timeout() {
        assert_eq!(adjust_timing(timing(30, 20, 10)), timing(30, 10, 10));
        assert_eq!(adjust_timing(timing(20, 10, 10)), timing(20, 1, 9));
        assert_eq!(adjust_timing(timing(30, 10, 10)), Timing::DEFAULT);
        assert_eq!(adjust_timing(timing(5, 0, 0)), timing(20, 1, 3));
    }

    proptest! {
        #[test]
        fn adjusted_timings_always_obey_the_rule_and_are_stable(ttl: u64, loop_wait: u64, retry_timeout: u64) {
            let adjusted = adjust_timing(timing(ttl, loop_wait, retry_timeout));
            prop_assert!(adjusted.holds());
            prop_assert!(adjusted.loop_wait >= 1 && adjusted.retry_timeout >= 3 && adjusted.ttl >= 20);
            prop_assert_eq!(adjust_timing(adjusted), adjusted);
        }

        #[test]
        fn timings_that_obey_the_rule_are_left_alone(loop_wait in 1u64..50, retry_timeout in 3u64..50, spare in 0u64..50) {
            let legal = timing((loop_wait + 2 * retry_timeout + spare).max(20), loop_wait, retry_timeout);
            prop_assert_eq!(adjust_timing(legal), legal);
        }
    }
}
