//! A sweep for spreadsheets: a line for each scenario and combination.

use super::{Cell, Quantile, Sweep};

/// The columns behind scenario and fields.
const COLUMNS: &str = "runs,judged,outage_p50_ms,outage_p50_low_ms,outage_p50_high_ms,outage_p95_ms,outage_p99_ms,outage_max_ms,\
                       than_first_ms,than_first_low_ms,than_first_high_ms,availability,availability_min,lost_rows,lost_rows_max,\
                       leader_changes,needless_changes,violating,violations,budgets,as_wanted";

/// Writes it. Times are milliseconds; what is not known is an empty cell.
#[must_use]
pub fn sweep_csv(sweep: &Sweep) -> String {
    let fields = sweep.fields.iter().map(|field| quoted(field) + ",").collect::<String>();
    let mut out = format!("scenario,{fields}{COLUMNS}\n");
    for cell in &sweep.cells {
        out.push_str(&line(cell, !sweep.wants.is_empty()));
        out.push('\n');
    }
    out
}

fn line(cell: &Cell, wanted: bool) -> String {
    let figures = &cell.figures;
    let ms = |quantile: Option<Quantile>| text(quantile.map(|quantile| quantile.ms));
    let interval = figures.outage_p50.and_then(|quantile| quantile.interval_ms);
    let than = figures.than_first.and_then(|difference| difference.interval_ms);
    let codes = |counted: &std::collections::BTreeMap<String, usize>| {
        counted.iter().map(|(code, runs)| format!("{code}={runs}")).collect::<Vec<_>>().join(" ")
    };
    let mut cells = vec![quoted(&cell.scenario)];
    cells.extend(cell.settings.iter().map(|setting| quoted(&setting.value)));
    cells.extend([
        figures.runs.to_string(),
        figures.judged.to_string(),
        ms(figures.outage_p50),
        text(interval.map(|(low, _)| low)),
        text(interval.map(|(_, high)| high)),
        ms(figures.outage_p95),
        ms(figures.outage_p99),
        text(figures.outage_max_ms),
        text(figures.than_first.map(|difference| difference.ms)),
        text(than.map(|(low, _)| low)),
        text(than.map(|(_, high)| high)),
        text(figures.availability.map(|share| format!("{share:.5}"))),
        text(figures.availability_min.map(|share| format!("{share:.5}"))),
        figures.lost_rows.to_string(),
        figures.lost_rows_max.to_string(),
        figures.leader_changes.to_string(),
        figures.needless_changes.to_string(),
        figures.violating.to_string(),
        quoted(&codes(&figures.violations)),
        quoted(&codes(&figures.budgets)),
        text(wanted.then_some(cell.missed.is_empty())),
    ]);
    cells.join(",")
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// As RFC 4180 has it.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
