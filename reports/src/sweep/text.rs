//! A sweep for people: a table for each scenario, a map where two fields vary, and what is as wanted.

use std::time::Duration;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::{Cell, CellFigures, Quantile, Setting, Sweep};
use crate::{
    palette::{self, paint},
    text::{duration, left, right, wrap},
};

/// The figures behind the fields, and which of them a narrow table leaves out first.
const HEADINGS: [&str; 8] = ["p50", "95 % sure", "p95", "max", "available", "lost", "needless", "broken"];
const LEFT_OUT: [usize; 4] = [4, 2, 6, 1];

/// The shades of the map, from the shortest outage to the longest.
const SHADES: [&str; 5] = [" ", "░", "▒", "▓", "█"];

/// So many combinations that cannot be played are named.
const NAMED: usize = 8;

/// Draws it, at most `width` columns wide where that can be.
#[must_use]
pub fn sweep_text(sweep: &Sweep, width: usize) -> String {
    let mut out = String::new();
    for cells in sweep.cells.chunk_by(|a, b| a.scenario == b.scenario) {
        out.push_str(&table(sweep, cells, width));
        out.push('\n');
        out.push_str(&map(sweep, cells));
        out.push_str(&remarks(cells, width));
    }
    out.push_str(&skipped(sweep, width));
    out.push_str(&wanted(sweep, width));
    if let Some(interrupted) = sweep.interrupted {
        out.push_str(&format!("\n{interrupted}\n"));
    }
    out
}

fn table(sweep: &Sweep, cells: &[Cell], width: usize) -> String {
    let fields = sweep.fields.len();
    let with_wants = !sweep.wants.is_empty();
    let mut headings = sweep.fields.clone();
    headings.extend(HEADINGS.map(str::to_owned));
    headings.extend(with_wants.then(|| "as wanted".to_owned()));
    let rows: Vec<Vec<String>> = cells.iter().map(|cell| row(cell, with_wants)).collect();
    let widest = |column: usize| rows.iter().chain([&headings]).map(|row| row[column].width()).max().unwrap_or(0);
    let mut shown: Vec<usize> = (0..headings.len()).collect();
    for left_out in LEFT_OUT {
        if shown.iter().map(|column| widest(*column) + 2).sum::<usize>() > width + 2 {
            shown.retain(|column| *column != fields + left_out);
        }
    }
    let line = |cells: &[String]| {
        let set = |column: &usize| right(&cells[*column], widest(*column));
        shown.iter().map(set).collect::<Vec<_>>().join("  ")
    };
    let runs = cells.first().map_or(0, |cell| cell.figures.runs);
    let mut out = format!("{}, {runs} seed{} each: outages\n", cells[0].scenario, if runs == 1 { "" } else { "s" });
    out.push_str(&format!("{}\n", paint(palette::HEADING, line(&headings))));
    for (cell, row) in cells.iter().zip(&rows) {
        out.push_str(&format!("{}\n", paint(style(cell, with_wants), line(row))));
    }
    out
}

fn row(cell: &Cell, with_wants: bool) -> Vec<String> {
    let figures = &cell.figures;
    let mut row: Vec<String> = cell.settings.iter().map(|setting| setting.value.clone()).collect();
    let interval = figures.outage_p50.and_then(|quantile| quantile.interval_ms);
    row.extend([
        quantile(figures.outage_p50),
        interval.map_or_else(dash, |(low, high)| format!("{}..{}", seconds(low), seconds(high))),
        quantile(figures.outage_p95),
        figures.outage_max_ms.map_or_else(dash, millis),
        figures.availability.map_or_else(dash, |share| format!("{:.1} %", share * 100.0)),
        figures.lost_rows.to_string(),
        figures.needless_changes.to_string(),
        broken(figures),
    ]);
    row.extend(with_wants.then(|| if cell.missed.is_empty() { "yes".to_owned() } else { "no".to_owned() }));
    row
}

