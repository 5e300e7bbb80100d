//! One run as reports see it: what was played, how it ended, what it cost.

use std::time::Duration;

use pgdrill_lab::{
    event::Event,
    figures::Measured,
    verdict::{ExitCode, Judgement, Verdict},
};

use crate::reproduce::Reproduce;

/// One scenario played with one seed.
#[derive(Clone, Debug)]
pub struct Run {
    /// The scenario's name with its theme: `partition/leader-cut-from-etcd`.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// How to play it again.
    pub reproduce: Reproduce,
    /// How it ended.
    pub ending: Ending,
    /// What was seen. May be emptied once nobody needs it any more: thousands of runs do not fit in memory.
    pub events: Vec<Event>,
    /// How long it was, in its own time.
    pub played: Duration,
    /// How long it took.
    pub took: Duration,
    /// A hash over the full internal trace, where the world has one.
    pub trace_hash: Option<u64>,
    /// Which of the user's own settings a run that did not pass is for, in a sentence, where that is known.
    pub because: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It was played and judged.
    Judged(Judgement),
    /// The world cannot play it, for these reasons.
    Unsupported(Vec<String>),
    /// The scenario is about other settings than those of the user's file: why.
    NotApplicable(String),
    /// The lab could not play it: says nothing about the cluster.
    Unplayable(String),
    /// Played twice with the same seed it was not the same: the first difference, in words.
    Unreproducible(String),
    /// The lab itself panicked: the message.
    Crashed(String),
}

impl Run {
    /// The verdict; a run that the lab could not play is [`Verdict::Unknown`].
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match &self.ending {
            Ending::Judged(judgement) => judgement.verdict,
            Ending::Unsupported(_) => Verdict::Unsupported,
            Ending::NotApplicable(_) => Verdict::NotApplicable,
            Ending::Unplayable(_) | Ending::Crashed(_) => Verdict::Unknown,
            // A lab that promises reproducibility and breaks it has failed, whatever the cluster did.
            Ending::Unreproducible(_) => Verdict::Fail,
        }
    }

    /// The word for how it ended: the verdict's, or one that tells the lab's own failures apart.
    #[must_use]
    pub fn word(&self) -> String {
        match &self.ending {
            Ending::Judged(judgement) => judgement.verdict.to_string(),
            Ending::Unsupported(_) | Ending::NotApplicable(_) => self.verdict().to_string(),
            Ending::Unplayable(_) => "not played".to_owned(),
            Ending::Unreproducible(_) => "not reproducible".to_owned(),
            Ending::Crashed(_) => "crash".to_owned(),
        }
    }

    /// Why, in a sentence.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.ending {
            Ending::Judged(judgement) => judgement.reason.clone(),
            Ending::Unsupported(why) => why.join("; "),
            Ending::NotApplicable(why)
            | Ending::Unplayable(why)
            | Ending::Unreproducible(why)
            | Ending::Crashed(why) => why.clone(),
        }
    }

    /// The figures, where it was judged.
    #[must_use]
    pub fn measured(&self) -> Option<&Measured> {
        match &self.ending {
            Ending::Judged(judgement) => Some(&judgement.measured),
            _ => None,
        }
    }

    /// How many violations count against it.
    #[must_use]
    pub fn violations(&self) -> usize {
        match &self.ending {
            Ending::Judged(judgement) => judgement.violations.len(),
            _ => 0,
        }
    }
}

/// The exit code that many runs amount to: a crash of the lab before everything, then the worst verdict.
#[must_use]
pub fn exit_code(runs: &[Run]) -> ExitCode {
    if runs.iter().any(|run| matches!(run.ending, Ending::Crashed(_))) {
        return ExitCode::Crash;
    }
    Verdict::combine(runs.iter().map(Run::verdict)).into()
}
