//! One run: a scenario played with a seed and judged, whatever happens to it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use pgdrill_lab::{
    verdict::judge,
    world::{PlayError, Recording, World},
};
use pgdrill_reports::{Ending, Run, first_difference};

use super::Task;

/// Plays a task. Always comes back with a run: a panic of the lab is an ending like any other.
pub(crate) fn play(world: &dyn World, task: &Task) -> Run {
    let began = Instant::now();
    let mut run = Run {
        scenario: task.label.clone(),
        seed: task.reproduce.seed,
        reproduce: task.reproduce.clone(),
        ending: Ending::Unsupported(world.cannot(&task.scenario)),
        events: Vec::new(),
        played: Duration::ZERO,
        took: Duration::ZERO,
        trace_hash: None,
        because: None,
    };
    if let Some(why) = &task.does_not_apply {
        run.ending = Ending::NotApplicable(why.clone());
        return run;
    }
    if matches!(&run.ending, Ending::Unsupported(reasons) if !reasons.is_empty()) {
        return run;
    }
    match catching(|| world.play(&task.scenario, task.reproduce.seed)) {
        Ok(Ok(recording)) => {
            run.took = began.elapsed();
            finish(world, task, &mut run, recording);
        }
        Ok(Err(error)) => {
            run.ending = Ending::Unplayable(error.message);
            run.events = error.events;
        }
        Err(panic) => run.ending = Ending::Crashed(panic),
    }
    if run.took.is_zero() {
        run.took = began.elapsed();
    }
    run
}

/// Compares with a second time where that is asked for, then judges.
fn finish(world: &dyn World, task: &Task, run: &mut Run, recording: Recording) {
    run.played = Duration::from_nanos(recording.played_ns);
    run.trace_hash = recording.trace_hash;
    let different = if task.reproduce.twice {
        match catching(|| world.play(&task.scenario, task.reproduce.seed)) {
            Ok(again) => difference(&recording, again),
            Err(panic) => Some(format!("the second time the lab crashed: {panic}")),
        }
    } else {
        None
    };
    run.ending = match different {
        Some(different) => Ending::Unreproducible(different),
        None => match catching(|| judge(&task.rules, &recording.events)) {
            Ok(judgement) => Ending::Judged(judgement),
            Err(panic) => Ending::Crashed(panic),
        },
    };
    run.events = recording.events;
}

/// How the second time differs from the first, if it does.
fn difference(first: &Recording, again: Result<Recording, PlayError>) -> Option<String> {
    let second = match again {
        Ok(second) => second,
        Err(error) => return Some(format!("the second time it could not be played: {error}")),
    };
    if let Some(difference) = first_difference(&first.events, &second.events) {
        return Some(difference.to_string());
    }
    let hash = |hash: Option<u64>| hash.map_or_else(|| "none".to_owned(), |hash| format!("{hash:016x}"));
    (first.trace_hash != second.trace_hash).then(|| {
        let (one, two) = (hash(first.trace_hash), hash(second.trace_hash));
        format!("all events are the same, but not what happened between them: trace hash {one}, then {two}")
    })
}

/// The panic's message instead of the panic. The panic hook has printed where it was by then.
fn catching<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    // What the world leaves behind is not looked at again: a new one is opened for each run.
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
    })
}

#[cfg(test)]
mod tests;
