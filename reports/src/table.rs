//! The table of verdicts: one line a scenario over all its seeds, and one line of totals.

use std::time::Duration;

use anstyle::Style;
use pgdrill_lab::verdict::Verdict;
use unicode_width::UnicodeWidthStr;

use crate::{
    palette::{self, paint},
    run::{Ending, Run},
    text::{duration, left, right},
};

const HEADINGS: [&str; 7] = ["scenario", "seeds", "verdict", "outage p50", "outage max", "lost rows", "leader changes"];

/// Draws the table; the runs of one scenario must stand together.
#[must_use]
pub fn table(runs: &[Run]) -> String {
    let groups: Vec<Group<'_>> = runs.chunk_by(|a, b| a.scenario == b.scenario).map(Group::of).collect();
    let rows: Vec<[String; 8]> = groups.iter().map(Group::cells).collect();
    let headings = headings(runs);
    let mut widths = headings.clone().map(|heading| heading.width());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut out = format!("{}\n", paint(palette::HEADING, line(&headings, &widths, None)));
    for (row, group) in rows.iter().zip(&groups) {
        out.push_str(&line(row, &widths, Some(style(group.verdict))));
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&totals(runs, groups.len()));
    out
}

/// The last column says what a run costs: in the simulator how much faster than life it is, on real machines how long it takes.
fn headings(runs: &[Run]) -> [String; 8] {
    let cost = if runs.iter().any(is_real) { "real time" } else { "sim speed" };
    let mut words = HEADINGS.iter().copied().chain([cost]);
    std::array::from_fn(|_| words.next().unwrap_or_default().to_owned())
}

/// Whether it was played in another world than the simulator.
const fn is_real(run: &Run) -> bool {
    run.reproduce.world.is_some()
}

/// The words left-aligned, the numbers right-aligned.
fn line(cells: &[String; 8], widths: &[usize; 8], verdict: Option<Style>) -> String {
    let mut line = String::new();
    for (i, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let padded = if i == 0 || i == 2 { left(cell, *width) } else { right(cell, *width) };
        let padded = if i + 1 < cells.len() { format!("{padded}  ") } else { padded };
        match verdict {
            Some(style) if i == 2 => line.push_str(&paint(style, padded)),
            _ => line.push_str(&padded),
        }
    }
    line
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Pass => palette::GOOD,
        Verdict::Fail => palette::BAD,
        Verdict::Unknown | Verdict::Vacuous | Verdict::Unsupported | Verdict::NotApplicable => palette::DOUBTFUL,
    }
}

/// The runs of one scenario.
struct Group<'a> {
    runs: &'a [Run],
    verdict: Verdict,
}

impl<'a> Group<'a> {
    fn of(runs: &'a [Run]) -> Self {
        Self { runs, verdict: Verdict::combine(runs.iter().map(Run::verdict)) }
    }

    fn cells(&self) -> [String; 8] {
        let mut outages: Vec<u64> = self.runs.iter().filter_map(|r| r.measured()?.outage_ms).collect();
        outages.sort_unstable();
        let outage = |ms: Option<&u64>| ms.map_or_else(|| "-".to_owned(), |ms| duration(Duration::from_millis(*ms)));
        let lost = self.runs.iter().filter_map(|r| r.measured()?.lost_rows).max();
        let changes: Vec<u64> = self.runs.iter().filter_map(|r| Some(r.measured()?.leader_changes)).collect();
        [
            self.runs[0].scenario.clone(),
            self.runs.len().to_string(),
            self.verdict_cell(),
            outage(median(&outages)),
            outage(outages.last()),
            lost.map_or_else(|| "-".to_owned(), |rows| rows.to_string()),
            span(&changes),
            cost(self.runs),
        ]
    }

    /// The worst run's word, and how many of the runs ended like it where not all did: `fail 3/50`.
    fn verdict_cell(&self) -> String {
        let worst = self.runs.iter().max_by_key(|run| (matches!(run.ending, Ending::Crashed(_)), run.verdict()));
        let word = worst.map(Run::word).unwrap_or_default();
        let same = self.runs.iter().filter(|run| run.word() == word).count();
        if same == self.runs.len() { word } else { format!("{word} {same}/{}", self.runs.len()) }
    }
}

/// The lower middle of sorted values: always one that was really measured.
fn median(sorted: &[u64]) -> Option<&u64> {
    sorted.get(sorted.len().saturating_sub(1) / 2)
}

/// `1`, or `1 to 3` where runs differ.
fn span(values: &[u64]) -> String {
    match (values.iter().min(), values.iter().max()) {
        (Some(min), Some(max)) if min == max => min.to_string(),
        (Some(min), Some(max)) => format!("{min} to {max}"),
        _ => "-".to_owned(),
    }
}

/// Simulated seconds per second of one core; of real runs how long they took, bring-up and removal included.
fn cost(runs: &[Run]) -> String {
    let played: Duration = runs.iter().map(|run| run.played).sum();
    let took: Duration = runs.iter().map(|run| run.took).sum();
    if runs.iter().any(is_real) {
        return duration(took);
    }
    if played.is_zero() || took.is_zero() {
        return "-".to_owned();
    }
    format!("{:.0}x", played.as_secs_f64() / took.as_secs_f64())
}

/// `52 runs of 3 scenarios: 50 pass, 2 fail`.
fn totals(runs: &[Run], scenarios: usize) -> String {
    let mut words: Vec<(String, usize)> = Vec::new();
    for run in runs {
        let word = run.word();
        match words.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => words.push((word, 1)),
        }
    }
    words.sort();
    let words: Vec<String> = words.iter().map(|(word, count)| format!("{count} {word}")).collect();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!(
        "{} run{} of {scenarios} scenario{}: {}\n",
        runs.len(),
        plural(runs.len()),
        plural(scenarios),
        words.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_a_value_that_was_measured() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[5]), Some(&5));
        assert_eq!(median(&[1, 9]), Some(&1));
        assert_eq!(median(&[1, 2, 9]), Some(&2));
    }

    #[test]
    fn values_that_differ_are_shown_as_a_span() {
        assert_eq!((span(&[]), span(&[2, 2]), span(&[3, 1])), ("-".into(), "2".into(), "1 to 3".into()));
    }
}
