//! How large and how small numbers in a scenario may be: the reader and the JSON Schema go by the same ones.

use std::ops::RangeInclusive;

/// PostgreSQL nodes.
pub(super) const NODES: RangeInclusive<i64> = 1..=99;

/// Clients that write, and clients that read.
pub(super) const CLIENTS: RangeInclusive<i64> = 0..=64;

/// Keys that the writes are spread over.
pub(super) const KEYS: RangeInclusive<i64> = 1..=1_000_000;

/// How often a step is done.
pub(super) const TIMES: RangeInclusive<i64> = 2..=10_000;

/// Rows, changes of leader.
pub(super) const COUNT: RangeInclusive<i64> = 0..=i64::MAX;

/// `failover_priority`, `sync_priority`.
pub(super) const PRIORITY: RangeInclusive<i64> = -1_000_000..=1_000_000;

/// `synchronous_node_count`.
pub(super) const STANDBYS: RangeInclusive<i64> = 1..=99;

/// `max_timelines_history`.
pub(super) const HISTORY: RangeInclusive<i64> = 0..=1_000_000;

/// `watchdog.safety_margin`, in seconds.
pub(super) const MARGIN: RangeInclusive<i64> = -1..=86_400;

/// The longest of Patroni's times, in seconds.
pub(super) const LONGEST: i64 = 86_400;

/// Patroni's times and their least values, in seconds. Legal minima: Patroni's documentation, "Dynamic Configuration Settings".
pub(super) const TIMES_OF_PATRONI: [(&str, u32); 6] = [
    ("ttl", 20),
    ("loop_wait", 1),
    ("retry_timeout", 3),
    ("primary_start_timeout", 0),
    ("primary_stop_timeout", 0),
    ("member_slots_ttl", 0),
];
