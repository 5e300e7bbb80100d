//! The general check, by porcupine's search.
//!
//! Porcupine's own time limit uses a thread and the wall clock, so the same events could be judged differently twice. The
//! search is bounded here by the number of steps of the model instead: beyond it the model accepts nothing any more, which
//! ends the search at once, and the count tells that the answer is worth nothing.

use std::cell::Cell;

use porcupine_rs::{Model, Operation as Step, check_operations};

use super::{Check, Register};
use crate::event::At;

/// Enough for thousands of operations with a few under way at a time; a fraction of a second.
const STEPS_AT_MOST: u64 = 300_000;

thread_local! {
    /// Steps left for the search under way on this thread. The model has no place of its own to keep it.
    static STEPS_LEFT: Cell<u64> = const { Cell::new(0) };
}

/// A register that keeps the largest id.
#[derive(Clone, Debug)]
struct LargestId;

#[derive(Clone, Debug)]
enum Op {
    Write(u64),
    Read(Option<u64>),
}

impl Model for LargestId {
    type State = Option<u64>;
    type Op = Op;
    type Metadata = ();

    fn init() -> Self::State {
        None
    }

    fn step(state: &Self::State, op: &Op) -> (bool, Self::State) {
        let left = STEPS_LEFT.get();
        STEPS_LEFT.set(left.saturating_sub(1));
        match op {
            _ if left == 0 => (false, *state),
            Op::Write(id) => (true, (*state).max(Some(*id))),
            Op::Read(value) => (value == state, *state),
        }
    }
}

/// Searches for an order that explains every read.
pub(super) fn check<'h, 'a>(register: &Register<'h, 'a>) -> Check<'h, 'a> {
    STEPS_LEFT.set(STEPS_AT_MOST);
    let linearizable = check_operations::<LargestId>(&steps(register));
    match (linearizable, STEPS_LEFT.get()) {
        (true, _) => Check::Linearizable,
        (false, 0) => Check::TooLong,
        (false, _) => Check::NoOrder,
    }
}

fn steps(register: &Register<'_, '_>) -> Vec<Step<LargestId>> {
    let nanos = |at: At| i64::try_from(at.0).unwrap_or(i64::MAX);
    let step = |call_time, return_time, op| Step { client_id: None, call_time, return_time, op, metadata: None };
    let mut steps = Vec::new();
    for (write, id) in &register.writes {
        // An unknown write that nobody read need not have happened: a larger register can only contradict more reads. One
        // that was read happened before the first such read returned, which spares the search an operation without an end.
        let end = write.acknowledged_at().or_else(|| {
            let reads = register.reads.iter().filter(|(_, value)| *value == Some(*id));
            reads.filter_map(|(read, _)| read.acknowledged_at()).min()
        });
        if let Some(end) = end.filter(|end| *end >= write.invoked_at) {
            steps.push(step(nanos(write.invoked_at), nanos(end), Op::Write(*id)));
        }
    }
    for (read, value) in &register.reads {
        let end = read.acknowledged_at().unwrap_or(read.invoked_at);
        steps.push(step(nanos(read.invoked_at), nanos(end), Op::Read(*value)));
    }
    steps
}
