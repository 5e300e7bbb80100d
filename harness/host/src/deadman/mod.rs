//! The dead-man process: a tiny process beside the agent that stops PostgreSQL when the end of the leadership passes and
//! nobody has handed it a later one. See [`pgdrill_agent::ports::Fence`] for what it promises.
//!
//! | file | what |
//! |---|---|
//! | `fence` | the agent's side: starts it, hands it deadlines, waits for its word |
//! | `process` | the process itself: orders, then the clock |
//! | `guard` | stopping PostgreSQL hard, and no other than that one |
//! | `found` | PostgreSQL's processes, by `/proc` |
//! | `clock` | the clock that counts suspended time |
//! | `wire` | the two fixed-size messages between them |
//!
//! It is the same program as the agent, started as `pgdrill internal deadman DATA_DIR` with an empty environment: it knows no
//! password, opens no file outside `/proc` and no socket, and listens to the one connection it was started with.

mod clock;
mod fence;
mod found;
mod guard;
mod process;
mod wire;

pub use fence::DeadMan;
pub use process::run;
