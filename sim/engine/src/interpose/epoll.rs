//! `epoll_wait`: where a tokio runtime gives control back to the engine.
//!
//! A current-thread runtime calls `epoll_wait` with time-out 0 now and then between tasks, and with another time-out when
//! no task is ready. The second is the moment to stop: everything that could run at this instant has run, and the time-out
//! says when the runtime's next timer is due.

use std::{
    cell::{Cell, RefCell},
    task::{Poll, Waker},
};

use tokio::runtime::Runtime;

/// So many looks at the network without time passing are a livelock. A look comes every 61 polled tasks or so, hence
/// this is several million polls at one instant.
pub(crate) const LIVELOCK_PARKS: u32 = 100_000;

thread_local! {
    static STEPPING: Cell<bool> = const { Cell::new(false) };
    static PARKED: Cell<Option<Parked>> = const { Cell::new(None) };
    static LOOKS: Cell<u32> = const { Cell::new(0) };
    static ROOT: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// Why a runtime stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// No timer is set: only a packet or another process can wake it.
    Forever,
    /// The next timer is due in so many milliseconds of the runtime's own clock.
    For(u64),
    /// It keeps running without time passing.
    Livelocked,
}

/// Ends the stepping also when a panic passes through.
struct Stepping;

impl Stepping {
    fn begin() -> Self {
        STEPPING.set(true);
        Self
    }
}

impl Drop for Stepping {
    fn drop(&mut self) {
        STEPPING.set(false);
    }
}

/// Runs `first` inside the runtime, then everything that is ready, until the runtime wants to sleep.
pub(crate) fn run_until_parked(runtime: &Runtime, first: impl FnOnce()) -> Parked {
    let _stepping = Stepping::begin();
    PARKED.set(None);
    LOOKS.set(0);
    let mut first = Some(first);
    runtime.block_on(std::future::poll_fn(|cx| {
        if let Some(first) = first.take() {
            first();
        } else if PARKED.get().is_some() {
            return Poll::Ready(());
        }
        ROOT.with_borrow_mut(|root| *root = Some(cx.waker().clone()));
        Poll::Pending
    }));
    PARKED.get().expect("block_on returns only after a park was noted")
}

/// Notes the time-out while a process is being stepped; otherwise the system call.
///
/// # Safety
/// As libc's: `events` must be valid for writing `max` events.
#[unsafe(no_mangle)]
#[inline(never)]
pub unsafe extern "C" fn epoll_wait(
    epoll: libc::c_int,
    events: *mut libc::epoll_event,
    max: libc::c_int,
    timeout_ms: libc::c_int,
) -> libc::c_int {
    if !STEPPING.try_with(Cell::get).unwrap_or(false) {
        let no_mask = std::ptr::null::<u8>();
        // SAFETY: the caller's promise is handed on; epoll_pwait without a mask is epoll_wait, and exists everywhere.
        return unsafe {
            libc::syscall(libc::SYS_epoll_pwait, epoll, events, max, timeout_ms, no_mask, 8usize) as libc::c_int
        };
    }
    LOOKS.set(LOOKS.get() + 1);
    let parked = match timeout_ms {
        _ if LOOKS.get() > LIVELOCK_PARKS => Some(Parked::Livelocked),
        0 => None,
        ..0 => Some(Parked::Forever),
        1.. => Some(Parked::For(timeout_ms as u64)),
    };
    if parked.is_some() {
        PARKED.set(parked);
        // The future in `run_until_parked` must be polled once more to end `block_on`.
        if let Some(root) = ROOT.take() {
            root.wake();
        }
    }
    0
}
