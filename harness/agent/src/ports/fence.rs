//! The [`Fence`] port: a tiny process beside the agent that stops PostgreSQL when the end of our leadership passes and nobody has
//! handed it a later one. It is for an agent that is frozen, hung or killed beside a PostgreSQL that goes on taking writes
//! while another node leads; Patroni needs a watchdog device for that, and resets the whole machine.

use std::{
    future::{Future, pending},
    time::Duration,
};

use tokio::time::Instant;

/// Why the dead-man process did not obey.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    /// It does not run, cannot be started, or has no permission to do its work.
    #[error("no dead-man process: {0}")]
    Unavailable(String),
    /// It has not answered in time: it stands still itself.
    #[error("the dead-man process has not answered within {0:?}")]
    Unanswered(Duration),
}

/// The dead-man process of one data directory, as one agent sees it.
///
/// It holds at most one deadline. When that passes it stops whatever PostgreSQL runs on the data directory then, hard, and
/// holds nothing any more: what is started later is none of its business. It reads every order that has arrived before it
/// looks at the clock, so that a dead-man that was itself held up does not act on a deadline that has been replaced. It
/// outlives its agent for as long as it holds a deadline, and ends when the agent is gone and there is nothing to hold.
pub trait Fence: Send + Sync + 'static {
    /// Starts it anew, holding nothing. One of ours that runs already is ended first, whatever it holds.
    fn start(&self) -> impl Future<Output = Result<(), FenceError>> + Send;

    /// Whether the one we started runs. Asked before every request for the lock: an implementation takes it as the moment
    /// to compare its clocks, since a deadline is counted from when the request was sent.
    fn is_running(&self) -> bool;

    /// Completes when the one we started has ended. Never while none runs.
    fn exited(&self) -> impl Future<Output = ()> + Send;

    /// Has it hold `deadline` in place of any other. Completes when it has said that it does.
    fn hold(&self, deadline: Instant) -> impl Future<Output = Result<(), FenceError>> + Send;

    /// Has it hold nothing. Completes when it has said so.
    fn release(&self) -> impl Future<Output = Result<(), FenceError>> + Send;

    /// Ends what earlier agents of this data directory have left behind holding a deadline. Ours is not touched.
    fn retire_others(&self) -> impl Future<Output = Result<(), FenceError>> + Send;
}

/// A node without one.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFence;

impl NoFence {
    fn none() -> FenceError {
        FenceError::Unavailable("this agent has none".into())
    }
}

impl Fence for NoFence {
    async fn start(&self) -> Result<(), FenceError> {
        Err(Self::none())
    }

    fn is_running(&self) -> bool {
        false
    }

    async fn exited(&self) {
        pending().await
    }

    async fn hold(&self, _deadline: Instant) -> Result<(), FenceError> {
        Err(Self::none())
    }

    async fn release(&self) -> Result<(), FenceError> {
        Ok(())
    }

    async fn retire_others(&self) -> Result<(), FenceError> {
        Ok(())
    }
}
