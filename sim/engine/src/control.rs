//! What code inside a process may ask of the engine.

use std::time::Duration;

use crate::{
    id::{HostId, ProcessId},
    interpose,
    program::main_of,
    status::{ExitReason, ProcessStatus},
    world::{self, ProcessEntry, Request},
};

/// True simulated time since the start, whatever the clock of the host shows. For observers: a simulated program that
/// knew this would know more than a real one can.
#[must_use]
pub fn now() -> Duration {
    Duration::from_nanos(interpose::now_ns())
}

/// A number that the seed decides for the process that calls this: by its host, its name, how often it was started, and how
/// often it has asked. Nothing that others do changes it. Panics outside of a simulation.
#[must_use]
pub fn entropy() -> u64 {
    interpose::entropy_number().expect("entropy is drawn inside a simulation only")
}

/// Starts and stops processes of one host from inside a process of that host, as an HA agent does with its PostgreSQL.
///
/// Requests are applied at the current simulated time, right after the asking process has paused (at its next await that
/// has to wait); several are applied in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    host: HostId,
}

impl Control {
    /// The control of the host whose process calls this. Panics outside a simulated process.
    #[must_use]
    pub fn current() -> Self {
        Self { host: world::with(|world| world.current_host()) }
    }

    pub(crate) const fn of(host: HostId) -> Self {
        Self { host }
    }

    /// The host it controls.
    #[must_use]
    pub const fn host(&self) -> HostId {
        self.host
    }

    /// Starts a new process on this host; see [`Engine::spawn`](crate::Engine::spawn).
    pub fn spawn<F, R>(&self, name: &str, main: F) -> ProcessId
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let main = main_of(main);
        world::with(|world| {
            let id = ProcessId(world.processes.len());
            world.processes.push(ProcessEntry::new(name, self.host));
            world.requests.push(Request::Spawn(id, main));
            id
        })
    }

    /// Starts an ended process again, from its `main`. Nothing happens to one that runs.
    pub fn start(&self, process: ProcessId) {
        self.check(process);
        let status = world::with(|world| world.processes[process.0].status.clone());
        let starting = |status: &mut ProcessStatus| {
            // At once, so that waiting for the exit right after this waits for the new life's end.
            matches!(std::mem::replace(status, ProcessStatus::Running), ProcessStatus::Exited(_))
        };
        if status.send_if_modified(starting) {
            world::with(|world| world.requests.push(Request::Start(process)));
        }
    }

    /// SIGKILL.
    pub fn kill(&self, process: ProcessId) {
        self.request(process, Request::Kill(process));
    }

    /// SIGSTOP: it does not run, packets queue, its timers fire late.
    pub fn freeze(&self, process: ProcessId) {
        self.request(process, Request::Freeze(process));
    }

    /// SIGCONT.
    pub fn thaw(&self, process: ProcessId) {
        self.request(process, Request::Thaw(process));
    }

    /// Whether the process runs (frozen ones do).
    #[must_use]
    pub fn is_running(&self, process: ProcessId) -> bool {
        self.check(process);
        world::with(|world| matches!(*world.processes[process.0].status.borrow(), ProcessStatus::Running))
    }

    /// Waits until the process has ended, as `waitpid`; returns at once if it does not run.
    pub async fn exited(&self, process: ProcessId) -> ExitReason {
        self.check(process);
        let mut status = world::with(|world| world.processes[process.0].status.subscribe());
        loop {
            if let ProcessStatus::Exited(reason) = &*status.borrow_and_update() {
                return reason.clone();
            }
            status.changed().await.expect("the world outlives its processes");
        }
    }

    fn request(&self, process: ProcessId, request: Request) {
        self.check(process);
        world::with(|world| world.requests.push(request));
    }

    fn check(&self, process: ProcessId) {
        let host = world::with(|world| world.processes[process.0].host);
        assert_eq!(host, self.host, "a process is controlled from its own host only");
    }
}
