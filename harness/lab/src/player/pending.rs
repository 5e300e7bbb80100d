//! Faults whose effect shows only later: a process that was asked to end, an order that was given.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    event::{At, Event, FaultPhase, ProcessState, Recorder, What},
    scenario::Process,
};

/// What shows only later.
#[derive(Clone, Debug)]
pub(super) enum Pending {
    /// A process that was asked to end.
    Gone {
        /// The line of the timeline.
        index: usize,
        /// Which process.
        process: Process,
        /// On which hosts.
        hosts: Vec<String>,
        /// When it was asked.
        since: At,
    },
    /// An order that was given.
    Answer {
        /// The line of the timeline.
        index: usize,
        /// Whether there was an answer; it has been recorded then.
        answered: Arc<AtomicBool>,
    },
}

impl Pending {
    /// What has become of it when the scenario is over, with its line; `None` when that has been recorded already.
    pub(super) fn late(&self, recorder: &Recorder) -> Option<(usize, FaultPhase)> {
        match self {
            Self::Gone { index, process, hosts, since } => {
                let still: Vec<&String> = hosts.iter().filter(|h| !has_ended(recorder, *process, h, *since)).collect();
                let phase = match still.as_slice() {
                    [] => FaultPhase::Verified { evidence: format!("{process} ended on {}", hosts.join(", ")) },
                    _ => FaultPhase::Vacuous { why: format!("{process} never ended on {still:?}") },
                };
                Some((*index, phase))
            }
            Self::Answer { answered, .. } if answered.load(Ordering::Relaxed) => None,
            Self::Answer { index, .. } => {
                Some((*index, FaultPhase::Vacuous { why: "nobody answered until the end".to_owned() }))
            }
        }
    }
}

fn has_ended(recorder: &Recorder, process: Process, host: &str, since: At) -> bool {
    let end = |e: &Event| match &e.what {
        What::Process { process: p, state: ProcessState::Exited | ProcessState::Killed, .. } => {
            (e.node == host && p == process.name() && e.at >= since).then_some(())
        }
        _ => None,
    };
    recorder.last(end).is_some()
}
