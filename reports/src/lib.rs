//! What people and machines read of runs.
//!
//! | for people | for machines |
//! |---|---|
//! | [`timeline`]: a run from second to second | [`write_events`]: its events as JSON Lines |
//! | [`table`]: verdicts over scenarios and seeds | [`summary`]: the same as JSON |
//! | [`comparison_text`], [`comparison_page`]: one scenario in several worlds | [`Comparison`]: the same as JSON |
//! | [`sweep_text`]: what settings cost | [`Sweep`], [`sweep_csv`]: the same as JSON and CSV |
//! | [`matrix`]: scenarios by worlds in Markdown | |
//! | [`explanation`]: the first violation, what led to it, and how to see it again | [`junit`]: the same for CI |
//!
//! Texts for people carry ANSI styles; the writer strips them where nobody would see colours (`anstream`).

mod compare;
mod difference;
mod explain;
mod interrupted;
mod jsonl;
#[cfg(feature = "documents")]
mod junit;
mod matrix;
mod palette;
mod reproduce;
mod run;
mod summary;
mod sweep;
mod table;
mod text;
mod timeline;

#[cfg(feature = "documents")]
pub use compare::comparison_page;
pub use compare::{
    Comparison, Distribution, IncidentFigures, Measurements, OrderDifference, PhaseFigures, SIMULATOR, Seen, WorldRuns,
    compare, comparison_text,
};
pub use difference::{Difference, first_difference};
pub use explain::explanation;
pub use interrupted::Interrupted;
pub use jsonl::{EventsHeader, read_events, write_events};
#[cfg(feature = "documents")]
pub use junit::junit;
pub use matrix::{Figures, PlayedRun, PlayedRuns, matrix};
pub use reproduce::Reproduce;
pub use run::{Ending, Run, exit_code};
pub use summary::{RunSummary, Summary, summary};
pub use sweep::{
    Cell, CellFigures, PairedDifference, Quantile, Sample, Setting, Skipped, Sweep, sweep_csv, sweep_text,
};
pub use table::table;
pub use text::duration;
pub use timeline::{Detail, timeline};
