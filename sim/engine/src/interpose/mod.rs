//! Three libc functions, replaced on threads that run a simulation.
//!
//! | function | on a simulating thread |
//! |---|---|
//! | `getrandom`, `getentropy` | bytes drawn from the seed for the process that runs |
//! | `clock_gettime` | the clock of the host whose process runs |
//! | `epoll_wait` | notes how long the runtime wanted to sleep and returns: nothing ever sleeps |
//!
//! The symbols are defined in this crate, so the linker prefers them to libc's everywhere in the program. A thread that
//! does not simulate gets the system call it asked for: real runtimes in the same program work as ever.

mod entropy;
mod epoll;
mod time;
mod verify;

pub(crate) use entropy::{Entropy, number as entropy_number, replace as replace_entropy};
pub(crate) use epoll::{LIVELOCK_PARKS, Parked, run_until_parked};
pub(crate) use time::{now_ns, set_host_clock, set_now_ns};
pub(crate) use verify::verify;

use crate::random::Key;

/// Makes the calling thread a simulating one until the guard is dropped.
pub(crate) fn activate(seed: u64) -> Active {
    entropy::replace(Some(Entropy::new(Key::of_seed(seed))));
    time::set_now_ns(0);
    time::set_host_clock(crate::clock::HostClock::new());
    time::set_simulated(true);
    Active(())
}

/// The calling thread simulates.
pub(crate) struct Active(());

impl Drop for Active {
    fn drop(&mut self) {
        time::set_simulated(false);
        entropy::replace(None);
    }
}
