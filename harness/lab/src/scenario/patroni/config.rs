//! The dynamic configuration as Patroni keeps it in the DCS, and the rule its three times must keep.

use pgdrill_settings::{Timing, adjust_timing};
use serde_json::{Map, Value, json};

use super::{Patroni, SynchronousMode};

/// `loop_wait + 2 * retry_timeout <= ttl`: only then do a full wait, a failed read and a failed renewal fit into one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimingRule {
    /// `ttl`, seconds.
    pub ttl: u32,
    /// `loop_wait`, seconds.
    pub loop_wait: u32,
    /// `retry_timeout`, seconds.
    pub retry_timeout: u32,
}

impl TimingRule {
    /// Whether it is kept.
    #[must_use]
    pub fn holds(self) -> bool {
        u64::from(self.loop_wait) + 2 * u64::from(self.retry_timeout) <= u64::from(self.ttl)
    }

    /// What Patroni makes of times that break it.
    #[must_use]
    pub fn adjusted(self) -> Self {
        let [ttl, loop_wait, retry_timeout] = [self.ttl, self.loop_wait, self.retry_timeout].map(u64::from);
        let used = adjust_timing(Timing { ttl, loop_wait, retry_timeout });
        let seconds = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
        Self { ttl: seconds(used.ttl), loop_wait: seconds(used.loop_wait), retry_timeout: seconds(used.retry_timeout) }
    }
}

impl Patroni {
    /// The three times.
    #[must_use]
    pub const fn timing(&self) -> TimingRule {
        TimingRule { ttl: self.ttl, loop_wait: self.loop_wait, retry_timeout: self.retry_timeout }
    }

    /// The dynamic configuration: the value of the `config` key, and `bootstrap.dcs` of a `patroni.yml`.
    #[must_use]
    pub fn dynamic_config(&self) -> Map<String, Value> {
        let synchronous_mode = match self.synchronous_mode {
            SynchronousMode::Off => json!(false),
            SynchronousMode::On => json!(true),
            SynchronousMode::Quorum => json!("quorum"),
        };
        let mut postgresql = Map::new();
        postgresql.insert("use_pg_rewind".into(), self.postgresql.use_pg_rewind.into());
        postgresql.insert("use_slots".into(), self.postgresql.use_slots.into());
        postgresql.insert("parameters".into(), self.postgresql.parameters.clone().into());
        for (name, lines) in [("pg_hba", &self.postgresql.pg_hba), ("pg_ident", &self.postgresql.pg_ident)] {
            if !lines.is_empty() {
                postgresql.insert(name.into(), lines.clone().into());
            }
        }
        if !self.postgresql.recovery_conf.is_empty() {
            postgresql.insert("recovery_conf".into(), self.postgresql.recovery_conf.clone().into());
        }
        let mut config = Map::new();
        let mut set = |name: &str, value: Value| config.insert(name.into(), value);
        set("ttl", self.ttl.into());
        set("loop_wait", self.loop_wait.into());
        set("retry_timeout", self.retry_timeout.into());
        set("maximum_lag_on_failover", self.maximum_lag_on_failover.into());
        set("maximum_lag_on_syncnode", self.maximum_lag_on_syncnode.into());
        set("check_timeline", self.check_timeline.into());
        set("max_timelines_history", self.max_timelines_history.into());
        set("primary_start_timeout", self.primary_start_timeout.into());
        set("primary_stop_timeout", self.primary_stop_timeout.into());
        set("synchronous_mode", synchronous_mode);
        set("synchronous_mode_strict", self.synchronous_mode_strict.into());
        set("synchronous_node_count", self.synchronous_node_count.into());
        set("failsafe_mode", self.failsafe_mode.into());
        set("member_slots_ttl", self.member_slots_ttl.into());
        // Written only when they say something: an empty `slots` is not the same as none to `patronictl show-config`.
        if !self.slots.is_empty() {
            set("slots", self.slots.clone().into());
        }
        if !self.ignore_slots.is_empty() {
            set("ignore_slots", self.ignore_slots.clone().into());
        }
        if let Some(standby) = &self.standby_cluster {
            set("standby_cluster", standby.clone().into());
        }
        if self.pause {
            set("pause", true.into());
        }
        set("postgresql", postgresql.into());
        config
    }
}
