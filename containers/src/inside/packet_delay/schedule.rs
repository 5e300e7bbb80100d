//! When each packet of a link goes out: delay, jitter, bandwidth, and the order of flows.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{Counts, Held};

/// A router's buffer: what waits longer than this for its turn is dropped.
const LONGEST_LINE: Duration = Duration::from_secs(1);

/// More flows than this are not remembered; those that are idle are forgotten first.
const FLOWS: usize = 4_096;

/// Addresses, ports and protocol of a packet, as they are in its headers.
type Flow = [u8; 13];

/// The times of one link.
pub(super) struct Schedule {
    delay: Duration,
    jitter: Duration,
    bytes_per_second: Option<u64>,
    /// When the link is free again, by its bandwidth.
    free: Instant,
    /// When the last packet of each flow goes out: none of it may go out earlier.
    last: BTreeMap<Flow, Instant>,
    /// State of a small generator (xorshift): jitter needs no better one.
    random: u64,
}

impl Schedule {
    pub(super) fn new(held: &Held, now: Instant) -> Self {
        Self {
            delay: held.delay,
            jitter: held.jitter,
            bytes_per_second: held.bytes_per_second.filter(|rate| *rate > 0),
            free: now,
            last: BTreeMap::new(),
            random: 88_172_645_463_325_252,
        }
    }

    /// When a packet that came in at `now` goes out; `None`: the line is full and it is dropped.
    pub(super) fn due(&mut self, now: Instant, headers: &[u8], bytes: usize, counts: &mut Counts) -> Option<Instant> {
        let sent = self.sent(now, bytes, counts)?;
        let due = sent + self.delay + self.draw();
        let Some(flow) = flow_of(headers) else { return Some(due) };
        if self.last.len() > FLOWS {
            self.last.retain(|_, last| *last > now);
        }
        let last = self.last.entry(flow).or_insert(due);
        // The map of waiting packets breaks ties by arrival.
        *last = due.max(*last);
        Some(*last)
    }

    /// When its last byte has been put on the link.
    fn sent(&mut self, now: Instant, bytes: usize, counts: &mut Counts) -> Option<Instant> {
        let Some(rate) = self.bytes_per_second else { return Some(now) };
        if self.free.saturating_duration_since(now) > LONGEST_LINE {
            counts.dropped += 1;
            return None;
        }
        if self.free > now {
            counts.waited += 1;
        }
        self.free = self.free.max(now) + Duration::from_secs_f64(bytes as f64 / rate as f64);
        Some(self.free)
    }

    fn draw(&mut self) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let most = u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.random.checked_rem(most).unwrap_or(0))
    }
}

/// Of an IPv4 packet; `None` for anything else.
fn flow_of(headers: &[u8]) -> Option<Flow> {
    let first = *headers.first()?;
    if first >> 4 != 4 {
        return None;
    }
    let mut flow = [0; 13];
    flow[0] = *headers.get(9)?;
    flow[1..9].copy_from_slice(headers.get(12..20)?);
    let ports = usize::from(first & 0x0f) * 4;
    // ICMP has no ports there, but what it has there tells one conversation from another as well.
    if let Some(found) = headers.get(ports..ports + 4) {
        flow[9..].copy_from_slice(found);
    }
    Some(flow)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(delay_ms: u64, jitter_ms: u64, rate: Option<u64>) -> Held {
        Held {
            queue: 1,
            delay: Duration::from_millis(delay_ms),
            jitter: Duration::from_millis(jitter_ms),
            bytes_per_second: rate,
            counts: "unused".into(),
        }
    }

    /// The headers of a TCP segment between two ports.
    fn segment(from: u16, to: u16) -> Vec<u8> {
        let mut headers = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 172, 30, 0, 11, 172, 30, 0, 12];
        headers.extend(from.to_be_bytes());
        headers.extend(to.to_be_bytes());
        headers
    }

    #[test]
    fn packets_of_a_flow_stay_in_order_whatever_the_jitter() {
        let (now, mut counts) = (Instant::now(), Counts::default());
        let mut schedule = Schedule::new(&held(50, 40, None), now);
        let due: Vec<Instant> = (0..200)
            .map(|n| {
                let came = now + Duration::from_micros(n * 10);
                schedule.due(came, &segment(5_432, 40_000), 100, &mut counts).expect("no bandwidth is set")
            })
            .collect();
        assert!(due.is_sorted());
        assert!(due[0] >= now + Duration::from_millis(50));
        assert!(due[199] <= now + Duration::from_millis(92));
    }

    #[test]
    fn another_flow_may_overtake() {
        let (now, mut counts) = (Instant::now(), Counts::default());
        let mut schedule = Schedule::new(&held(50, 40, None), now);
        let dues: Vec<Instant> = (0..50)
            .map(|port| schedule.due(now, &segment(5_432, port), 100, &mut counts).expect("no bandwidth is set"))
            .collect();
        assert!(!dues.is_sorted(), "each flow draws its own jitter");
    }

    #[test]
    fn a_narrow_link_lets_so_many_bytes_pass_and_drops_what_does_not_fit() {
        let (now, mut counts) = (Instant::now(), Counts::default());
        let mut schedule = Schedule::new(&held(0, 0, Some(100_000)), now);
        let due: Vec<Option<Instant>> =
            (0..100).map(|_| schedule.due(now, &segment(1, 2), 2_000, &mut counts)).collect();
        assert_eq!(due[0], Some(now + Duration::from_millis(20)), "2,000 bytes at 100,000 a second");
        assert_eq!(due[9], Some(now + Duration::from_millis(200)));
        assert_eq!(due[99], None, "two seconds behind");
        assert!(counts.waited > 0 && counts.dropped > 0);
    }

    #[test]
    fn what_is_no_ipv4_has_no_flow() {
        assert_eq!(flow_of(&[0x60, 0, 0]), None);
        assert_eq!(flow_of(&[]), None);
        assert!(flow_of(&segment(1, 2)).is_some());
    }
}
