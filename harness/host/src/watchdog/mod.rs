//! The Linux watchdog device (`/dev/watchdog`), used as Patroni's `watchdog/linux.py` uses it: opened when leadership begins,
//! kept alive with every renewal of the lock, and closed with the "magic" character, without which closing it does not stop
//! it. Linux, Documentation/watchdog/watchdog-api.rst.

mod ioctl;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pgdrill_agent::ports::{Watchdog, WatchdogError, WatchdogState};
use tracing::{info, warn};

/// "Magic close": written before closing, it stops the device.
const MAGIC_CLOSE: &[u8] = b"V";
/// Any other character keeps it alive: the form for what has no `ioctl`.
const KEEP_ALIVE: &[u8] = b"1";

/// One watchdog device. Opened by [`Watchdog::activate`]; dropped without [`Watchdog::disable`] it goes on counting, as it
/// does when the agent dies.
#[derive(Debug)]
pub struct Device {
    path: PathBuf,
    /// A pipe or file instead of a device is accepted, which has no `ioctl`.
    accepts_substitute: bool,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// In full.
    timeout: Duration,
    /// What it is set to: shorter after a late keepalive.
    current: Duration,
    /// Whether a magic close stops it; not with `nowayout`.
    can_be_stopped: bool,
    is_device: bool,
}

impl Device {
    /// `watchdog.device`. Nothing is opened yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), accepts_substitute: false, open: Mutex::default() }
    }

    /// For tests where there is no device: a pipe or a file will do, and shows what a device would be told.
    #[must_use]
    pub fn or_substitute(path: impl Into<PathBuf>) -> Self {
        Self { accepts_substitute: true, ..Self::new(path) }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_device(&self) -> Result<Open, WatchdogError> {
        let unavailable =
            |why: &dyn std::fmt::Display| WatchdogError::Unavailable(format!("{}: {why}", self.path.display()));
        // Without O_NONBLOCK a pipe that nobody reads would hold up the agent. Opening a device starts it.
        let mut options = OpenOptions::new();
        let file = options.write(true).custom_flags(libc::O_NONBLOCK).open(&self.path);
        let file = file.map_err(|error| unavailable(&error))?;
        let is_device = file.metadata().map_err(|error| unavailable(&error))?.file_type().is_char_device();
        if !is_device && !self.accepts_substitute {
            return Err(unavailable(&"it is no character device"));
        }
        let options = if is_device { ioctl::options(&file) } else { Ok(ioctl::MAGIC_CLOSE | ioctl::SET_TIMEOUT) };
        let options = match options {
            Ok(options) => options,
            Err(error) => {
                // A terminal, /dev/null: whatever it is, it is no watchdog.
                return Err(unavailable(&format_args!("it is no watchdog device ({error})")));
            }
        };
        let can_be_stopped = options & ioctl::MAGIC_CLOSE != 0;
        if !can_be_stopped {
            warn!(
                "{}: this watchdog cannot be stopped: it resets the machine whenever it is let go",
                self.path.display()
            );
        }
        Ok(Open { file, timeout: Duration::ZERO, current: Duration::ZERO, can_be_stopped, is_device })
    }
}

impl Open {
    /// Sets the time-out and reads back what became of it.
    fn set_timeout(&mut self, timeout: Duration) -> Result<Duration, WatchdogError> {
        let refused = |why: String| WatchdogError::Refused(why);
        let seconds = match libc::c_int::try_from(timeout.as_secs()) {
            Ok(seconds @ 1..0xFFFF) => seconds,
            _ => return Err(refused(format!("a time-out of {timeout:?} is not between 1 s and 65534 s"))),
        };
        let actual = match self.is_device {
            false => seconds,
            true => ioctl::set_timeout(&self.file, seconds)
                .and_then(|()| ioctl::timeout(&self.file))
                .map_err(|error| refused(format!("the time-out of {seconds} s cannot be set ({error})")))?,
        };
        // A longer one would reset the machine after the lease has ended: no fence at all.
        if actual > seconds {
            return Err(refused(format!("it was asked for {seconds} s and does {actual} s")));
        }
        self.current = Duration::from_secs(actual.unsigned_abs().into());
        Ok(self.current)
    }

    /// Sets it back to its full time-out, or to a shorter one.
    fn keep_alive_for(&mut self, at_most: Duration) -> Result<(), WatchdogError> {
        let wanted = self.timeout.min(Duration::from_secs(at_most.as_secs()));
        if wanted.is_zero() {
            return Ok(());
        }
        if wanted != self.current
            && let Err(error) = self.set_timeout(wanted)
        {
            if wanted == self.timeout {
                return Err(error);
            }
            // What it was set to before fires earlier still.
            warn!("the watchdog is not kept alive so late after the renewal: {error}");
            return Ok(());
        }
        self.keep_alive().map_err(|error| WatchdogError::Refused(format!("it cannot be kept alive: {error}")))
    }

    fn keep_alive(&mut self) -> io::Result<()> {
        if self.is_device { ioctl::keep_alive(&self.file) } else { self.file.write_all(KEEP_ALIVE) }
    }
}

impl Watchdog for Device {
    fn activate(&self, timeout: Duration) -> Result<(), WatchdogError> {
        let mut open = self.open();
        let mut device = match open.take() {
            Some(device) => device,
            None => self.open_device()?,
        };
        match device.set_timeout(timeout) {
            Ok(actual) => device.timeout = actual,
            Err(error) => {
                // Opening has started it with a time-out that is not ours, or it goes on with that of other timings.
                if device.can_be_stopped {
                    let _ = device.file.write_all(MAGIC_CLOSE);
                } else {
                    // Let go, it would reset the machine.
                    *open = Some(device);
                }
                return Err(error);
            }
        }
        let alive = device.keep_alive();
        info!("watchdog {} activated with a time-out of {:?}", self.path.display(), device.timeout);
        *open = Some(device);
        alive.map_err(|error| WatchdogError::Refused(format!("it cannot be kept alive: {error}")))
    }

    fn keepalive(&self, at_most: Duration) -> Result<(), WatchdogError> {
        self.open().as_mut().map_or(Ok(()), |device| device.keep_alive_for(at_most))
    }

    fn disable(&self) -> Result<(), WatchdogError> {
        let mut open = self.open();
        let Some(device) = &mut *open else { return Ok(()) };
        if !device.can_be_stopped {
            // Let go, it would reset the machine: it is kept, and kept alive by whoever leads next on this node.
            return Err(WatchdogError::Refused(format!("{} cannot be stopped", self.path.display())));
        }
        let stopped = device.file.write_all(MAGIC_CLOSE);
        *open = None;
        info!("watchdog {} disabled", self.path.display());
        stopped.map_err(|error| WatchdogError::Refused(format!("the magic close failed: {error}")))
    }

    fn state(&self) -> WatchdogState {
        match &*self.open() {
            Some(device) => WatchdogState::Active { timeout: device.timeout },
            None if is_writable(&self.path) => WatchdogState::Inactive,
            None => WatchdogState::Unavailable,
        }
    }
}

/// Whether it is there and may be opened, without opening it: that would start it.
fn is_writable(path: &Path) -> bool {
    fs::metadata(path).is_ok() && nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok()
}
