//! The comparison for a terminal.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::{Comparison, Distribution, IncidentFigures, Measurements, WorldRuns};
use crate::{
    palette::{self, paint},
    text::{duration, left, wrap},
};

const LEGEND: &str = "\
Times count from the fault. sim: median [shortest .. longest]; real worlds: median [shortest .. longest], and how far the \
simulator's median is from it: +10 % means that the simulator is slower. `!`: outside of all that the simulator had.";

/// Draws it, the worlds side by side where `width` columns are enough for that, else one below the other.
#[must_use]
pub fn comparison_text(comparison: &Comparison, width: usize) -> String {
    let mut rows: Vec<Vec<String>> = vec![heading(comparison)];
    rows.push(row("verdict", comparison.worlds.iter().map(verdicts)));
    rows.push(row("longest outage", comparison.worlds.iter().map(|world| spread(&world.outage_ms))));
    rows.push(row("lost rows", comparison.worlds.iter().map(|world| counts(&world.lost_rows))));
    for incident in &comparison.incidents {
        rows.push(row(&fault(incident), comparison.worlds.iter().map(|world| met(incident, world))));
        for phase in &incident.phases {
            let cells = comparison.worlds.iter().map(|world| {
                let real = phase.real.iter().find(|real| real.world == world.world);
                real.map_or_else(|| phase.simulated.as_ref().map_or_else(|| "-".to_owned(), simulated), measured)
            });
            rows.push(row(&format!("  {}", phase.phase), cells));
        }
    }
    let beside = aligned(&rows);
    let widest = beside.lines().map(|line| anstream::adapter::strip_str(line).to_string().width()).max().unwrap_or(0);
    let mut out = if widest <= width { beside } else { stacked(&rows) };
    if let Some(interrupted) = comparison.interrupted {
        out.push_str(&format!("\n{}\n", paint(palette::DOUBTFUL, interrupted)));
    }
    for incident in &comparison.incidents {
        for other in &incident.orders {
            let runs = if other.runs == 1 { "1 run".to_owned() } else { format!("{} runs", other.runs) };
            let told = format!(
                "another order of phases ({}): {} of {}: {}; most simulated runs: {}",
                fault(incident),
                runs,
                other.world,
                other.order,
                other.simulated
            );
            out.push_str(&format!("\n{}\n", wrap(&told, width, usize::MAX).join("\n    ")));
        }
    }
    for world in &comparison.worlds {
        for reason in &world.reasons {
            let room = width.saturating_sub(world.world.width() + 2).max(20);
            let first = wrap(reason, room, 2).join("\n    ");
            out.push_str(&format!("\n{}: {first}\n", paint(palette::DOUBTFUL, &world.world)));
        }
    }
    out.push('\n');
    for text in [LEGEND, &format!("simulated durations: {}", comparison.calibration)] {
        for line in wrap(text, width, usize::MAX) {
            out.push_str(&format!("{}\n", paint(palette::QUIET, line)));
        }
    }
    out
}

fn heading(comparison: &Comparison) -> Vec<String> {
    let runs = |world: &WorldRuns| {
        let unit = if world.world == super::SIMULATOR { "seed" } else { "run" };
        format!("{} ({} {unit}{})", world.world, world.runs, if world.runs == 1 { "" } else { "s" })
    };
    row(&comparison.scenario, comparison.worlds.iter().map(runs))
}

fn row(first: &str, cells: impl Iterator<Item = String>) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(cells).collect()
}

/// `freeze agent of leader`, and which of its incidents where there are several.
pub(super) fn fault(incident: &IncidentFigures) -> String {
    let name = if incident.fault.is_empty() { "without a fault" } else { &incident.fault };
    match incident.key.nth {
        0 => name.to_owned(),
        n => format!("{name}, incident {}", n + 1),
    }
}

/// `3 pass`, `2 pass, 1 fail`.
pub(super) fn verdicts(world: &WorldRuns) -> String {
    let words: Vec<String> = world.verdicts.iter().map(|(word, runs)| format!("{runs} {word}")).collect();
    words.join(", ")
}

pub(super) fn spread(times_ms: &[u64]) -> String {
    Distribution::of(times_ms).as_ref().map_or_else(|| "-".to_owned(), simulated)
}

pub(super) fn counts(values: &[u64]) -> String {
    match (values.iter().min(), values.iter().max()) {
        (Some(min), Some(max)) if min == max => min.to_string(),
        (Some(min), Some(max)) => format!("{min} to {max}"),
        _ => "-".to_owned(),
    }
}

pub(super) fn met(incident: &IncidentFigures, world: &WorldRuns) -> String {
    let met = incident.met.get(&world.world).copied().unwrap_or_default();
    if met == world.runs { String::new() } else { format!("in {met} of {}", world.runs) }
}

/// `21.8 s [21.0 s .. 22.4 s]`, or one time where all are the same.
pub(super) fn simulated(times: &Distribution) -> String {
    let text = |ms| duration(Duration::from_millis(ms));
    if times.min_ms == times.max_ms {
        return text(times.median_ms);
    }
    format!("{} [{} .. {}]", text(times.median_ms), text(times.min_ms), text(times.max_ms))
}

pub(super) fn measured(real: &Measurements) -> String {
    if real.times_ms.is_empty() {
        return "-".to_owned();
    }
    let error = real.relative_error.map_or_else(String::new, |error| format!("  {:+.0} %", error * 100.0));
    let outside = if real.outside > 0 { " !" } else { "" };
    format!("{}{error}{outside}", spread(&real.times_ms))
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> =
        (0..columns).map(|i| rows.iter().map(|row| row[i].width()).max().unwrap_or_default()).collect();
    let mut out = String::new();
    for (n, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| left(cell, *width)).collect();
        let line = cells.join("   ");
        let line = line.trim_end();
        out.push_str(&if n == 0 { paint(palette::HEADING, line) } else { line.to_owned() });
        out.push('\n');
    }
    out
}

/// Each row with a line for each world below it.
fn stacked(rows: &[Vec<String>]) -> String {
    let Some((heading, rows)) = rows.split_first() else { return String::new() };
    let worlds = &heading[1..];
    let widest = worlds.iter().map(|world| world.width()).max().unwrap_or_default();
    let mut out = format!("{}\n", paint(palette::HEADING, &heading[0]));
    for row in rows {
        out.push_str(&format!("{}\n", row[0]));
        let indent = " ".repeat(2 + row[0].len() - row[0].trim_start().len());
        for (world, cell) in worlds.iter().zip(&row[1..]).filter(|(_, cell)| !cell.is_empty()) {
            out.push_str(&format!("{indent}{}   {cell}\n", left(world, widest)));
        }
    }
    out
}
