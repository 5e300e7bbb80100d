//! The comparison as a page of its own: no script, nothing loaded from elsewhere.

use askama::Template;

use super::{Comparison, IncidentFigures, PhaseFigures, text};

/// Width of a phase's strip, in the units of its drawing.
const STRIP: f64 = 400.0;

/// The page.
///
/// # Errors
/// None that a comparison can cause: the template writes into memory.
pub fn comparison_page(comparison: &Comparison) -> Result<String, std::fmt::Error> {
    let page = Page { comparison, incidents: comparison.incidents.iter().map(|i| Drawn::of(i, comparison)).collect() };
    page.render().map_err(|_| std::fmt::Error)
}

#[derive(Template)]
#[template(path = "compare.html")]
struct Page<'a> {
    comparison: &'a Comparison,
    incidents: Vec<Drawn>,
}

impl Page<'_> {
    fn verdicts(&self) -> Vec<String> {
        self.comparison.worlds.iter().map(text::verdicts).collect()
    }

    fn outages(&self) -> Vec<String> {
        self.comparison.worlds.iter().map(|world| text::spread(&world.outage_ms)).collect()
    }

    fn lost(&self) -> Vec<String> {
        self.comparison.worlds.iter().map(|world| text::counts(&world.lost_rows)).collect()
    }
}

/// An incident with its phases drawn.
struct Drawn {
    fault: String,
    /// `in 2 of 3` for worlds that did not always meet it.
    met: Vec<String>,
    phases: Vec<DrawnPhase>,
    orders: Vec<String>,
    /// The right end of the strips.
    scale: String,
}

/// A phase: words for each world, and a strip with the simulator's range and every real measurement.
struct DrawnPhase {
    name: &'static str,
    cells: Vec<String>,
    /// From the shortest to the longest simulated time: left end and width.
    range: Option<(f64, f64)>,
    /// From the first tenth to the last tenth.
    middle: Option<(f64, f64)>,
    median: Option<f64>,
    /// Position, line, and class of each real measurement.
    dots: Vec<(f64, f64, String)>,
}

impl Drawn {
    fn of(incident: &IncidentFigures, comparison: &Comparison) -> Self {
        let longest = incident.phases.iter().filter_map(longest_ms).max().unwrap_or(1).max(1);
        let orders = incident.orders.iter().map(|other| {
            format!(
                "{} ({} of its runs): {}; most simulated runs: {}",
                other.world, other.runs, other.order, other.simulated
            )
        });
        Self {
            fault: text::fault(incident),
            met: comparison.worlds.iter().map(|world| text::met(incident, world)).collect(),
            phases: incident.phases.iter().map(|phase| draw(phase, comparison, longest)).collect(),
            orders: orders.collect(),
            scale: crate::duration(std::time::Duration::from_millis(longest)),
        }
    }
}

fn longest_ms(phase: &PhaseFigures) -> Option<u64> {
    let real = phase.real.iter().flat_map(|real| real.times_ms.iter().copied());
    real.chain(phase.simulated.as_ref().map(|simulated| simulated.max_ms)).max()
}

fn draw(phase: &PhaseFigures, comparison: &Comparison, longest_ms: u64) -> DrawnPhase {
    let x = |ms: u64| ms as f64 / longest_ms as f64 * STRIP;
    let span = |from: u64, to: u64| (x(from), (x(to) - x(from)).max(1.0));
    let simulated = phase.simulated.as_ref();
    let cells = comparison.worlds.iter().map(|world| {
        let real = phase.real.iter().find(|real| real.world == world.world);
        real.map_or_else(|| simulated.map_or_else(|| "-".to_owned(), text::simulated), text::measured)
    });
    let dots = phase.real.iter().enumerate().flat_map(|(line, real)| {
        let y = 8.0 + 8.0 * line as f64;
        real.times_ms.iter().map(move |ms| (x(*ms), y, real.world.clone())).collect::<Vec<_>>()
    });
    DrawnPhase {
        name: phase.phase.name(),
        cells: cells.collect(),
        range: simulated.map(|times| span(times.min_ms, times.max_ms)),
        middle: simulated.map(|times| span(times.p10_ms, times.p90_ms)),
        median: simulated.map(|times| x(times.median_ms)),
        dots: dots.collect(),
    }
}
