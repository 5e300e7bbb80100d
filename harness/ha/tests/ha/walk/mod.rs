//! Several state machines walked at once on a hostile DCS: what `decide` says, carried out as the agent carries it out.
//!
//! | file | what |
//! |---|---|
//! | `dcs` | etcd's rules: leases, revisions, compare-and-swap |
//! | `link` | what becomes of requests: lost, late, answered late; also of the REST calls between nodes |
//! | `postgres` | a toy PostgreSQL |
//! | `node`, `cycle`, `act`, `lock`, `task` | the agent: the loop in steps, its actions, its tasks |
//! | `world`, `wal` | time, and everything that goes by it; clients and replication |
//! | `event` | what hostile things happen, as a list that can be read and shrunk |
//! | `judge` | what must never be, seen from outside |
//! | `random`, `exhaustive`, `played` | the walks |
//!
//! A walk is a list of events. Between them the nodes run as far as they can; a node that is to stand still does so after any
//! single step of its loop. Time goes in quanta of [`QUANTUM`], so that a walk is the same whenever it is repeated.

mod act;
mod cycle;
mod dcs;
mod event;
mod exhaustive;
mod judge;
mod link;
mod lock;
mod node;
mod played;
mod postgres;
mod random;
mod task;
mod wal;
mod world;

/// Milliseconds of the DCS's clock.
pub type Ms = u64;

/// The time between two looks at clocks.
pub const QUANTUM: Ms = 250;
pub const TTL: Ms = 30_000;
pub const LOOP_WAIT: Ms = 10_000;
pub const RETRY_TIMEOUT: Ms = 10_000;

pub const NAMES: [&str; 3] = ["pg1", "pg2", "pg3"];

/// What a node is called.
pub const fn name(node: usize) -> &'static str {
    NAMES[node]
}

/// What stops a primary whose agent does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The dead-man process.
    Fence,
    Watchdog,
    /// Nothing, as in Patroni without watchdog.
    Nothing,
}
