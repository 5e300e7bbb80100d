//! The [`Watchdog`] port: a device that resets the machine when nobody keeps it alive, so that a frozen agent cannot leave a
//! writable primary behind (Patroni's documentation, "Watchdog support").

use std::time::Duration;

/// Whether the machine is being watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchdogState {
    /// There is no device, or it cannot be opened.
    Unavailable,
    /// There is one and it is off.
    Inactive,
    /// It counts down.
    Active {
        /// From full, how long until it resets the machine.
        timeout: Duration,
    },
}

/// Why the device did not obey.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchdogError {
    /// No device, or no permission.
    #[error("no watchdog: {0}")]
    Unavailable(String),
    /// The device cannot do what was asked, say a time-out that long.
    #[error("watchdog refused: {0}")]
    Refused(String),
}

/// A watchdog device (`/dev/watchdog`). Calls return at once.
pub trait Watchdog: Send + Sync + 'static {
    /// Starts it, or changes its time-out.
    fn activate(&self, timeout: Duration) -> Result<(), WatchdogError>;
    /// Sets it back to its full time-out, or to `at_most`, in whole seconds, if that is shorter. One that cannot do with so short a
    /// time is left as it is: then it fires even earlier. Nothing happens when it is not active.
    fn keepalive(&self, at_most: Duration) -> Result<(), WatchdogError>;
    /// Stops it (the "magic close"). Ok when it was not active. Refused by a device that cannot be stopped.
    fn disable(&self) -> Result<(), WatchdogError>;
    /// How it is.
    fn state(&self) -> WatchdogState;
}

/// A machine without a watchdog.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWatchdog;

impl Watchdog for NoWatchdog {
    fn activate(&self, _timeout: Duration) -> Result<(), WatchdogError> {
        Err(WatchdogError::Unavailable("this machine has none".into()))
    }

    fn keepalive(&self, _at_most: Duration) -> Result<(), WatchdogError> {
        Ok(())
    }

    fn disable(&self) -> Result<(), WatchdogError> {
        Ok(())
    }

    fn state(&self) -> WatchdogState {
        WatchdogState::Unavailable
    }
}
