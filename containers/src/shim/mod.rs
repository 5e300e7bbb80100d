//! The fault shim: a small library that is preloaded into agent and PostgreSQL of a node, for what containers share with their
//! host and a fault must not: the wall clock and the disk's fsync.
//!
//! It is C, compiled into this program: a library that replaces `clock_gettime` must not bring a runtime that reads the clock
//! itself, and 100 lines that make system calls need no C library of a certain version. libfaketime was no alternative: it
//! moves the monotonic clock too. A statically linked program (etcd is written in Go) is reached by neither.

/// The compiled library, for the processor that pgdrill was built for.
pub const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fault_shim.so"));

/// Where the lab puts it in a container.
pub const LIBRARY_PATH: &str = "/usr/local/lib/pgdrill-fault-shim.so";

/// The file that steers it, in a container.
pub const STEERING_PATH: &str = "/run/pgdrill-shim";

/// The environment of a process that is to be reached: set it for the agent, which hands it down to PostgreSQL. An agent keeps
/// variables that begin with PG from PostgreSQL's programs.
#[must_use]
pub fn environment() -> [(String, String); 2] {
    [("LD_PRELOAD".into(), LIBRARY_PATH.into()), ("FAULT_SHIM_STEERING".into(), STEERING_PATH.into())]
}
