//! `CLOCK_BOOTTIME`, which goes on while the machine is suspended.
//!
//! The agent's own clock is `CLOCK_MONOTONIC` (Rust's `Instant`), and that stands still during a suspend. etcd on other
//! machines goes on counting: after ten minutes of suspend the lease has long ended and another node leads, while a deadline
//! on `CLOCK_MONOTONIC` still lies in the future, and PostgreSQL would take writes until it came. On `CLOCK_BOOTTIME` it has
//! passed at the moment of waking up, and a `timerfd` on it fires then. The wall clock would count suspends too, but
//! operators and NTP set it.
//!
//! No clock of a guest counts the time for which its hypervisor has paused it. Against that only a watchdog device outside of
//! the guest helps.

use std::{io, mem::zeroed, os::fd::RawFd, time::Duration};

/// Now, by one of the kernel's clocks.
fn now(clock: libc::clockid_t) -> Duration {
    // SAFETY: `time` is valid for the call, and neither clock can fail on Linux.
    let time = unsafe {
        let mut time: libc::timespec = zeroed();
        libc::clock_gettime(clock, &raw mut time);
        time
    };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Time since boot, suspends included.
pub(super) fn boottime() -> Duration {
    now(libc::CLOCK_BOOTTIME)
}

/// Time since boot, without suspends: what Rust's `Instant` counts.
pub(super) fn monotonic() -> Duration {
    now(libc::CLOCK_MONOTONIC)
}

/// For how long the machine has been suspended since it was booted.
pub(super) fn suspended() -> Duration {
    // The earlier reading first: the difference may come out too small by the time between the two, never too large.
    let boottime = boottime();
    boottime.saturating_sub(monotonic())
}

/// A timer on `CLOCK_BOOTTIME` that a poll waits for.
pub(super) struct Timer(RawFd);

impl Timer {
    /// Not set.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor lives as long as the process.
        match unsafe { libc::timerfd_create(libc::CLOCK_BOOTTIME, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) } {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(Self(fd)),
        }
    }

    /// Ready to be read when that moment has come; `None`: never.
    pub fn set(&self, deadline: Option<Duration>) -> io::Result<()> {
        // An absolute time of zero would switch the timer off.
        let deadline = deadline.map_or(Duration::ZERO, |deadline| deadline.max(Duration::from_nanos(1)));
        // SAFETY: `setting` is valid for the call, the old value is not asked for.
        let set = unsafe {
            let mut setting: libc::itimerspec = zeroed();
            setting.it_value.tv_sec = libc::time_t::try_from(deadline.as_secs()).unwrap_or(libc::time_t::MAX);
            setting.it_value.tv_nsec = deadline.subsec_nanos().into();
            libc::timerfd_settime(self.0, libc::TFD_TIMER_ABSTIME, &raw const setting, std::ptr::null_mut())
        };
        if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// To be polled for reading.
    pub const fn fd(&self) -> RawFd {
        self.0
    }
}
