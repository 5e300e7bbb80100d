//! What `pgdrill run` prints, run by run and at the end.

use std::collections::{BTreeMap, BTreeSet};

use pgdrill_lab::verdict::Verdict;
use pgdrill_reports::{Detail, Ending, Interrupted, Run, explanation, table, timeline};

use super::RunArgs;
use crate::{command::Screen, report::badness};

/// Prints runs in order and remembers how they are explained.
pub(crate) struct Telling {
    screen: Screen,
    detail: Option<Detail>,
    quiet: bool,
    /// A single run is explained below its table, so that what is to be done stands last.
    single: bool,
    /// By scenario and seed: of the runs that did not pass, whose events are gone by the time that documents are written.
    explained: BTreeMap<(String, u64), String>,
    /// The scenario that was explained last, and how bad that run was: the next seed's like failure is only counted.
    last: Option<(String, (bool, Verdict))>,
    /// Why runs were not played, each told once: a machine without images has the same for every run; and how many runs had a
    /// reason that was told.
    not_played: BTreeSet<String>,
    repeated: usize,
    /// Why scenarios say nothing about a cluster with the user's settings, with their names.
    not_applicable: BTreeMap<String, Vec<String>>,
}

impl Telling {
    pub(crate) fn new(screen: Screen, arguments: &RunArgs, runs: usize) -> Self {
        let detail = Detail::from_count(arguments.verbose);
        let (quiet, single) = (arguments.quiet, runs == 1);
        Self {
            screen,
            detail,
            quiet,
            single,
            explained: BTreeMap::new(),
            last: None,
            not_played: BTreeSet::new(),
            repeated: 0,
            not_applicable: BTreeMap::new(),
        }
    }

    /// Prints what is to be said of a run while its events are there; why it did not pass is asked where that is told.
    pub(crate) fn tell(&mut self, run: &mut Run, because: impl FnOnce() -> Option<String>) {
        // A cluster that does not come up, for whatever reason, does so in every scenario.
        if let Ending::Unplayable(why) = &run.ending
            && !self.not_played.insert(why.clone())
        {
            self.repeated += 1;
            self.explained.insert((run.scenario.clone(), run.seed), explanation(run, self.screen.width()));
            return;
        }
        if let Ending::NotApplicable(why) = &run.ending {
            let scenarios = self.not_applicable.entry(why.clone()).or_default();
            if scenarios.last() != Some(&run.scenario) {
                scenarios.push(run.scenario.clone());
            }
            return;
        }
        let passed = run.verdict() == Verdict::Pass;
        if let Some(detail) = self.detail {
            let outages = run.measured().map_or(&[][..], |measured| &measured.outages);
            let drawn = timeline(&run.events, outages, detail, self.screen.width());
            self.screen.print(&format!("{}, seed {}\n\n{drawn}\n", run.scenario, run.seed));
        }
        if passed {
            return;
        }
        let like = matches!(&self.last, Some((scenario, bad)) if *scenario == run.scenario && *bad >= badness(run));
        if !like && matches!(run.verdict(), Verdict::Fail | Verdict::Vacuous) {
            run.because = because();
        }
        let explained = explanation(run, self.screen.width());
        if !like && !self.single {
            self.screen.print(&format!("{explained}\n"));
            self.last = Some((run.scenario.clone(), badness(run)));
        }
        self.explained.insert((run.scenario.clone(), run.seed), explained);
    }

    /// Prints what it all comes to; of what was not all passed, the last line is the command that reproduces the worst.
    pub(crate) fn end(&mut self, runs: &[Run], interrupted: Option<Interrupted>) {
        if !self.quiet && !runs.is_empty() {
            let table = table(runs, self.screen.width());
            self.screen.print(&table);
        }
        if let Some(interrupted) = interrupted {
            self.screen.print(&format!("\n{interrupted}\n"));
        }
        self.tell_not_applicable();
        if self.repeated > 0 {
            let plural = if self.repeated == 1 { "" } else { "s" };
            self.screen
                .print(&format!("\n{} more run{plural} not played for a reason that is told above\n", self.repeated));
        }
        let Some(worst) = runs.iter().rev().max_by_key(|run| badness(run)).filter(|r| r.verdict() > Verdict::Pass)
        else {
            return;
        };
        if self.single {
            let explained = self.explained(worst).unwrap_or_default();
            self.screen.print(&format!("\n{explained}"));
            return;
        }
        let Run { scenario, seed, reproduce, .. } = worst;
        let (word, reason) = (worst.word(), worst.reason());
        let reason = reason.lines().next().unwrap_or_default();
        self.screen.print(&format!("\n{scenario}, seed {seed}: {word}: {reason}\nreproduce: {reproduce}\n"));
    }

    fn tell_not_applicable(&mut self) {
        for (why, scenarios) in std::mem::take(&mut self.not_applicable) {
            let verb = if scenarios.len() == 1 { "does" } else { "do" };
            self.screen.print(&format!("\n{} {verb} not apply: {why}\n", scenarios.join(", ")));
        }
    }

    /// Says something that is no result.
    pub(crate) fn warn(&mut self, text: &str) {
        self.screen.print(&format!("warning: {text}\n"));
    }

    /// How a run was explained.
    pub(crate) fn explained(&self, run: &Run) -> Option<String> {
        self.explained.get(&(run.scenario.clone(), run.seed)).cloned()
    }
}
