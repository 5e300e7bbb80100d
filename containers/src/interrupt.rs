//! Giving up: whoever ends the process early says so here first, so that nothing is left behind.

use std::{
    sync::{Condvar, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

static GIVEN_UP: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));
static RUNS: Mutex<usize> = Mutex::new(0);
static FEWER: Condvar = Condvar::new();

/// Ends every real run of this process, removes what they made, and waits for that, up to `patience`. Whether all is gone;
/// what is not is removed by the next pgdrill that plays in containers.
#[must_use]
pub fn give_up(patience: Duration) -> bool {
    GIVEN_UP.send_replace(true);
    let until = Instant::now() + patience;
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    while *runs > 0 {
        let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
        runs = FEWER.wait_timeout(runs, left).unwrap_or_else(PoisonError::into_inner).0;
    }
    true
}

/// Comes back when everything is to be given up.
pub(crate) async fn given_up() {
    let mut seen = GIVEN_UP.subscribe();
    // The sender lives as long as the process.
    let _ = seen.wait_for(|given_up| *given_up).await;
}

/// As long as it lives, [`give_up`] waits.
pub(crate) struct Under(());

impl Under {
    /// A run begins.
    pub(crate) fn way() -> Self {
        *RUNS.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Self(())
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        *RUNS.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        FEWER.notify_all();
    }
}
