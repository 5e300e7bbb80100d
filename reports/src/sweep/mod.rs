//! What settings cost: one scenario's runs with each combination of settings, side by side.

mod csv;
mod statistics;
mod text;

use std::collections::BTreeMap;

use pgdrill_lab::verdict::Verdict;
use serde::Serialize;

pub use csv::sweep_csv;
pub use statistics::{PairedDifference, Quantile};
pub use text::sweep_text;

use crate::{
    interrupted::Interrupted,
    run::{Ending, Run},
};

/// A field and the value that it was set to, as they were typed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// `ttl`.
    pub field: String,
    /// `30`.
    pub value: String,
}

/// What `--json FILE` writes. Stable: fields are added, never renamed or removed, within one `format`.
#[derive(Clone, Debug, Serialize)]
pub struct Sweep {
    /// `pgdrill-sweep-1`.
    pub format: &'static str,
    /// The version of pgdrill that wrote it.
    pub version: &'static str,
    /// The fields, in the order of the command line.
    pub fields: Vec<String>,
    /// What is wanted of a combination, as it was typed.
    pub wants: Vec<String>,
    /// Every scenario with every legal combination: scenario by scenario, combinations in the order of their values.
    pub cells: Vec<Cell>,
    /// Combinations that cannot be played.
    pub skipped: Vec<Skipped>,
    /// The best of the combinations with which every scenario is as wanted: no other has a smaller sum of the scenarios' p95. `None`
    /// where none is, or nothing was wanted.
    pub best: Option<Vec<Setting>>,
    /// How far it came, where it was ended early.
    pub interrupted: Option<Interrupted>,
}

/// A combination that no scenario can be played with.
#[derive(Clone, Debug, Serialize)]
pub struct Skipped {
    /// The combination.
    pub settings: Vec<Setting>,
    /// The scenario.
    pub scenario: String,
    /// What is wrong with it.
    pub why: String,
}

/// One scenario with one combination of settings.
#[derive(Clone, Debug, Serialize)]
pub struct Cell {
    /// Name with theme.
    pub scenario: String,
    /// The combination.
    pub settings: Vec<Setting>,
    /// What its runs amount to.
    pub figures: CellFigures,
    /// What is wanted and not so, with what was measured; empty where everything is as wanted.
    pub missed: Vec<String>,
}

/// What the runs of a cell amount to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CellFigures {
    /// How many runs there were.
    pub runs: usize,
    /// How many of them were played and judged to the end. What a cell promises is only known if all were.
    pub judged: usize,
    /// Why the first run that was not judged was not.
    pub not_judged: Option<String>,
    /// The longest outage of each run: half of the runs have a shorter one.
    pub outage_p50: Option<Quantile>,
    /// The same for 95 of 100 runs.
    pub outage_p95: Option<Quantile>,
    /// The same for 99 of 100 runs: of fewer than 100 runs the longest.
    pub outage_p99: Option<Quantile>,
    /// The longest of all.
    pub outage_max_ms: Option<u64>,
    /// How much longer the outages are than with the first combination of this scenario.
    pub than_first: Option<PairedDifference>,
    /// The share of the scenario's duration outside of outages of a second or more, 0 to 1: the mean of the runs.
    pub availability: Option<f64>,
    /// The same of the worst run.
    pub availability_min: Option<f64>,
    /// Acknowledged rows missing at the end, of all runs.
    pub lost_rows: u64,
    /// The same of the worst run.
    pub lost_rows_max: u64,
    /// How often the leader changed, of all runs.
    pub leader_changes: u64,
    /// How often it changed although the leader had been left alone, of all runs.
    pub needless_changes: u64,
    /// How many runs broke a rule; the scenario's own budgets do not count.
    pub violating: usize,
    /// In how many runs each rule was broken, by its code.
    pub violations: BTreeMap<String, usize>,
    /// In how many runs each of the scenario's own budgets was missed, by its code.
    pub budgets: BTreeMap<String, usize>,
}

/// What is kept of a run.
#[derive(Clone, Debug)]
pub struct Sample {
    seed: u64,
    not_judged: Option<String>,
    outage_ms: Option<u64>,
    availability: Option<f64>,
    lost_rows: u64,
    leader_changes: u64,
    needless_changes: u64,
    violations: Vec<&'static str>,
    budgets: Vec<&'static str>,
}

