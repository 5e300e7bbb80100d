//! A simulation on a thread of its own.

use std::{any::Any, thread};

use crate::{control, engine::Engine, interpose, panics};

/// Deep futures of debug builds need more than the usual 2 MiB; untouched pages cost nothing.
const STACK_BYTES: usize = 16 << 20;

/// Runs a simulation on a fresh thread and answers what `simulate` answers.
///
/// The thread must be fresh because parts of its state (the keys of `HashMap`, for one) are drawn once and stay.
///
/// # Panics
/// When `simulate` panics, with the seed and the simulated time; when the replaced libc functions are not in force.
pub fn run_isolated<R: Send>(seed: u64, simulate: impl FnOnce(&mut Engine) -> R + Send) -> R {
    panics::record_panics();
    let simulation = || {
        let _active = interpose::activate(seed);
        if let Err(refusal) = interpose::verify() {
            panic!("{refusal}");
        }
        let mut engine = Engine::new(seed);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| simulate(&mut engine)));
        caught.map_err(|payload| format!("simulation with seed {seed} at {:?}: {}", control::now(), text(&*payload)))
    };
    let result = thread::scope(|scope| {
        let thread = thread::Builder::new().name(format!("seed {seed}")).stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, simulation).expect("a thread can be started").join()
    });
    match result {
        Ok(Ok(answer)) => answer,
        Ok(Err(context)) => panic!("{context}"),
        Err(payload) => panic!("simulation with seed {seed}: {}", text(&*payload)),
    }
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let owned = || payload.downcast_ref::<String>().map(String::as_str);
    payload.downcast_ref::<&str>().copied().or_else(owned).unwrap_or("(a panic without a message)")
}
