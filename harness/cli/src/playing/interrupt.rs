//! Ctrl-C: the first one ends the command with what is known, the second one at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What a process exits with that was ended by SIGINT: 128 + 2, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Whether the user wants it to end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// One that nobody raises: for the library.
    pub(crate) fn never() -> Self {
        Self::default()
    }

    /// One that Ctrl-C raises.
    ///
    /// # Errors
    /// When the handler cannot be installed.
    pub(crate) fn on_ctrl_c() -> Result<Self, ctrlc::Error> {
        let interrupt = Self::default();
        let raised = interrupt.clone();
        ctrlc::set_handler(move || {
            if raised.0.swap(true, Ordering::SeqCst) {
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
