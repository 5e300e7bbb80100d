//! The proof, before a simulation starts, that the replaced functions are the ones in force.
//!
//! They are not on a libc that resolves its own calls internally, in a statically linked musl program, or when another
//! library replaces the same symbols first. A simulation would then run in real time with real entropy: it must not start.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant, SystemTime},
};

use super::{
    entropy,
    epoll::{Parked, run_until_parked},
    time::set_now_ns,
};

/// Checks that entropy, clocks and sleeping are simulated on the calling thread, which must be fresh and active.
///
/// # Errors
/// A sentence for the user: what is not in force, and what to do instead.
pub(crate) fn verify() -> Result<(), String> {
    let calls = entropy::calls();
    // std asks for entropy once per thread: a second simulation on one thread would inherit the first one's keys.
    std::hint::black_box(RandomState::new().hash_one(0));
    if entropy::calls() == calls {
        return Err(refusal("getrandom (or the thread is not a fresh one)"));
    }
    let (instant, wall) = (Instant::now(), SystemTime::now());
    set_now_ns(1_234_567);
    let passed = Duration::from_nanos(1_234_567);
    let followed = instant.elapsed() == passed && wall.elapsed().is_ok_and(|elapsed| elapsed == passed);
    set_now_ns(0);
    if !followed {
        return Err(refusal("clock_gettime"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot build a tokio runtime: {e}"))?;
    runtime.spawn(async { tokio::time::sleep(Duration::from_millis(7)).await });
    match run_until_parked(&runtime, || {}) {
        Parked::For(7 | 8) => Ok(()),
        _ => Err(refusal("epoll_wait")),
    }
}

fn refusal(function: &str) -> String {
    format!(
        "the simulation's {function} is not in force in this program, so a run would not be reproducible. \
         The simulated world needs Linux with glibc; use pgdrill's container image elsewhere"
    )
}
