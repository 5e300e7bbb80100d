//! When Linux sends an unacknowledged segment again, and when it gives up.
//!
//! The socket stack's own retransmission counts calls instead of time and is switched off; these are the times a Linux
//! sender keeps with its default settings (tcp(7)).

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

/// `TCP_RTO_MIN`: on a fast network the smallest retransmission time-out is what counts.
const FIRST_RTO_NS: u64 = 200 * MILLISECOND;

/// `TCP_TIMEOUT_INIT`: before a round trip was ever measured.
const FIRST_SYN_RTO_NS: u64 = SECOND;

/// `TCP_RTO_MAX`.
const LONGEST_RTO_NS: u64 = 120 * SECOND;

/// `tcp_retries2` = 15: "a hypothetical timeout of 924.6 seconds".
pub(crate) const CONNECTION_GIVE_UP_NS: u64 = 924_600 * MILLISECOND;

/// `tcp_orphan_retries` = 8: how long the kernel goes on for a socket that its process has closed.
pub(crate) const ORPHAN_GIVE_UP_NS: u64 = 102_200 * MILLISECOND;

/// The first retransmission at or after `now_ns` of a segment first sent at `sent_ns`.
pub(crate) fn next_retransmission(sent_ns: u64, now_ns: u64, syn: bool) -> u64 {
    let mut rto_ns = if syn { FIRST_SYN_RTO_NS } else { FIRST_RTO_NS };
    let mut at_ns = sent_ns + rto_ns;
    while at_ns < now_ns {
        rto_ns = (rto_ns * 2).min(LONGEST_RTO_NS);
        at_ns += rto_ns;
    }
    at_ns
}

/// How much later a segment arrives whose first `lost` transmissions were lost.
pub(super) fn after_losses(lost: u32, syn: bool) -> u64 {
    let mut rto_ns = if syn { FIRST_SYN_RTO_NS } else { FIRST_RTO_NS };
    let mut late_ns = 0;
    for _ in 0..lost {
        late_ns += rto_ns;
        rto_ns = (rto_ns * 2).min(LONGEST_RTO_NS);
    }
    late_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retransmissions_back_off_by_doubling() {
        let ms = |n: u64| n * MILLISECOND;
        for (healed, expected) in [(0, 200), (200, 200), (201, 600), (600, 600), (5_000, 6_200), (60_000, 102_200)] {
            assert_eq!(next_retransmission(0, ms(healed), false), ms(expected), "healed after {healed} ms");
        }
        for (healed, expected) in [(1, 1_000), (1_001, 3_000), (8_000, 15_000)] {
            assert_eq!(next_retransmission(0, ms(healed), true), ms(expected), "SYN, healed after {healed} ms");
        }
    }

    #[test]
    fn the_back_off_stops_at_two_minutes() {
        let late = next_retransmission(0, 2_000 * SECOND, false);
        assert!(late - 2_000 * SECOND <= 120 * SECOND);
    }

    #[test]
    fn the_fifteenth_retransmission_is_the_last() {
        // Linux gives up when the time-out after the fifteenth retransmission has passed.
        assert_eq!(after_losses(16, false), CONNECTION_GIVE_UP_NS);
        assert_eq!(after_losses(9, false), ORPHAN_GIVE_UP_NS);
    }
}