fn style(cell: &Cell, with_wants: bool) -> Style {
    let figures = &cell.figures;
    if figures.violating > 0 {
        palette::BAD
    } else if figures.judged < figures.runs {
        palette::DOUBTFUL
    } else if with_wants && cell.missed.is_empty() {
        palette::GOOD
    } else {
        Style::new()
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn millis(ms: u64) -> String {
    duration(Duration::from_millis(ms))
}

fn seconds(ms: u64) -> String {
    format!("{:.1}", ms as f64 / 1e3)
}

fn quantile(quantile: Option<Quantile>) -> String {
    quantile.map_or_else(dash, |quantile| millis(quantile.ms))
}

/// In how many runs a rule was broken, and of how many nothing is known.
fn broken(figures: &CellFigures) -> String {
    let unjudged = figures.runs - figures.judged;
    match (figures.violating, unjudged) {
        (broken, 0) => broken.to_string(),
        (broken, unjudged) => format!("{broken}, {unjudged} not judged"),
    }
}

/// Where two fields vary: how long outages are (p95), as a grid.
fn map(sweep: &Sweep, cells: &[Cell]) -> String {
    let values = |field: usize| {
        let mut values: Vec<&str> = Vec::new();
        for cell in cells {
            let value = cell.settings[field].value.as_str();
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values
    };
    if sweep.fields.len() != 2 || values(0).len() < 2 || values(1).len() < 2 {
        return String::new();
    }
    let (down, across) = (values(0), values(1));
    let p95 = |one: &str, other: &str| {
        let is_meant = |cell: &&Cell| cell.settings[0].value == one && cell.settings[1].value == other;
        cells.iter().find(is_meant).and_then(|cell| cell.figures.outage_p95).map(|quantile| quantile.ms)
    };
    let all: Vec<u64> = cells.iter().filter_map(|cell| cell.figures.outage_p95.map(|quantile| quantile.ms)).collect();
    let (Some(&least), Some(&most)) = (all.iter().min(), all.iter().max()) else { return String::new() };
    let shade = |ms: u64| {
        let share = (ms - least) as f64 / (most - least).max(1) as f64;
        SHADES[((share * SHADES.len() as f64) as usize).min(SHADES.len() - 1)]
    };
    let [rows, columns] = [&sweep.fields[0], &sweep.fields[1]];
    let first = down.iter().map(|value| value.width()).max().unwrap_or(0).max(rows.width());
    let wide = across.iter().map(|value| value.width()).max().unwrap_or(0).max("3 min 20 s".len());
    let mut out = format!("outage p95 by {rows} (down) and {columns} (across)\n");
    let heading = across.iter().map(|value| right(value, wide + 3)).collect::<String>();
    out.push_str(&paint(palette::HEADING, format!("{}{heading}", left(rows, first))));
    for one in down {
        let cell = |other: &&str| {
            p95(one, other)
                .map_or_else(|| right("-", wide + 3), |ms| format!(" {} {}", shade(ms), right(&millis(ms), wide)))
        };
        out.push_str(&format!("\n{}{}", left(one, first), across.iter().map(cell).collect::<String>()));
    }
    out.push_str("\n\n");
    out
}

/// Which rules were broken, and what could not be judged.
fn remarks(cells: &[Cell], width: usize) -> String {
    let mut out = String::new();
    for cell in cells {
        let figures = &cell.figures;
        let name = named(&cell.settings);
        let mut say = |text: String| {
            let options = wrap(&format!("{name}: {text}"), width, 4).join("\n  ");
            out.push_str(&format!("{options}\n"));
        };
        if !figures.violations.is_empty() {
            let codes: Vec<_> = figures.violations.iter().map(|(code, runs)| format!("{code} in {runs}")).collect();
            say(format!("rules broken, of {} runs: {}", figures.runs, codes.join(", ")));
        }
        if let Some(why) = &figures.not_judged {
            let unjudged = figures.runs - figures.judged;
            say(format!("{unjudged} of {} runs could not be judged; the first one: {why}", figures.runs));
        }
        for missed in &cell.missed {
            say(format!("not as wanted: {missed}"));
        }
    }
    if out.is_empty() { out } else { out + "\n" }
}

fn skipped(sweep: &Sweep, width: usize) -> String {
    if sweep.skipped.is_empty() {
        return String::new();
    }
    let count = sweep.skipped.len();
    let plural = if count == 1 { "combination" } else { "combinations" };
    let mut out =
        format!("{}\n", paint(palette::DOUBTFUL, format!("{count} {plural} cannot be played, and were not:")));
    for skipped in sweep.skipped.iter().take(NAMED) {
        let text = format!("{} in {}: {}", named(&skipped.settings), skipped.scenario, skipped.why);
        out.push_str(&format!("  {}\n", wrap(&text, width.saturating_sub(2), 3).join("\n    ")));
    }
    if count > NAMED {
        out.push_str(&format!("  and {} more\n", count - NAMED));
    }
    out + "\n"
}

fn wanted(sweep: &Sweep, width: usize) -> String {
    if sweep.wants.is_empty() {
        return String::new();
    }
    let combinations = sweep.combinations();
    let qualifying = combinations.iter().filter(|settings| sweep.qualifies(settings)).count();
    let wants = sweep.wants.join(", ");
    let told = format!("wanted: {wants}: {qualifying} of {} combinations", combinations.len());
    let mut out = format!("{}\n", wrap(&told, width, 4).join("\n  "));
    if let Some(best) = &sweep.best {
        out.push_str(&format!("best: {}\n", paint(palette::GOOD, named(best))));
    }
    out
}

/// `ttl=30 loop_wait=10`.
fn named(settings: &[Setting]) -> String {
    settings.iter().map(|setting| format!("{}={}", setting.field, setting.value)).collect::<Vec<_>>().join(" ")
}
