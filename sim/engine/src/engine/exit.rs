//! How processes end, and how a panic inside one is caught.

use std::{
    cell::RefCell,
    fmt,
    panic::{self, PanicHookInfo},
    sync::Once,
    time::Duration,
};

use crate::{Engine, ProcessId, control, world};

/// Why a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// Its main future ended.
    Finished,
    /// A task of it panicked, with this message. One panicking task ends the process, as with `panic = "abort"`: what a
    /// process lives on without must not go unnoticed.
    Panicked(String),
    /// [`Engine::kill`] or [`Control::kill`](crate::Control::kill).
    Killed,
    /// Its host lost power.
    PowerLost,
    /// It kept running without simulated time passing: a loop that never really waits.
    Livelocked,
    /// Simulated time passed, but it was given control again and again, far more often than any program that gets on: a loop
    /// that waits for next to nothing.
    Restless,
    /// It used `spawn_blocking` or something built on it: real threads are not reproducible.
    UsedThreads,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Killed => f.write_str("killed"),
            Self::PowerLost => f.write_str("its host lost power"),
            Self::Livelocked => f.write_str("livelock: it keeps running without time passing"),
            Self::Restless => f.write_str("no progress: it was busy all the time, over and over within one second"),
            Self::UsedThreads => f.write_str("it used blocking threads, which a simulation cannot reproduce"),
        }
    }
}

impl ExitReason {
    /// Whether the program is at fault: it was neither finished nor ended from outside.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Panicked(_) | Self::Livelocked | Self::Restless | Self::UsedThreads)
    }
}

/// Whether a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessStatus {
    /// It runs, or is frozen.
    Running,
    /// It has ended.
    Exited(ExitReason),
}

/// The end of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// When, since the start of the simulation.
    pub at: Duration,
    /// Which process.
    pub process: ProcessId,
    /// Why.
    pub reason: ExitReason,
}

pub(super) type ExitListener = Box<dyn FnMut(&Exit)>;

impl Engine {
    /// Every end of a process so far.
    #[must_use]
    pub fn exits(&self) -> &[Exit] {
        &self.exits
    }

    /// Calls `listener` for every end of a process from now on.
    pub fn on_exit(&mut self, listener: impl FnMut(&Exit) + 'static) {
        self.exit_listeners.push(Box::new(listener));
    }

    /// Panics, with every name and reason, if a process has ended by a fault of its own. Tests end with this.
    pub fn assert_no_faults(&self) {
        let faults: Vec<String> = self
            .exits
            .iter()
            .filter(|exit| exit.reason.is_fault())
            .map(|exit| format!("{} at {:?}: {}", self.process_name(exit.process), exit.at, exit.reason))
            .collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Records panics inside simulated processes: tokio catches them, and a detached task's would be lost.
pub(super) fn record_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| match running_process() {
            Some(process) => record(&process, info),
            None => previous(info),
        }));
    });
}

/// The first panic since this was last asked.
pub(super) fn take_panic() -> Option<String> {
    PANIC.take()
}

/// The name of the process that this thread is stepping. A panic while the world is borrowed is the engine's own.
fn running_process() -> Option<String> {
    world::try_with(|world| {
        let process = &world.processes[world.current?.0];
        Some(format!("{}/{}", world.hosts[process.host.0].name, process.name))
    })
}

fn record(process: &str, info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(no message)".to_owned());
    let place = info.location().map_or_else(String::new, |place| format!(", {}:{}", place.file(), place.line()));
    let message = format!("{message}{place}");
    eprintln!("process {process} panicked at {:?}: {message}", control::now());
    PANIC.with_borrow_mut(|first| first.get_or_insert(message).len());
}
