//! PostgreSQL's processes on one data directory, found without touching the data directory: its disk may be what hangs.
//!
//! A postmaster and all its children have the data directory as working directory, which `/proc` knows by itself. Everything
//! here works on buffers that are made once: a process that is to act when memory has run out must not ask for any.

use std::{
    ffi::CStr,
    io::{self, Write},
    os::{fd::RawFd, unix::ffi::OsStrExt},
    path::Path,
};

/// More processes than this on one data directory are found in further rounds.
const MOST: usize = 4_096;
const PATH: usize = libc::PATH_MAX as usize;

/// A process, and what tells it from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub pid: i32,
    pub parent: i32,
    /// In clock ticks since boot.
    pub start: u64,
    /// As `/proc` spells it: R, S, D, T (stopped), Z (ended, not yet waited for).
    pub state: u8,
}

impl Found {
    /// It does not run until somebody continues it.
    pub const fn is_stopped(&self) -> bool {
        matches!(self.state, b'T' | b't')
    }

    const fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

/// `/proc`, and the buffers to read it with.
pub(super) struct Processes {
    proc: RawFd,
    /// The data directory as it was given, ending with a zero byte.
    asked: Vec<u8>,
    /// Its canonical path, as `/proc` shows it.
    dir: Box<[u8; PATH]>,
    dir_len: usize,
    link: Box<[u8; PATH]>,
    entries: Box<[u8; 32_768]>,
    pub found: Vec<Found>,
}

impl Processes {
    /// Opens `/proc`. The data directory need not exist yet.
    pub fn new(data_dir: &Path) -> io::Result<Self> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: a constant path that ends with a zero byte; the descriptor lives as long as the process.
        let proc = unsafe { libc::open(c"/proc".as_ptr(), flags) };
        if proc == -1 {
            return Err(io::Error::last_os_error());
        }
        let mut asked = data_dir.as_os_str().as_bytes().to_vec();
        asked.push(0);
        let found = Vec::with_capacity(MOST);
        let (dir, link, entries) = (Box::new([0; PATH]), Box::new([0; PATH]), Box::new([0; 32_768]));
        Ok(Self { proc, asked, dir, dir_len: 0, link, entries, found })
    }

    /// Looks up the canonical path. Reads the disk: done while all is well, never when it matters.
    pub fn resolve(&mut self) -> bool {
        // SAFETY: `asked` ends with a zero byte, `dir` has PATH_MAX bytes, as realpath wants it.
        let resolved = unsafe { libc::realpath(self.asked.as_ptr().cast(), self.dir.as_mut_ptr().cast()) };
        if !resolved.is_null() {
            self.dir_len = self.dir.iter().position(|byte| *byte == 0).unwrap_or(0);
        }
        !resolved.is_null()
    }

    /// Fills [`Self::found`] with what lives on the data directory now.
    pub fn scan(&mut self) {
        self.found.clear();
        // SAFETY: the descriptor is that of /proc.
        unsafe { libc::lseek(self.proc, 0, libc::SEEK_SET) };
        loop {
            let (buffer, size) = (self.entries.as_mut_ptr(), self.entries.len());
            // SAFETY: `buffer` has `size` bytes.
            let read = unsafe { libc::syscall(libc::SYS_getdents64, self.proc, buffer, size) };
            let Ok(end @ 1..) = usize::try_from(read) else { return };
            let mut at = 0;
            while at < end {
                // struct linux_dirent64: inode (8), offset (8), length (2), type (1), name.
                let length = usize::from(u16::from_ne_bytes([self.entries[at + 16], self.entries[at + 17]]));
                let pid = CStr::from_bytes_until_nul(&self.entries[at + 19..at + length]).ok().and_then(number);
                at += length.max(1);
                if let Some(found) = pid.and_then(|pid| self.on_the_directory(pid))
                    && self.found.len() < MOST
                {
                    self.found.push(found);
                }
            }
        }
    }

