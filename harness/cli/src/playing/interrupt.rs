//! Ctrl-C and SIGTERM: the first one ends the command with what is known, a second one some time later at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
#[cfg(feature = "command")]
use std::time::{Duration, Instant};

/// Signals so near to the first one are the same wish: `timeout` sends its SIGTERM to the command and then to the whole group,
/// the command among it, and a terminal's Ctrl-C may come from a parent once more. Taken for a second one, it would leave
/// everything that was to be removed.
#[cfg(feature = "command")]
const ONE_WISH: Duration = Duration::from_secs(2);

/// What a process exits with that was ended by SIGINT: 128 + 2, as shells have it.
#[cfg(feature = "command")]
pub(crate) const INTERRUPTED: u8 = 130;

/// Whether the user wants it to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// One that nobody raises: for the library.
    pub(crate) fn never() -> Self {
        Self::default()
    }

    /// One that Ctrl-C, SIGTERM and SIGHUP raise.
    ///
    /// # Errors
    /// When the handler cannot be installed.
    #[cfg(feature = "command")]
    pub(crate) fn on_ctrl_c() -> Result<Self, ctrlc::Error> {
        let interrupt = Self::default();
        let raised = interrupt.clone();
        let mut first = None;
        ctrlc::set_handler(move || {
            raised.0.store(true, Ordering::SeqCst);
            if is_another(&mut first, Instant::now()) {
                crate::output::remove_drafts();
                std::process::exit(i32::from(INTERRUPTED));
            }
        })?;
        Ok(interrupt)
    }

    /// Whether it was raised.
    pub(crate) fn raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Raises it.
    #[cfg(test)]
    pub(crate) fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Whether a signal at this moment is a wish of its own after the first one.
#[cfg(feature = "command")]
fn is_another(first: &mut Option<Instant>, now: Instant) -> bool {
    now.duration_since(*first.get_or_insert(now)) >= ONE_WISH
}

#[cfg(all(test, feature = "command"))]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_sent_twice_at_once_is_one_wish_and_a_later_one_another() {
        let (mut first, began) = (None, Instant::now());
        assert!(!is_another(&mut first, began));
        assert!(!is_another(&mut first, began + Duration::from_millis(5)), "as `timeout` does");
        assert!(is_another(&mut first, began + Duration::from_secs(3)));
    }
}
