//! The one long-running task in the background: started by an action, looked at by the following cycles.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use pgdrill_ha::{
    Monotonic,
    view::{TaskKind, TaskProgress, TaskView},
};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinHandle},
};

/// Set by a promotion immediately before it gives the order.
pub(crate) type PointOfNoReturn = Arc<AtomicBool>;

/// The task that runs or has just ended.
pub(crate) struct TaskSlot {
    count: u64,
    current: Option<Task>,
    wake: Arc<Notify>,
}

struct Task {
    view: TaskView,
    handle: Option<JoinHandle<Result<(), String>>>,
    past: PointOfNoReturn,
}

/// Wakes the loop when the task ends well, is cancelled or panics. After a failure the next cycle comes at its time, as in Patroni
/// (`AsyncExecutor.run`): what has just failed would fail again at once, several times a second.
struct WakeOnDrop(Option<Arc<Notify>>);

impl WakeOnDrop {
    fn stay_asleep(&mut self) {
        self.0 = None;
    }
}

impl Drop for WakeOnDrop {
    fn drop(&mut self) {
        if let Some(wake) = &self.0 {
            wake.notify_one();
        }
    }
}

/// Whether a failure of it is followed by giving something up (the lock, the bootstrap) rather than by another try.
const fn gives_up_on_failure(kind: TaskKind) -> bool {
    matches!(kind, TaskKind::PrePromote | TaskKind::Demote | TaskKind::Bootstrap)
}

impl TaskSlot {
    pub fn new(wake: Arc<Notify>) -> Self {
        Self { count: 0, current: None, wake }
    }

    /// Starts a task in place of the one before, of which only a checkpoint may still be running.
    pub fn start<F>(&mut self, kind: TaskKind, now: Monotonic, run: impl FnOnce(PointOfNoReturn) -> F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.count += 1;
        let past = PointOfNoReturn::default();
        let work = run(Arc::clone(&past));
        let mut wake = WakeOnDrop(Some(Arc::clone(&self.wake)));
        let handle = tokio::spawn(async move {
            let outcome = work.await;
            if outcome.is_err() && !gives_up_on_failure(kind) {
                wake.stay_asleep();
            }
            outcome
        });
        let progress = TaskProgress::Running { past_point_of_no_return: false };
        let view = TaskView { id: self.count, kind, started: now, progress };
        self.current = Some(Task { view, handle: Some(handle), past });
    }

    /// The beginning of a cycle: takes note of an ended task and forgets the one reported in the cycle before.
    ///
    /// # Errors
    /// When the task panicked: that is the end of the agent.
    pub async fn begin_cycle(&mut self) -> Result<(), JoinError> {
        let Some(task) = &mut self.current else { return Ok(()) };
        match &mut task.handle {
            None => self.current = None,
            Some(handle) if handle.is_finished() => {
                let ended = handle.await;
                task.handle = None;
                task.view.progress = match ended {
                    Ok(Ok(())) => TaskProgress::Done,
                    Ok(Err(reason)) => TaskProgress::Failed { reason },
                    Err(error) if error.is_cancelled() => TaskProgress::Failed { reason: "cancelled".into() },
                    Err(error) => return Err(error),
                };
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// What decisions see of it.
    pub fn view(&self) -> Option<TaskView> {
        let task = self.current.as_ref()?;
        let mut view = task.view.clone();
        if let TaskProgress::Running { past_point_of_no_return } = &mut view.progress {
            *past_point_of_no_return = task.past.load(Ordering::SeqCst);
        }
        Some(view)
    }

    /// Whether a task other than a checkpoint runs.
    pub fn is_busy(&self) -> bool {
        self.current.as_ref().is_some_and(|task| task.handle.is_some() && task.view.kind != TaskKind::Checkpoint)
    }

    /// Whether PostgreSQL is being started: its end is then told by the task's end.
    pub fn is_starting_postgres(&self) -> bool {
        let kind = self.current.as_ref().filter(|task| task.handle.is_some()).map(|task| task.view.kind);
        matches!(kind, Some(TaskKind::Start | TaskKind::Restart))
    }

    /// Ends the task at its next pause. Its end is reported in the next cycle. Tells what was cancelled.
    pub fn cancel(&mut self) -> Option<TaskKind> {
        let task = self.current.as_ref()?;
        let handle = task.handle.as_ref()?;
        handle.abort();
        Some(task.view.kind)
    }
}

impl Drop for TaskSlot {
    fn drop(&mut self) {
        // An agent that ends takes its background work along, as a killed process would.
        self.cancel();
    }
}