    fn on_the_directory(&mut self, pid: i32) -> Option<Found> {
        if self.dir_len == 0 || !self.works_there(pid) {
            return None;
        }
        let (found, is_postgres) = stat(self.proc, pid)?;
        (is_postgres && !found.has_ended()).then_some(found)
    }

    /// By the link alone: following it could wait for a disk that hangs.
    fn works_there(&mut self, pid: i32) -> bool {
        let path = file_of(pid, "cwd");
        let (buffer, size) = (self.link.as_mut_ptr(), self.link.len());
        // SAFETY: `path` ends with a zero byte, `buffer` has `size` bytes.
        let read = unsafe { libc::readlinkat(self.proc, path.as_ptr().cast(), buffer.cast(), size) };
        usize::try_from(read).is_ok_and(|length| self.link[..length] == self.dir[..self.dir_len])
    }

    /// Whether this very process has not ended.
    pub fn lives(&self, process: &Found) -> bool {
        stat(self.proc, process.pid).is_some_and(|(now, _)| now.start == process.start && !now.has_ended())
    }

    /// Sends a signal to this very process and to no later one with its number.
    pub fn signal(&self, process: &Found, signal: libc::c_int) {
        // SAFETY: no pointers but a null; the descriptor is closed below.
        unsafe {
            let held = libc::syscall(libc::SYS_pidfd_open, process.pid, 0);
            // Looked at again now that the number is pinned (or, on a kernel before 5.3, as late as possible).
            if !self.lives(process) {
                // It has ended: nothing to signal.
            } else if held >= 0 {
                libc::syscall(libc::SYS_pidfd_send_signal, held, signal, std::ptr::null::<libc::siginfo_t>(), 0);
            } else {
                libc::kill(process.pid, signal);
            }
            if let Ok(held @ 0..) = libc::c_int::try_from(held) {
                libc::close(held);
            }
        }
    }
}

fn number(name: &CStr) -> Option<i32> {
    std::str::from_utf8(name.to_bytes()).ok()?.parse().ok()
}

/// `PID/name` with a zero byte at its end.
fn file_of(pid: i32, name: &str) -> [u8; 32] {
    let mut path = [0; 32];
    // A number and five letters fit.
    let _ = write!(&mut path[..31], "{pid}/{name}");
    path
}

/// Reads `/proc/PID/stat`; with whether it calls itself as PostgreSQL's server does.
fn stat(proc: RawFd, pid: i32) -> Option<(Found, bool)> {
    let (path, mut text) = (file_of(pid, "stat"), [0u8; 1_024]);
    // SAFETY: `path` ends with a zero byte, `text` has its length; the descriptor is closed here.
    let length = unsafe {
        let fd = libc::openat(proc, path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd == -1 {
            return None;
        }
        let length = libc::read(fd, text.as_mut_ptr().cast(), text.len());
        libc::close(fd);
        length
    };
    parse_stat(pid, text.get(..usize::try_from(length).ok()?)?)
}

/// The program's name is in parentheses and may hold anything, parentheses and spaces included.
fn parse_stat(pid: i32, text: &[u8]) -> Option<(Found, bool)> {
    let text = std::str::from_utf8(text).ok()?;
    let (name, rest) = (text.get(text.find('(')? + 1..text.rfind(')')?)?, text.get(text.rfind(')')? + 1..)?);
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 22 of the file; the third was the state.
    let start = fields.nth(17)?.parse().ok()?;
    let is_postgres = name.contains("postgres") || name.contains("postmaster");
    Some((Found { pid, parent, start, state }, is_postgres))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = b"42 (postgres) (x) S 7 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000 2000";
        let (found, is_postgres) = parse_stat(42, line).expect("a line of /proc");
        assert_eq!(found, Found { pid: 42, parent: 7, start: 98_765, state: b'S' });
        assert!(is_postgres);
        assert!(!parse_stat(42, b"42 (bash) S 7 42 42 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 9 1").expect("a line").1);
        assert!(parse_stat(42, b"").is_none());
    }
}
