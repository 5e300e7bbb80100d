//! Many runs over several threads, delivered in the order of the tasks whatever the threads do.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use super::Interrupt;

/// How long it takes at most until an interrupt is noticed.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What a worker reports.
pub(crate) enum Told<R> {
    /// A task is done: for progress, at once and in any order.
    Done,
    /// A result, in the order of the tasks. What is not needed any more may be taken out of it.
    Next(R),
}

/// Plays every task on `jobs` threads and tells the results. Ends early when interrupted: then what is done is told (still in
/// order, with gaps) and what is under way is left behind, to end with the process.
pub(crate) fn play_all<T, R>(
    tasks: Vec<T>,
    jobs: usize,
    interrupt: &Interrupt,
    play: impl Fn(&T) -> R + Send + Sync + 'static,
    mut told: impl FnMut(Told<&mut R>),
) -> Vec<R>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    let count = tasks.len();
    let results = start(tasks, jobs, interrupt, play);
    let mut waiting: BTreeMap<usize, R> = BTreeMap::new();
    let mut done: Vec<R> = Vec::with_capacity(count);
    while done.len() < count && !interrupt.raised() {
        match results.recv_timeout(LOOK_UP) {
            Ok((index, result)) => {
                told(Told::Done);
                waiting.insert(index, result);
                while let Some(mut result) = waiting.remove(&done.len()) {
                    told(Told::Next(&mut result));
                    done.push(result);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    waiting.extend(results.try_iter());
    for mut result in waiting.into_values() {
        told(Told::Next(&mut result));
        done.push(result);
    }
    done
}

fn start<T, R>(
    tasks: Vec<T>,
    jobs: usize,
    interrupt: &Interrupt,
    play: impl Fn(&T) -> R + Send + Sync + 'static,
) -> mpsc::Receiver<(usize, R)>
where
    T: Send + Sync + 'static,
    R: Send + 'static,
{
    let (sender, results) = mpsc::channel();
    let shared = Arc::new((tasks, AtomicUsize::new(0), play));
    for _ in 0..jobs.max(1) {
        let (shared, sender, interrupt) = (Arc::clone(&shared), sender.clone(), interrupt.clone());
        thread::spawn(move || {
            let (tasks, next, play) = &*shared;
            while !interrupt.raised() {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(task) = tasks.get(index) else { return };
                if sender.send((index, play(task))).is_err() {
                    // Nobody listens any more: interrupted.
                    return;
                }
            }
        });
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_with(jobs: usize, interrupt: &Interrupt) -> Vec<u64> {
        let mut told = Vec::new();
        let late_first = |task: &u64| {
            // The first tasks take longest: without care they would come last.
            thread::sleep(Duration::from_millis(20_u64.saturating_sub(*task * 4)));
            *task * 10
        };
        let results = play_all((0..8).collect(), jobs, interrupt, late_first, |event| {
            if let Told::Next(result) = event {
                told.push(*result);
            }
        });
        assert_eq!(told, results, "what is told is what is returned");
        told
    }

    #[test]
    fn results_come_in_the_order_of_the_tasks_whatever_the_number_of_jobs() {
        let expected: Vec<u64> = (0..8).map(|task| task * 10).collect();
        for jobs in [0, 1, 3, 20] {
            assert_eq!(told_with(jobs, &Interrupt::never()), expected, "{jobs} jobs");
        }
    }

    #[test]
    fn an_interrupt_ends_it_with_what_is_done() {
        let interrupt = Interrupt::never();
        let raising = interrupt.clone();
        let play = move |task: &u64| {
            if *task == 2 {
                raising.raise();
            }
            *task
        };
        let results = play_all((0..1000).collect(), 1, &interrupt, play, |_| {});
        assert!(results.len() <= 3, "{results:?}");
        assert!(results.is_sorted(), "{results:?}");
    }
}
