//! `getrandom` and `getentropy`.

use std::cell::Cell;

use crate::random::SplitMix64;

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// `None`: real entropy.
pub(super) fn set_seed(seed: Option<u64>) {
    SEED.set(seed);
}

/// How often seeded entropy was asked for on this thread.
pub(super) fn calls() -> u64 {
    CALLS.get()
}

/// Fills `buf` from the simulation's seed, or from the kernel on any other thread.
///
/// # Safety
/// As libc's: `buf` must be valid for writing `len` bytes.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn getrandom(buf: *mut u8, len: usize, flags: u32) -> isize {
    // A thread that is being torn down has lost its cells: such a late caller gets the kernel's bytes.
    let Some(seed) = SEED.try_with(Cell::get).ok().flatten() else {
        // SAFETY: the caller's promise is handed on to the system call unchanged.
        return unsafe { libc::syscall(libc::SYS_getrandom, buf, len, flags) as isize };
    };
    let mut random = SplitMix64::new(seed);
    for i in 0..len {
        // SAFETY: `i < len`, and the caller promised `len` writable bytes.
        unsafe { buf.add(i).write(random.next_u64() as u8) };
    }
    // Continuing from a drawn value rather than from a counter keeps streams of neighbouring seeds apart.
    SEED.set(Some(random.next_u64()));
    CALLS.set(CALLS.get() + 1);
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