impl Sample {
    /// Of a run whose scenario lasts so long, with the changes of leadership that nobody needed.
    #[must_use]
    pub fn of(run: &Run, duration_ms: u64, needless_changes: u64) -> Self {
        let mut sample = Self {
            seed: run.seed,
            not_judged: None,
            outage_ms: None,
            availability: None,
            lost_rows: 0,
            leader_changes: 0,
            needless_changes,
            violations: Vec::new(),
            budgets: Vec::new(),
        };
        let Ending::Judged(judgement) = &run.ending else {
            sample.not_judged = Some(format!("{}: {}", run.word(), run.reason()));
            return sample;
        };
        if !matches!(judgement.verdict, Verdict::Pass | Verdict::Fail) {
            sample.not_judged = Some(format!("{}: {}", run.word(), judgement.reason));
        }
        let measured = &judgement.measured;
        sample.outage_ms = measured.outage_ms;
        let out: u64 = measured.outages.iter().map(|outage| outage.millis()).sum();
        sample.availability =
            measured.outage_ms.map(|_| 1.0 - (out as f64 / duration_ms.max(1) as f64).clamp(0.0, 1.0));
        sample.lost_rows = measured.lost_rows.unwrap_or_default();
        sample.leader_changes = measured.leader_changes;
        for violation in &judgement.violations {
            let codes = if violation.broken.is_expectation() { &mut sample.budgets } else { &mut sample.violations };
            if !codes.contains(&violation.code()) {
                codes.push(violation.code());
            }
        }
        sample
    }
}

impl CellFigures {
    /// Of the runs of a cell, beside those of the first combination with the same seeds.
    #[must_use]
    pub fn of(samples: &[Sample], first: &[Sample]) -> Self {
        let mut outages: Vec<u64> = samples.iter().filter_map(|sample| sample.outage_ms).collect();
        outages.sort_unstable();
        let available: Vec<f64> = samples.iter().filter_map(|sample| sample.availability).collect();
        let count = |codes: fn(&Sample) -> &[&'static str]| {
            let mut counted = BTreeMap::new();
            for code in samples.iter().flat_map(codes) {
                *counted.entry((*code).to_owned()).or_default() += 1;
            }
            counted
        };
        Self {
            runs: samples.len(),
            judged: samples.iter().filter(|sample| sample.not_judged.is_none()).count(),
            not_judged: samples.iter().find_map(|sample| sample.not_judged.clone()),
            outage_p50: Quantile::of(&outages, 0.5),
            outage_p95: Quantile::of(&outages, 0.95),
            outage_p99: Quantile::of(&outages, 0.99),
            outage_max_ms: outages.last().copied(),
            than_first: than(samples, first),
            availability: (!available.is_empty()).then(|| available.iter().sum::<f64>() / available.len() as f64),
            availability_min: available.iter().copied().reduce(f64::min),
            lost_rows: samples.iter().map(|sample| sample.lost_rows).sum(),
            lost_rows_max: samples.iter().map(|sample| sample.lost_rows).max().unwrap_or_default(),
            leader_changes: samples.iter().map(|sample| sample.leader_changes).sum(),
            needless_changes: samples.iter().map(|sample| sample.needless_changes).sum(),
            violating: samples.iter().filter(|sample| !sample.violations.is_empty()).count(),
            violations: count(|sample| &sample.violations),
            budgets: count(|sample| &sample.budgets),
        }
    }
}

/// Seed by seed: a seed has the same latencies and the same moments whatever the settings are.
fn than(samples: &[Sample], first: &[Sample]) -> Option<PairedDifference> {
    let by_seed: BTreeMap<u64, i64> =
        first.iter().filter_map(|sample| Some((sample.seed, i64::try_from(sample.outage_ms?).ok()?))).collect();
    let difference = |sample: &Sample| {
        let before = by_seed.get(&sample.seed)?;
        Some(i64::try_from(sample.outage_ms?).ok()? - before)
    };
    PairedDifference::of(samples.iter().filter_map(difference).collect())
}

impl Sweep {
    /// Whether a combination is as wanted in every scenario.
    #[must_use]
    pub fn qualifies(&self, settings: &[Setting]) -> bool {
        let mut cells = self.cells.iter().filter(|cell| cell.settings == settings).peekable();
        let skipped = self.skipped.iter().any(|skipped| skipped.settings == settings);
        !skipped && cells.peek().is_some() && cells.all(|cell| cell.missed.is_empty())
    }

    /// The legal combinations in their order, each once.
    #[must_use]
    pub fn combinations(&self) -> Vec<&[Setting]> {
        let mut combinations: Vec<&[Setting]> = Vec::new();
        for cell in &self.cells {
            if !combinations.contains(&cell.settings.as_slice()) {
                combinations.push(&cell.settings);
            }
        }
        combinations
    }

    /// The best combination, where something is wanted: of those that qualify the one with the shortest outages (the sum of the
    /// scenarios' p95), of these the first.
    #[must_use]
    pub fn find_best(&self) -> Option<Vec<Setting>> {
        if self.wants.is_empty() {
            return None;
        }
        let cost = |settings: &&[Setting]| -> u64 {
            let cells = self.cells.iter().filter(|cell| cell.settings == *settings);
            cells.map(|cell| cell.figures.outage_p95.map_or(0, |quantile| quantile.ms)).sum()
        };
        let qualifying = self.combinations().into_iter().filter(|settings| self.qualifies(settings));
        qualifying.min_by_key(cost).map(<[Setting]>::to_vec)
    }
}
