//! The table of verdicts: one line a scenario over all its seeds, and one line of totals.

use std::time::Duration;

use anstyle::Style;
use pgdrill_lab::verdict::Verdict;
use unicode_width::UnicodeWidthStr;

use crate::{
    palette::{self, paint},
    run::{Ending, Run},
    text::{duration, left, right, shorten},
};

/// How many columns there are at most.
const COLUMNS: usize = 8;

/// A column: its heading where there is room, and where there is little.
const HEADINGS: [(&str, &str); COLUMNS - 1] = [
    ("scenario", "scenario"),
    ("seeds", "seeds"),
    ("verdict", "verdict"),
    ("outage p50", "p50"),
    ("outage max", "outage"),
    ("lost rows", "lost"),
    ("leader changes", "changes"),
];

/// What is left out first where there is too little room: what a run costs, how often the leader changed, the median, how many
/// seeds there were.
const LEFT_OUT: [usize; 4] = [7, 6, 3, 1];

/// A scenario's name is not shortened below this.
const SHORTEST_NAME: usize = 16;

/// Draws the table, at most `width` columns wide where that can be; the runs of one scenario must stand together. In a narrow
/// one headings are short, then columns are left out, then names are shortened.
#[must_use]
pub fn table(runs: &[Run], width: usize) -> String {
    let groups: Vec<Group<'_>> = runs.chunk_by(|a, b| a.scenario == b.scenario).map(Group::of).collect();
    let mut rows: Vec<[String; COLUMNS]> = groups.iter().map(Group::cells).collect();
    let mut headings = headings(runs, false);
    let mut shown: Vec<usize> = (0..COLUMNS).collect();
    if wide(&widths(&headings, &rows), &shown) > width {
        headings = self::headings(runs, true);
    }
    for left_out in LEFT_OUT {
        if wide(&widths(&headings, &rows), &shown) > width {
            shown.retain(|column| *column != left_out);
        }
    }
    let too_wide = wide(&widths(&headings, &rows), &shown).saturating_sub(width);
    let room = widths(&headings, &rows)[0].saturating_sub(too_wide).max(SHORTEST_NAME);
    rows.iter_mut().for_each(|row| row[0] = shorten(&row[0], room));
    let widths = widths(&headings, &rows);
    let mut out = format!("{}\n", paint(palette::HEADING, line(&headings, &widths, &shown, None)));
    for (row, group) in rows.iter().zip(&groups) {
        out.push_str(&line(row, &widths, &shown, Some(style(group.verdict))));
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&totals(runs, groups.len()));
    out
}

fn widths(headings: &[String; COLUMNS], rows: &[[String; COLUMNS]]) -> [usize; COLUMNS] {
    let of = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
    std::array::from_fn(|column| headings[column].width().max(of(column)))
}

/// How wide a line is, with two spaces between its columns.
fn wide(widths: &[usize; COLUMNS], shown: &[usize]) -> usize {
    shown.iter().map(|column| widths[*column] + 2).sum::<usize>().saturating_sub(2)
}

/// The last column says what a run costs: in the simulator how much faster than life it is, on real machines how long it takes.
fn headings(runs: &[Run], short: bool) -> [String; COLUMNS] {
    let cost = if runs.iter().any(is_real) { ("real time", "time") } else { ("sim speed", "speed") };
    let mut words = HEADINGS.iter().copied().chain([cost]).map(|(long, brief)| if short { brief } else { long });
    std::array::from_fn(|_| words.next().unwrap_or_default().to_owned())
}

/// Whether it was played in another world than the simulator.
const fn is_real(run: &Run) -> bool {
    run.reproduce.world.is_some()
}

/// The words left-aligned, the numbers right-aligned.
fn line(cells: &[String; COLUMNS], widths: &[usize; COLUMNS], shown: &[usize], verdict: Option<Style>) -> String {
    let set = |column: usize| {
        let (cell, width) = (&cells[column], widths[column]);
        let padded = if column == 0 || column == 2 { left(cell, width) } else { right(cell, width) };
        verdict.filter(|_| column == 2).map_or_else(|| padded.clone(), |style| paint(style, &padded))
    };
    let cells: Vec<String> = shown.iter().map(|column| set(*column)).collect();
    cells.join("  ")
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

    fn cells(&self) -> [String; COLUMNS] {
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
