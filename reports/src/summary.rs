//! The summary of many runs for machines. Stable: fields are added, never renamed or removed, within one `format`.

use pgdrill_lab::{figures::Measured, oracle::Violation, verdict::Verdict};
use serde::Serialize;

use crate::{
    interrupted::Interrupted,
    run::{Ending, Run, exit_code},
};

/// What `--json FILE` writes.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// `pgdrill-summary-1`.
    pub format: &'static str,
    /// The version of pgdrill that wrote it.
    pub version: &'static str,
    /// The worst verdict; of what was interrupted at least [`Verdict::Unknown`], since nobody knows the rest.
    pub verdict: Verdict,
    /// What the process exits with.
    pub exit_code: u8,
    /// Whether it was ended early, by Ctrl-C: there would have been more runs.
    pub interrupted: bool,
    /// How many runs were played.
    pub played: usize,
    /// How many runs were asked for.
    pub planned: usize,
    /// One for each scenario and seed, in the order of the command line.
    pub runs: Vec<RunSummary<'a>>,
}

/// One run.
#[derive(Debug, Serialize)]
pub struct RunSummary<'a> {
    /// Name with theme.
    pub scenario: &'a str,
    /// The file.
    pub file: String,
    /// The world it was played in.
    pub world: &'a str,
    /// The seed.
    pub seed: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// How it ended in a word: the verdict's, or `not played`, `not reproducible`, `crash`.
    pub ending: String,
    /// Why, in a sentence.
    pub reason: String,
    /// What counts against it, first one first.
    pub violations: &'a [Violation],
    /// What the scenario is there to show, and did.
    pub shown: &'a [Violation],
    /// The figures; absent where it was not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<&'a Measured>,
    /// Its length in its own time, in milliseconds.
    pub played_ms: u64,
    /// How long it took, in milliseconds. The only field besides [`Summary::version`] that differs between equal runs.
    pub took_ms: u64,
    /// The trace's hash in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_hash: Option<String>,
    /// The command that plays it again, quoted for a shell.
    pub reproduce: String,
}

/// Sums up the runs.
#[must_use]
pub fn summary<'a>(runs: &'a [Run], version: &'static str, interrupted: Option<Interrupted>) -> Summary<'a> {
    let unknown = interrupted.map(|_| Verdict::Unknown);
    Summary {
        format: "pgdrill-summary-1",
        version,
        verdict: Verdict::combine(runs.iter().map(Run::verdict).chain(unknown)),
        exit_code: if interrupted.is_some() { 130 } else { exit_code(runs).number() },
        interrupted: interrupted.is_some(),
        played: runs.len(),
        planned: interrupted.map_or(runs.len(), |interrupted| interrupted.planned),
        runs: runs.iter().map(run_summary).collect(),
    }
}

fn run_summary(run: &Run) -> RunSummary<'_> {
    let (violations, shown) = match &run.ending {
        Ending::Judged(judgement) => (&judgement.violations[..], &judgement.shown[..]),
        _ => (&[][..], &[][..]),
    };
    RunSummary {
        scenario: &run.scenario,
        file: run.reproduce.file.display().to_string(),
        world: run.reproduce.world.as_deref().unwrap_or(crate::compare::SIMULATOR),
        seed: run.seed,
        verdict: run.verdict(),
        ending: run.word(),
        reason: run.reason(),
        violations,
        shown,
        measured: run.measured(),
        played_ms: u64::try_from(run.played.as_millis()).unwrap_or(u64::MAX),
        took_ms: u64::try_from(run.took.as_millis()).unwrap_or(u64::MAX),
        trace_hash: run.trace_hash.map(|hash| format!("{hash:016x}")),
        reproduce: run.reproduce.to_string(),
    }
}
