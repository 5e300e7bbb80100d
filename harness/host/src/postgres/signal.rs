//! One process, held by a descriptor, so that a signal never reaches another process that was given its number, and so that
//! its end can be waited for without being its parent.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    time::sleep,
};

use super::process;

/// How often a process is looked for where the kernel has no descriptors for them (before Linux 5.3).
const POLL: Duration = Duration::from_millis(100);

/// A process.
#[derive(Debug)]
pub(super) struct Handle {
    pid: u32,
    descriptor: Option<OwnedFd>,
}

impl Handle {
    /// Of a process that is known to live; check again who it is after this, since it may have ended before.
    pub fn open(pid: u32) -> Self {
        // SAFETY: the call takes two integers and returns a new descriptor, or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        // SAFETY: the descriptor is new, and nobody else knows it.
        let owned = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
        let descriptor = i32::try_from(fd).ok().filter(|fd| *fd >= 0).map(owned);
        Self { pid, descriptor }
    }

    /// Its number.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends it a signal. Nothing happens when it has ended.
    ///
    /// # Errors
    /// It belongs to somebody else.
    pub fn send(&self, signal: i32) -> io::Result<()> {
        let sent = match &self.descriptor {
            // SAFETY: a valid descriptor, a number, no information attached.
            Some(fd) => unsafe {
                libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, std::ptr::null::<u8>(), 0)
            },
            None => libc::pid_t::try_from(self.pid).map_or(0, |pid| {
                // SAFETY: takes two integers.
                unsafe { libc::kill(pid, signal) }.into()
            }),
        };
        match io::Error::last_os_error() {
            _ if sent == 0 => Ok(()),
            error if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            error => Err(error),
        }
    }

    /// Completes when it has ended.
    pub async fn ended(&self) {
        let readable = async {
            let descriptor = self.descriptor.as_ref()?.try_clone().ok()?;
            // SAFETY: the descriptor is owned by what is registered, and stays open as long.
            let watched = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.ok()?;
            watched.readable().await.ok().map(drop)
        };
        if readable.await.is_some() {
            return;
        }
        // Not being able to look is not seeing that it has ended.
        while process::is_alive(self.pid).unwrap_or(true) {
            sleep(POLL).await;
        }
    }
}
