//! The thread on which all real runs of this process live, whatever thread asked for them: they share the daemon's
//! connections, and a run that is given up can still clean up after itself.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    sync::{OnceLock, mpsc},
    thread,
};

use futures::FutureExt;
use tokio::{sync::mpsc::UnboundedSender, task};

type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Runs a future on the lab's thread and waits for it. A panic in it is a panic here.
///
/// # Panics
/// When the thread could not be started.
pub(crate) fn block_on<R, F>(make: impl FnOnce() -> F + Send + 'static) -> R
where
    R: Send + 'static,
    F: Future<Output = R> + 'static,
{
    let (done, result) = mpsc::sync_channel(1);
    let job: Job = Box::new(move || {
        Box::pin(async move {
            let ended = AssertUnwindSafe(async { make().await }).catch_unwind().await;
            // Nobody waits any more when the process is on its way out.
            let _ = done.send(ended);
        })
    });
    assert!(jobs().send(job).is_ok(), "the lab's thread has ended");
    match result.recv().expect("the lab's thread answers") {
        Ok(result) => result,
        Err(panic) => resume_unwind(panic),
    }
}

fn jobs() -> &'static UnboundedSender<Job> {
    static JOBS: OnceLock<UnboundedSender<Job>> = OnceLock::new();
    JOBS.get_or_init(|| {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<Job>();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            task::LocalSet::new().block_on(&runtime, async move {
                while let Some(job) = receiver.recv().await {
                    task::spawn_local(job());
                }
            });
        };
        thread::Builder::new().name("pgdrill-containers".to_owned()).spawn(serve).expect("a thread");
        sender
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_comes_to_is_handed_back() {
        assert_eq!(block_on(|| async { 7 }), 7);
    }

    #[test]
    fn a_panic_in_a_run_is_a_panic_of_its_caller_and_of_nobody_else() {
        let caught = std::panic::catch_unwind(|| block_on(|| async { panic!("on purpose") }));
        assert_eq!(caught.err().and_then(|p| p.downcast_ref::<&str>().copied()), Some("on purpose"));
        assert_eq!(block_on(|| async { 1 }), 1);
    }
}
