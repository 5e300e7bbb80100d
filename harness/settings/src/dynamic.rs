//! What a dynamic configuration comes to: every setting that the whole cluster shares, typed. What cannot be read counts as
//! Patroni's default (`GlobalConfig` of `patroni/global_config.py`), and is told by [`check`](crate::check::check).

use serde_json::Value;

use crate::{Timing, adjust_timing, remote::is_standby_cluster, value};

/// `synchronous_mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SynchronousMode {
    /// Asynchronous replication.
    #[default]
    Off,
    /// Named standbys, each of which has every acknowledged commit.
    On,
    /// Any n of a set of voters (`ANY n (...)`).
    Quorum,
}

/// The settings of the whole cluster. Times in seconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dynamic {
    /// `ttl`, `loop_wait` and `retry_timeout` as they are kept to: raised and lowered by Patroni's rule.
    pub timing: Timing,
    /// `maximum_lag_on_failover`.
    pub maximum_lag_on_failover: u64,
    /// `maximum_lag_on_syncnode`; `None`: a standby is never too far behind.
    pub maximum_lag_on_syncnode: Option<u64>,
    /// `check_timeline`.
    pub check_timeline: bool,
    /// `max_timelines_history`; 0 keeps all.
    pub max_timelines_history: u32,
    /// `primary_start_timeout`; 0 fails over at once.
    pub primary_start_timeout: u64,
    /// `primary_stop_timeout`; 0 waits for ever.
    pub primary_stop_timeout: u64,
    /// `synchronous_mode`.
    pub synchronous_mode: SynchronousMode,
    /// `synchronous_mode_strict`.
    pub synchronous_mode_strict: bool,
    /// `synchronous_node_count`, at least 1.
    pub synchronous_node_count: u32,
    /// `failsafe_mode`.
    pub failsafe_mode: bool,
    /// `member_slots_ttl`.
    pub member_slots_ttl: u64,
    /// `pause`.
    pub pause: bool,
    /// Whether `standby_cluster` names something to replicate from.
    pub is_standby_cluster: bool,
    /// `postgresql.use_slots`.
    pub use_slots: bool,
}

impl Default for Dynamic {
    fn default() -> Self {
        Self::of(&Value::Null)
    }
}

impl Dynamic {
    /// Reads a document: `/config`, or `bootstrap.dcs` of a `patroni.yml`.
    #[must_use]
    pub fn of(document: &Value) -> Self {
        let get = |name: &str| document.get(name).filter(|value| !value.is_null());
        let flag = |name: &str| get(name).and_then(value::switch).unwrap_or(false);
        let integer = |name: &str| get(name).and_then(|value| value::integer(value, None));
        let count = |name: &str, default: u64| integer(name).map_or(default, unsigned);
        let lease = |name: &str, default: u64| get(name).and_then(value::plain_integer).map_or(default, unsigned);
        // What has the new name is not looked for under the old one, even if it cannot be read.
        let renamed =
            |new: &str, old: &str, default| count(if document.get(new).is_some() { new } else { old }, default);
        Self {
            timing: adjust_timing(Timing {
                ttl: lease("ttl", Timing::DEFAULT.ttl),
                loop_wait: lease("loop_wait", Timing::DEFAULT.loop_wait),
                retry_timeout: lease("retry_timeout", Timing::DEFAULT.retry_timeout),
            }),
            maximum_lag_on_failover: count("maximum_lag_on_failover", 1_048_576),
            maximum_lag_on_syncnode: integer("maximum_lag_on_syncnode").filter(|bytes| *bytes > 0).map(unsigned),
            check_timeline: flag("check_timeline"),
            max_timelines_history: small(count("max_timelines_history", 0)),
            primary_start_timeout: renamed("primary_start_timeout", "master_start_timeout", 300),
            primary_stop_timeout: renamed("primary_stop_timeout", "master_stop_timeout", 0),
            synchronous_mode: get("synchronous_mode").map_or(SynchronousMode::Off, synchronous_mode),
            synchronous_mode_strict: flag("synchronous_mode_strict"),
            synchronous_node_count: small(count("synchronous_node_count", 1)).max(1),
            failsafe_mode: flag("failsafe_mode"),
            member_slots_ttl: get("member_slots_ttl").and_then(|v| value::integer(v, Some("s"))).map_or(1800, unsigned),
            pause: flag("pause"),
            is_standby_cluster: get("standby_cluster").is_some_and(is_standby_cluster),
            use_slots: document.pointer("/postgresql/use_slots").and_then(value::switch).unwrap_or(true),
        }
    }

    /// Whether synchronous replication is managed. Never in a standby cluster (documentation "Standby cluster").
    #[must_use]
    pub fn is_synchronous(&self) -> bool {
        self.synchronous_mode != SynchronousMode::Off && !self.is_standby_cluster
    }
}

fn synchronous_mode(value: &Value) -> SynchronousMode {
    match (value.as_str(), value::switch(value)) {
        (Some(word), _) if word.eq_ignore_ascii_case("quorum") => SynchronousMode::Quorum,
        (_, Some(true)) => SynchronousMode::On,
        _ => SynchronousMode::Off,
    }
}

/// What is negative counts as nothing.
fn unsigned(number: i128) -> u64 {
    u64::try_from(number.max(0)).unwrap_or(u64::MAX)
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_spelling_counts() {
        let read = Dynamic::of(&json!({
            "ttl": "40", "loop_wait": "5", "retry_timeout": "7", "maximum_lag_on_failover": "10485760",
            "maximum_lag_on_syncnode": "0x100", "max_timelines_history": "5", "primary_start_timeout": "60",
            "master_stop_timeout": "9", "synchronous_mode": "true", "synchronous_mode_strict": "True",
            "synchronous_node_count": "2", "failsafe_mode": "On", "member_slots_ttl": "5min", "check_timeline": 1,
            "pause": "yes", "standby_cluster": {"port": "5433"}, "postgresql": {"use_slots": "OFF"},
        }));
        let expected = Dynamic {
            timing: Timing { ttl: 40, loop_wait: 5, retry_timeout: 7 },
            maximum_lag_on_failover: 10_485_760,
            maximum_lag_on_syncnode: Some(256),
            check_timeline: true,
            max_timelines_history: 5,
            primary_start_timeout: 60,
            primary_stop_timeout: 9,
            synchronous_mode: SynchronousMode::On,
            synchronous_mode_strict: true,
            synchronous_node_count: 2,
            failsafe_mode: true,
            member_slots_ttl: 300,
            pause: true,
            is_standby_cluster: true,
            use_slots: false,
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn what_cannot_be_read_is_patronis_default() {
        let odd = Dynamic::of(&json!({
            "ttl": "long", "loop_wait": [], "maximum_lag_on_failover": "10MB", "maximum_lag_on_syncnode": -1,
            "primary_start_timeout": "5min", "master_start_timeout": 7, "synchronous_mode": "maybe",
            "synchronous_node_count": 0, "failsafe_mode": 7, "member_slots_ttl": "1MB", "max_timelines_history": -3,
            "standby_cluster": {"create_replica_methods": ["x"]}, "postgresql": [],
        }));
        assert_eq!(odd, Dynamic::default());
        assert_eq!(odd.timing, Timing::DEFAULT);
    }
}
