//! Where the answer to an order goes, whenever it comes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::Line;
use crate::{
    event::{At, FaultPhase, Recorder, What},
    world::LAB,
};

/// Takes the answer to one order. Clones are the same reply.
#[derive(Clone, Debug)]
pub struct Reply {
    recorder: Recorder,
    about: About,
}

#[derive(Clone, Debug)]
enum About {
    /// An order of the timeline: a refusal counts.
    Line { index: usize, text: String, targets: Vec<String>, answered: Arc<AtomicBool> },
    /// The end of a fault, which is no order of the scenario: a refusal (a replica that was promoted meanwhile replays nothing) is
    /// no violation.
    Undoing { host: String },
}

impl Reply {
    pub(super) fn to_line(recorder: Recorder, line: Line, text: String, targets: Vec<String>) -> Self {
        Self { recorder, about: About::Line { index: line.index, text, targets, answered: Arc::default() } }
    }

    pub(super) const fn to_undoing(recorder: Recorder, host: String) -> Self {
        Self { recorder, about: About::Undoing { host } }
    }

    /// What the order is about, in words: another one for each line of a timeline that orders something.
    #[must_use]
    pub fn about(&self) -> String {
        match &self.about {
            About::Line { text, targets, .. } => format!("{text}: {}", targets.join(", ")),
            About::Undoing { host } => format!("undoing on {host}"),
        }
    }

    /// Whether there was an answer, where somebody waits for one.
    pub(super) fn answered(&self) -> Arc<AtomicBool> {
        match &self.about {
            About::Line { answered, .. } => answered.clone(),
            About::Undoing { .. } => Arc::default(),
        }
    }

    /// Records the answer, as it comes now: what was done, or why not.
    pub fn give(&self, now: impl FnOnce() -> At, answer: Result<String, String>) {
        match &self.about {
            About::Line { index, text, targets, answered } => {
                let phase = match answer {
                    Ok(evidence) => FaultPhase::Verified { evidence },
                    Err(why) => FaultPhase::Refused { why },
                };
                answered.store(true, Ordering::Relaxed);
                let what = What::Fault { index: *index, text: text.clone(), phase, targets: targets.clone() };
                self.recorder.record_now(now, LAB, what);
            }
            About::Undoing { host } => {
                let text = match answer {
                    Ok(answer) => format!("undone: {answer}"),
                    Err(why) => format!("could not be undone: {why}"),
                };
                self.recorder.record_now(now, host.as_str(), What::Note { text });
            }
        }
    }
}
