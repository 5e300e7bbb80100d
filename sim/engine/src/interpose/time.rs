//! `clock_gettime`.

use std::cell::Cell;

use crate::clock::HostClock;

thread_local! {
    static SIMULATED: Cell<bool> = const { Cell::new(false) };
    static NOW_NS: Cell<u64> = const { Cell::new(0) };
    static HOST_CLOCK: Cell<HostClock> = const { Cell::new(HostClock::new()) };
}

pub(super) fn set_simulated(simulated: bool) {
    SIMULATED.set(simulated);
}

/// True simulated time.
pub(crate) fn now_ns() -> u64 {
    NOW_NS.get()
}

pub(crate) fn set_now_ns(now_ns: u64) {
    NOW_NS.set(now_ns);
}

/// Whose clock the code that runs next sees.
pub(crate) fn set_host_clock(clock: HostClock) {
    HOST_CLOCK.set(clock);
}

/// The current host's clock on a simulating thread, the machine's on any other. CPU-time clocks stay real everywhere:
/// they measure the lab, not the simulation.
///
/// # Safety
/// As libc's: `time` must be valid for writing one `timespec`.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn clock_gettime(id: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    let simulated = SIMULATED.try_with(Cell::get).unwrap_or(false);
    let shown_ns = match id {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE if simulated => HOST_CLOCK.get().wall(now_ns()),
        libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_RAW | libc::CLOCK_MONOTONIC_COARSE | libc::CLOCK_BOOTTIME
            if simulated =>
        {
            HOST_CLOCK.get().monotonic(now_ns()) as i64
        }
        // SAFETY: the caller's promise is handed on to the system call unchanged.
        _ => return unsafe { libc::syscall(libc::SYS_clock_gettime, id, time) as libc::c_int },
    };
    let (tv_sec, tv_nsec) = (shown_ns.div_euclid(1_000_000_000), shown_ns.rem_euclid(1_000_000_000));
    // SAFETY: the caller promised a writable timespec.
    unsafe { time.write(libc::timespec { tv_sec, tv_nsec }) };
    0
}
