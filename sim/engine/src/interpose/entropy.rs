//! `getrandom` and `getentropy`.

use std::cell::Cell;

use crate::random::{Key, Purpose};

/// Where entropy comes from: a key, and how often it was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entropy {
    key: Key,
    calls: u64,
}

impl Entropy {
    pub(crate) const fn new(key: Key) -> Self {
        Self { key, calls: 0 }
    }

    /// How often it was asked for.
    pub(crate) const fn calls(self) -> u64 {
        self.calls
    }

    /// The key of the next call's bytes.
    const fn next_call(&mut self) -> Key {
        self.calls += 1;
        self.key.with(self.calls)
    }
}

thread_local! {
    /// Of whoever runs: the process that is being stepped, or the engine. `None`: this thread does not simulate.
    static CURRENT: Cell<Option<Entropy>> = const { Cell::new(None) };
}

/// Lets the calling thread draw from `entropy` from now on (`None`: from the kernel); answers what it drew from before.
pub(crate) fn replace(entropy: Option<Entropy>) -> Option<Entropy> {
    CURRENT.replace(entropy)
}

/// How often entropy was asked for by whoever runs.
pub(super) fn calls() -> u64 {
    CURRENT.get().map_or(0, Entropy::calls)
}

/// A number as `getrandom` gives it; `None` on a thread that does not simulate.
pub(crate) fn number() -> Option<u64> {
    // A thread that is being torn down has lost its cell.
    let mut entropy = CURRENT.try_with(Cell::get).ok().flatten()?;
    let number = entropy.next_call().draw(Purpose::Entropy, 0).bits();
    CURRENT.set(Some(entropy));
    Some(number)
}

/// Fills `buf` from the entropy of whoever runs, or from the kernel on any other thread.
///
/// # Safety
/// As libc's: `buf` must be valid for writing `len` bytes.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn getrandom(buf: *mut u8, len: usize, flags: u32) -> isize {
    // A thread that is being torn down has lost its cell: such a late caller gets the kernel's bytes.
    let Some(mut entropy) = CURRENT.try_with(Cell::get).ok().flatten() else {
        // SAFETY: the caller's promise is handed on to the system call unchanged.
        return unsafe { libc::syscall(libc::SYS_getrandom, buf, len, flags) as isize };
    };
    let key = entropy.next_call();
    for i in 0..len {
        let word = key.draw(Purpose::Entropy, i as u64 / 8).bits().to_le_bytes();
        // SAFETY: `i < len`, and the caller promised `len` writable bytes.
        unsafe { buf.add(i).write(word[i % 8]) };
    }
    CURRENT.set(Some(entropy));
    len as isize
}

/// As [`getrandom`], for callers of the BSD function.
///
/// # Safety
/// As libc's: `buf` must be valid for writing `len` bytes.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn getentropy(buf: *mut u8, len: usize) -> libc::c_int {
    // 256 bytes is the documented limit of getentropy(3).
    if len > 256 {
        return -1;
    }
    // SAFETY: the caller's promise is ours.
    if unsafe { getrandom(buf, len, 0) } < 0 { -1 } else { 0 }
}
