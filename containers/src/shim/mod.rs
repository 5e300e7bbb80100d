//! The fault shim: a small library that is preloaded into agent and PostgreSQL of a node, for what containers share with their
//! host and a fault must not: the wall clock and the disk's fsync; and for a watchdog device, whose reset would be the host's.
//!
//! It is C, compiled into this program: a library that replaces `clock_gettime` must not bring a runtime that reads the clock
//! itself, and 200 lines that make system calls need no C library of a certain version. libfaketime was no alternative: it
//! moves the monotonic clock too. A statically linked program (etcd is written in Go) is reached by neither.

use pgdrill_lab::scenario::{Action, Scenario};

/// The compiled library, for the processor that pgdrill was built for.
pub const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fault_shim.so"));

/// Where the lab puts it in a container.
pub const LIBRARY_PATH: &str = "/usr/local/lib/pgdrill-fault-shim.so";

/// The file that steers it, in a container.
pub const STEERING_PATH: &str = "/run/pgdrill-shim";

/// Where the watchdog device is in a container: Patroni's default for `watchdog.device`.
pub const WATCHDOG_PATH: &str = "/dev/watchdog";

/// The kind of device that [`WATCHDOG_PATH`] is: it swallows what is written, as /dev/null does; the shim does the rest.
pub const WATCHDOG_DEVICE: &str = "c 1 3";

/// The environment of a process that is to be reached: set it for the agent, which hands it down to PostgreSQL. An agent keeps
/// variables that begin with PG from PostgreSQL's programs.
#[must_use]
pub fn environment() -> [(String, String); 2] {
    [("LD_PRELOAD".into(), LIBRARY_PATH.into()), ("FAULT_SHIM_STEERING".into(), STEERING_PATH.into())]
}

/// Whether the scenario needs the fault shim in its nodes' processes. Other scenarios are played without it.
#[must_use]
pub fn is_wanted(scenario: &Scenario) -> bool {
    let by_shim = |action: &Action| matches!(action, Action::ClockStep { .. } | Action::SlowFsync { .. });
    let watched = |node: &String| scenario.cluster.has_watchdog_device(node);
    scenario.timeline.iter().any(|step| by_shim(&step.action)) || scenario.cluster.node_names().iter().any(watched)
}
