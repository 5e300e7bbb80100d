//! A watchdog device: hardware that resets the machine when nobody has kept it alive in time.
//!
//! The device counts in true time, is not stopped by anything that happens to the software of its host, and is asked by
//! the run itself ([`Device::expired`]) whether it has gone off.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pgdrill_agent::ports::{Watchdog, WatchdogError, WatchdogState};
use pgdrill_sim_engine::now;

/// One node's device, or the lack of one. Clones are the same device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Device {
    present: bool,
    armed: Arc<Mutex<Option<Armed>>>,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    timeout: Duration,
    deadline: Duration,
}

/// softdog's and most hardware's range.
const LONGEST: Duration = Duration::from_secs(65_535);

impl Device {
    /// A node with a device, or without.
    pub(crate) fn new(present: bool) -> Self {
        Self { present, armed: Arc::default() }
    }

    /// Whether there is one at all.
    pub(crate) const fn is_present(&self) -> bool {
        self.present
    }

    /// When it will reset the machine unless kept alive.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.armed().map(|a| a.deadline)
    }

    /// Takes note that it has gone off: a reset machine starts with its watchdog off.
    pub(crate) fn expired(&self, now: Duration) -> bool {
        let mut armed = self.armed();
        let expired = armed.is_some_and(|a| a.deadline <= now);
        if expired {
            *armed = None;
        }
        expired
    }

    /// Power is gone.
    pub(crate) fn power_off(&self) {
        *self.armed() = None;
    }

    fn armed(&self) -> MutexGuard<'_, Option<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watchdog for Device {
    fn activate(&self, timeout: Duration) -> Result<(), WatchdogError> {
        if !self.present {
            return Err(WatchdogError::Unavailable("this node has no watchdog device".into()));
        }
        if timeout.is_zero() || timeout > LONGEST {
            return Err(WatchdogError::Refused(format!("{timeout:?} is not between 1 s and {LONGEST:?}")));
        }
        *self.armed() = Some(Armed { timeout, deadline: now() + timeout });
        Ok(())
    }

    fn keepalive(&self, at_most: Duration) -> Result<(), WatchdogError> {
        let at_most = Duration::from_secs(at_most.as_secs());
        if let Some(armed) = self.armed().as_mut().filter(|_| !at_most.is_zero()) {
            armed.deadline = now() + armed.timeout.min(at_most);
        }
        Ok(())
    }

    fn disable(&self) -> Result<(), WatchdogError> {
        *self.armed() = None;
        Ok(())
    }

    fn state(&self) -> WatchdogState {
        match *self.armed() {
            _ if !self.present => WatchdogState::Unavailable,
            None => WatchdogState::Inactive,
            Some(armed) => WatchdogState::Active { timeout: armed.timeout },
        }
    }
}
