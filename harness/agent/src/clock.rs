//! The agent's monotonic clock: [`Monotonic`] moments counted from the agent's start.

use std::time::Duration;

use pgdrill_ha::Monotonic;
use tokio::time::Instant;

/// Converts between tokio's instants and the state machine's moments.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now, at one second: the moment 0 stays free for "never".
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Monotonic {
        Monotonic(self.start.elapsed() + Duration::from_secs(1))
    }

    /// When that moment is for tokio's timers.
    #[must_use]
    pub fn instant(&self, moment: Monotonic) -> Instant {
        self.start + moment.0.saturating_sub(Duration::from_secs(1))
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
