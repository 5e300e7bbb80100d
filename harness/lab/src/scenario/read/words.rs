//! Words that people write at first, and the right ones: from kubectl, chaos tools, older Patroni and plain English.

/// Of an action that is not one: what to write instead.
const ACTIONS: &[(&[&str], &str)] = &[
    (&["partition", "isolate", "disconnect", "split", "block", "network_partition"], "cut: { isolate: leader }"),
    (&["unblock", "reconnect", "unpartition"], "heal: all"),
    (&["latency", "slow", "lag"], "delay: { between: [leader, replicas], add: 100ms }"),
    (&["packet_loss", "drop", "lose"], "loss: { isolate: leader, probability: 30% }"),
    (&["throttle", "limit", "narrow"], "bandwidth: { isolate: leader, rate: 1MiB/s }"),
    (
        &["crash", "sigkill", "terminate"],
        "kill: { process: postgres, on: leader }, or power_off: leader for the whole host",
    ),
    (
        &["shutdown", "sigterm", "shut_down"],
        "stop: { process: agent, on: leader }, or power_off: leader for the whole host",
    ),
    (&["reboot", "reset", "power_cycle"], "power_off: leader, with `for: 30s` in the same line"),
    (&["boot", "poweron"], "power_on: pg1"),
    (&["poweroff", "power_loss"], "power_off: leader"),
    (&["suspend", "hang", "stall", "sigstop"], "freeze: leader"),
    (&["unfreeze", "sigcont", "continue"], "thaw: leader"),
    (&["unpause"], "resume: cluster"),
    (&["maintenance"], "pause: cluster"),
    (&["promote"], "failover: { candidate: pg2 }, or switchover: { candidate: pg2 }"),
    (&["reinit", "rebuild"], "reinitialize: pg2"),
    (&["edit-config", "patch", "config", "set"], "edit_config: { ttl: 60 }"),
    (&["clock", "time", "clock_skew", "skew", "clock_jump"], "clock_step: { on: leader, by: 5m }, or clock_drift"),
    (&["disk", "fill_disk", "enospc"], "disk_full: leader"),
    (&["fsync", "slow_disk", "io_delay"], "slow_fsync: { on: leader, delay: 500ms }"),
    (&["dns"], "dns_fail: leader"),
    (&["wait", "sleep"], "a later `at` in the next line"),
];

/// Of a selector that is not one: ours, or how it is written.
const SELECTORS: &[(&[&str], &str)] = &[
    (&["primary", "master", "writer"], "leader"),
    (
        &["replica", "standby", "standbys", "slave", "slaves", "secondary", "secondaries", "follower"],
        "any replica, or replicas",
    ),
    (&["sync", "sync_standby", "sync-standby", "synchronous"], "sync standby"),
    (&["async", "async_standby"], "async standby"),
    (&["all", "any", "cluster", "hosts"], "everything, or nodes"),
    (&["node", "postgresql", "databases", "db"], "nodes, or one by its name: pg1"),
    (&["client", "app", "application"], "clients, or one by its name: client1"),
    (&["proxy", "router", "loadbalancer"], "haproxy"),
    (&["dcs", "consul", "zookeeper"], "etcd"),
    (&["etcd-leader", "etcd_leader"], "etcd leader"),
    (&["random", "one"], "any replica"),
    (&["candidate", "candidates"], "any candidate"),
];

/// Of a process that is not one.
const PROCESSES: &[(&[&str], &str)] = &[
    (&["patroni", "pgdrill"], "agent: Patroni's process, or that of pgdrill's agent"),
    (&["postgresql", "postmaster", "pg", "database"], "postgres"),
    (&["host", "node", "machine", "vm"], "no process: power_off or freeze for the whole host"),
    (&["watchdog"], "deadman for the dead-man process; a watchdog device cannot be killed"),
];

fn right_word(table: &[(&[&str], &str)], written: &str) -> Option<String> {
    let written = written.to_ascii_lowercase();
    let found = table.iter().find(|(words, _)| words.contains(&written.as_str()));
    found.map(|(_, right)| format!("write {right}"))
}

/// What to write instead of an action that there is not.
pub(super) fn action(written: &str) -> Option<String> {
    right_word(ACTIONS, written)
}

/// What to write instead of a selector that there is not; the name of a process is none.
pub(in crate::scenario) fn selector(written: &str) -> Option<String> {
    if super::PROCESSES.iter().any(|(name, _)| *name == written) {
        return Some(format!(
            "{written} is a process: {{ process: {written}, on: leader }}, where an action takes processes"
        ));
    }
    right_word(SELECTORS, written)
}

/// What to write instead of a process that there is not.
pub(super) fn process(written: &str) -> Option<String> {
    right_word(PROCESSES, written)
}
