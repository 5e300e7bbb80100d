//! Real time, for the one thing simulated time cannot see: a step that never ends.
//!
//! A loop without an await never gives control back to the engine. One thread of the program looks at all simulations
//! now and then, and aborts the program when one process has been running for too long: nothing can interrupt it, and
//! a run that hangs for ever is worse than one that fails with a name.

use std::{
    sync::{
        Arc, Mutex, Once, PoisonError, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

const DEFAULT_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(250);

static SIMULATIONS: Mutex<Vec<Weak<Pulse>>> = Mutex::new(Vec::new());

/// What the watchdog sees of a simulation.
#[derive(Debug)]
struct Pulse {
    seed: u64,
    /// Odd while a step is running.
    beats: AtomicU64,
    process: AtomicUsize,
    names: Mutex<Vec<String>>,
    limit_ms: AtomicU64,
    /// The watchdog's notes: the beats seen last, and for how long they have not changed.
    seen_beats: AtomicU64,
    unchanged_ms: AtomicU64,
}

/// A simulation's end of the wire.
#[derive(Debug)]
pub(super) struct Heartbeat(Arc<Pulse>);

impl Heartbeat {
    pub(super) fn start(seed: u64) -> Self {
        static THREAD: Once = Once::new();
        THREAD.call_once(|| {
            // It inherits nothing of the simulating thread's clocks: they are replaced per thread.
            let _detached = thread::Builder::new().name("watchdog".to_owned()).spawn(watch);
        });
        let pulse = Arc::new(Pulse {
            seed,
            beats: AtomicU64::new(0),
            process: AtomicUsize::new(0),
            names: Mutex::default(),
            limit_ms: AtomicU64::new(DEFAULT_LIMIT.as_millis() as u64),
            seen_beats: AtomicU64::new(0),
            unchanged_ms: AtomicU64::new(0),
        });
        let mut simulations = SIMULATIONS.lock().unwrap_or_else(PoisonError::into_inner);
        simulations.push(Arc::downgrade(&pulse));
        Self(pulse)
    }

    pub(super) fn set_limit(&self, limit: Duration) {
        self.0.limit_ms.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The next process has this name.
    pub(super) fn name(&self, name: String) {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }

    pub(super) fn step_begins(&self, process: usize) {
        self.0.process.store(process, Ordering::Relaxed);
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn step_ends(&self) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
    }
}

fn watch() {
    loop {
        thread::sleep(LOOK_EVERY);
        let mut simulations = SIMULATIONS.lock().unwrap_or_else(PoisonError::into_inner);
        simulations.retain(|simulation| simulation.upgrade().is_some_and(|pulse| pulse.look()));
    }
}

impl Pulse {
    /// Aborts the program if the running step has taken too long. Always true: the simulation still exists.
    fn look(&self) -> bool {
        let beats = self.beats.load(Ordering::Relaxed);
        if beats.is_multiple_of(2) || self.seen_beats.swap(beats, Ordering::Relaxed) != beats {
            self.unchanged_ms.store(0, Ordering::Relaxed);
            return true;
        }
        let look_ms = LOOK_EVERY.as_millis() as u64;
        let stuck_ms = self.unchanged_ms.fetch_add(look_ms, Ordering::Relaxed) + look_ms;
        if stuck_ms >= self.limit_ms.load(Ordering::Relaxed) {
            let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let name = names.get(self.process.load(Ordering::Relaxed)).map_or("?", String::as_str);
            eprintln!(
                "pgdrill: process {name} of the simulation with seed {} has not given control back for {stuck_ms} ms of \
                 real time: a loop that never awaits. Aborting.",
                self.seed
            );
            std::process::abort();
        }
        true
    }
}
