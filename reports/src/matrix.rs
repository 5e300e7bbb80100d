//! Scenarios by worlds as a Markdown table: what each world made of each scenario, and why where it did not pass.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use serde::Deserialize;

/// What of a summary (`--json`) the table needs.
#[derive(Clone, Debug, Deserialize)]
pub struct PlayedRuns {
    /// `pgdrill-summary-1`.
    pub format: String,
    /// The runs.
    pub runs: Vec<PlayedRun>,
}

/// A run of a summary.
#[derive(Clone, Debug, Deserialize)]
pub struct PlayedRun {
    /// Name with theme.
    pub scenario: String,
    /// `sim`, `containers`, `patroni`.
    pub world: String,
    /// How it ended in a word.
    pub ending: String,
    /// Why, in a sentence.
    pub reason: String,
    /// The figures, where it was judged.
    #[serde(default)]
    pub measured: Option<Figures>,
    /// The day it was played on, if that is known: `2026-11-24`. Its summary does not say.
    #[serde(skip)]
    pub played_on: Option<String>,
}

/// The figures that the table shows.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Figures {
    /// The longest outage, in milliseconds.
    #[serde(default)]
    pub outage_ms: Option<u64>,
    /// Acknowledged rows that were lost.
    #[serde(default)]
    pub lost_rows: Option<u64>,
}

/// The table, then how many of each world passed and when they were played, then the reasons of all that did not pass.
#[must_use]
pub fn matrix(runs: &[PlayedRun]) -> String {
    let mut worlds: Vec<&str> = runs.iter().map(|run| run.world.as_str()).collect();
    worlds.sort_unstable_by_key(|world| (*world != "sim", *world));
    worlds.dedup();
    let mut scenarios: BTreeMap<&str, BTreeMap<&str, Vec<&PlayedRun>>> = BTreeMap::new();
    for run in runs {
        scenarios.entry(&run.scenario).or_default().entry(&run.world).or_default().push(run);
    }
    let mut out = format!("| scenario | {} |\n|---|{}\n", worlds.join(" | "), "---|".repeat(worlds.len()));
    let mut notes: Vec<String> = Vec::new();
    for (scenario, by_world) in &scenarios {
        let cells: Vec<String> =
            worlds.iter().map(|world| by_world.get(world).map_or("-".into(), |runs| cell(runs, &mut notes))).collect();
        let _ = writeln!(out, "| `{scenario}` | {} |", cells.join(" | "));
    }
    out.push_str(&totals(&worlds, runs));
    for (n, note) in notes.iter().enumerate() {
        let _ = write!(out, "\n{}. {note}", n + 1);
    }
    if !notes.is_empty() {
        out.push('\n');
    }
    out
}

/// `pass 12.6 s`, or the worst word with the number of its reason.
fn cell(runs: &[&PlayedRun], notes: &mut Vec<String>) -> String {
    let not_passed: Vec<&&PlayedRun> = runs.iter().filter(|run| run.ending != "pass").collect();
    let Some(first) = not_passed.first() else {
        return format!("pass{}", figures(runs));
    };
    // The same sentence of several scenarios is one note; table cells must not end early.
    let reason = first.reason.replace('|', "\\|").replace('\n', " ");
    let number = notes.iter().position(|note| *note == reason).unwrap_or_else(|| {
        notes.push(reason);
        notes.len() - 1
    });
    let share = if runs.len() > 1 { format!(" {}/{}", not_passed.len(), runs.len()) } else { String::new() };
    format!("**{}**{share} ({}){}", first.ending, number + 1, figures(runs))
}

/// The longest outage of the runs, and what they lost.
fn figures(runs: &[&PlayedRun]) -> String {
    let figures = || runs.iter().filter_map(|run| run.measured);
    let outage = figures().filter_map(|figures| figures.outage_ms).max();
    let lost = figures().filter_map(|figures| figures.lost_rows).max().filter(|rows| *rows > 0);
    let outage = outage.map(|ms| format!(", {}", crate::duration(std::time::Duration::from_millis(ms))));
    let lost = lost.map(|rows| format!(", {rows} lost"));
    format!("{}{}", outage.unwrap_or_default(), lost.unwrap_or_default())
}

fn totals(worlds: &[&str], runs: &[PlayedRun]) -> String {
    let mut out = String::new();
    for world in worlds {
        let mut words: BTreeMap<&str, usize> = BTreeMap::new();
        for run in runs.iter().filter(|run| run.world == *world) {
            *words.entry(&run.ending).or_default() += 1;
        }
        let words: Vec<String> = words.iter().map(|(word, count)| format!("{count} {word}")).collect();
        let days: BTreeSet<&str> =
            runs.iter().filter(|run| run.world == *world).filter_map(|run| run.played_on.as_deref()).collect();
        let days = match (days.first(), days.last()) {
            (Some(first), Some(last)) if first == last => format!("; played on {first}"),
            (Some(first), Some(last)) => format!("; played from {first} to {last}"),
            _ => String::new(),
        };
        let _ = write!(out, "\n`{world}`: {}{days}.", words.join(", "));
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(scenario: &str, world: &str, ending: &str, reason: &str, outage_ms: u64) -> PlayedRun {
        let measured = Some(Figures { outage_ms: Some(outage_ms), lost_rows: Some(0) });
        let measured = measured.filter(|_| ending != "unsupported");
        PlayedRun {
            scenario: scenario.into(),
            world: world.into(),
            ending: ending.into(),
            reason: reason.into(),
            measured,
            played_on: None,
        }
    }

    #[test]
    fn a_scenario_is_a_line_and_every_reason_is_told_once() {
        let mut runs = [
            run("leader/agent-frozen", "patroni", "fail", "two writers | at 61 s", 900),
            run("leader/agent-frozen", "sim", "pass", "every rule held", 1_200),
            run("clock/drift", "containers", "unsupported", "no drift here", 0),
            run("clock/drift", "patroni", "unsupported", "no drift here", 0),
            run("clock/drift", "sim", "pass", "every rule held", 0),
            run("clock/drift", "sim", "fail", "one run failed", 0),
        ];
        for (run, day) in runs.iter_mut().zip(["2026-11-24", "2026-11-28", "2026-11-28", "2026-11-28"]) {
            run.played_on = Some(day.to_owned());
        }
        insta::assert_snapshot!(matrix(&runs));
    }
}
