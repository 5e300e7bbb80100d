//! How a panic inside a simulated process is caught.

use std::{
    cell::RefCell,
    panic::{self, PanicHookInfo},
    sync::Once,
};

use crate::{control, world};

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Records panics inside simulated processes: tokio catches them, and a detached task's would be lost.
pub(crate) fn record_panics() {
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
pub(crate) fn take_panic() -> Option<String> {
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
