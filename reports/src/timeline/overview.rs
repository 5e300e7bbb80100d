//! The whole run from left to right: one lane per node, then the leader lock, the clients and every lasting fault.

use pgdrill_lab::event::{At, Event, FaultPhase, What};

use super::{
    clients::Clients,
    faults::Faults,
    state::{Cluster, Role},
    words,
};
use crate::{
    palette::{self, paint},
    text::{left, shorten},
};

/// The bars of the clients' lane, from few to as many as ever.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Below this many columns the time is not worth drawing.
const NARROWEST: usize = 20;

/// The events cut into as many equal spans of time as there are columns.
struct Scale {
    columns: usize,
    end: At,
}

impl Scale {
    /// Where column `i` begins.
    fn start(&self, i: usize) -> At {
        At((u128::from(self.end.0) * i as u128).div_ceil(self.columns as u128) as u64)
    }

    /// The column that a moment falls into.
    fn column(&self, at: At) -> usize {
        let i = u128::from(at.0) * self.columns as u128 / u128::from(self.end.0.max(1));
        (i as usize).min(self.columns - 1)
    }
}

/// Draws the overview.
pub(crate) fn draw(events: &[Event], clients: &Clients, width: usize) -> String {
    let cluster = Cluster::with_nodes_of(events);
    let label = cluster.nodes.iter().map(|n| n.name.chars().count()).max().unwrap_or(0).clamp(5, 12);
    // More columns than a person can tell apart, or than nanoseconds, say nothing more.
    let columns = width.saturating_sub(label + 2).clamp(NARROWEST, 160);
    let scale = Scale { columns, end: At(events.last().map_or(0, |e| e.at.0).max(columns as u64)) };

    let mut out = format!("{}  {}\n", left("", label), paint(palette::QUIET, axis(&scale)));
    let samples = sample(events, &scale);
    for (i, node) in cluster.nodes.iter().enumerate() {
        let lane: String =
            runs(samples.iter().map(|s| s.roles[i])).into_iter().map(|(role, n)| role_run(role, n)).collect();
        out.push_str(&format!("{}  {lane}\n", left(&shorten(&node.name, label), label)));
    }
    let holders: String = runs(samples.iter().map(|s| s.holder.clone()))
        .into_iter()
        .map(|(holder, n)| paint(palette::LOCK, lock_run(holder.as_deref(), n)))
        .collect();
    out.push_str(&format!("{}  {holders}\n", left("lock", label)));
    if clients.any() {
        out.push_str(&format!("{}  {}\n", left("acks", label), acks(clients, &scale)));
    }
    out.push_str(&fault_lanes(events, &scale, label));
    out
}

/// The state in one column, as it is when the column ends.
struct Sample {
    roles: Vec<Role>,
    holder: Option<String>,
}

fn sample(events: &[Event], scale: &Scale) -> Vec<Sample> {
    let mut cluster = Cluster::with_nodes_of(events);
    let mut events = events.iter().peekable();
    (0..scale.columns)
        .map(|i| {
            while let Some(event) = events.next_if(|e| scale.column(e.at) <= i) {
                cluster.see(event);
                cluster.lock.see(event);
            }
            Sample {
                roles: cluster.nodes.iter().map(super::state::Node::role).collect(),
                holder: cluster.lock.holder().map(ToOwned::to_owned),
            }
        })
        .collect()
}

/// Equal neighbours as (value, how many).
fn runs<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut runs: Vec<(T, usize)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((last, n)) if *last == value => *n += 1,
            _ => runs.push((value, 1)),
        }
    }
    runs
}

fn role_run(role: Role, n: usize) -> String {
    paint(role.style(), role.glyph().to_string().repeat(n))
}

/// `pg1─────`: the holder's name, then a line for as long as it holds the lock; blank while nobody does.
fn lock_run(holder: Option<&str>, n: usize) -> String {
    let Some(holder) = holder else { return " ".repeat(n) };
    let name = shorten(holder, n);
    let line = "─".repeat(n - name.chars().count());
    format!("{name}{line}")
}

/// Bars relative to the fastest column; a cross in every column without an acknowledged write during an outage.
fn acks(clients: &Clients, scale: &Scale) -> String {
    let rates: Vec<f64> = (0..scale.columns).map(|i| clients.rate(scale.start(i), scale.start(i + 1))).collect();
    let fastest = rates.iter().copied().fold(0.0, f64::max);
    let mut lane = String::new();
    for (i, rate) in rates.iter().enumerate() {
        if *rate > 0.0 {
            let bar = (rate / fastest * BARS.len() as f64).ceil() as usize;
            lane.push(BARS[bar.clamp(1, BARS.len()) - 1]);
        } else if clients.out_between(scale.start(i), scale.start(i + 1)) {
            lane.push_str(&paint(palette::BAD, '×'));
        } else {
            lane.push(' ');
        }
    }
    lane.trim_end().to_owned()
}

/// One lane for each fault: a bar while it lasts, a mark where it is a moment.
fn fault_lanes(events: &[Event], scale: &Scale, label: usize) -> String {
    let lasting = Faults::of(events);
    let mut seen = Vec::new();
    let mut out = String::new();
    for event in events {
        let What::Fault { index, text, phase: FaultPhase::Applied, .. } = &event.what else { continue };
        if seen.contains(index) {
            continue;
        }
        seen.push(*index);
        let from = scale.column(event.at);
        let bar = lasting.span(*index).map_or(1, |until| scale.column(until).saturating_sub(from).max(1));
        let bar = if bar == 1 { "▲".to_owned() } else { "━".repeat(bar) };
        // The words go right of the bar, or left of it where there is no room.
        let room = scale.columns.saturating_sub(from + bar.chars().count() + 1);
        let lane = if room >= text.chars().count() || room >= from {
            format!("{}{bar} {}", " ".repeat(from), shorten(text, room))
        } else {
            let text = shorten(text, from.saturating_sub(1));
            format!("{}{text} {bar}", " ".repeat(from.saturating_sub(text.chars().count() + 1)))
        };
        let name = left(&format!("{:>1$}", words::fault_letter(*index), label), label);
        out.push_str(&format!("{name}  {}\n", paint(palette::FAULT, lane.trim_end())));
    }
    out
}

/// `0s        50s       100s`: round numbers at least ten columns apart.
fn axis(scale: &Scale) -> String {
    let secs = scale.end.secs();
    let step =
        [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0, 86400.0]
            .into_iter()
            .find(|step| step / secs * scale.columns as f64 >= 9.0)
            .unwrap_or(secs);
    let mut axis = String::new();
    for i in 0.. {
        let at = step * f64::from(i);
        let column = (at / secs * scale.columns as f64).round() as usize;
        if at > secs || column + 5 > scale.columns {
            break;
        }
        axis = left(&axis, column);
        axis.push_str(&if step < 1.0 { format!("{at:.1}s") } else { format!("{at:.0}s") });
    }
    axis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_carries_round_numbers() {
        let scale = Scale { columns: 40, end: At::from_secs(200) };
        assert_eq!(axis(&scale), "0s          60s         120s");
        let scale = Scale { columns: 40, end: At::from_secs(100) };
        assert_eq!(axis(&scale), "0s          30s         60s");
    }

    #[test]
    fn every_moment_falls_into_the_column_that_begins_before_it() {
        let scale = Scale { columns: 7, end: At(100) };
        for ns in 0..=100 {
            let column = scale.column(At(ns));
            assert!(scale.start(column) <= At(ns), "{ns} before column {column}");
            assert!(column == 6 || At(ns) < scale.start(column + 1).max(At(1)), "{ns} after column {column}");
        }
    }
}
