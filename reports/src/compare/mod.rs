//! One scenario in several worlds, side by side: verdicts, and for each phase of each incident the simulator's distribution
//! beside every real measurement.
//!
//! | part | what |
//! |---|---|
//! | `figures` | distributions and relative errors |
//! | `collect` | from runs to the comparison |
//! | `text` | the table for a terminal |
//! | `page` | the same as a page of its own |

mod collect;
mod figures;
#[cfg(feature = "documents")]
mod page;
mod text;

use std::collections::BTreeMap;

use pgdrill_lab::phases::{IncidentKey, Order, Phase};
use serde::Serialize;

pub use collect::{Seen, compare};
pub use figures::{Distribution, Measurements};
#[cfg(feature = "documents")]
pub use page::comparison_page;
pub use text::comparison_text;

/// The world that the others are compared with.
pub const SIMULATOR: &str = "sim";

/// One scenario in several worlds. Stable for machines: fields are added, never renamed, within one `format`.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// `pgdrill-compare-1`.
    pub format: &'static str,
    /// The version of pgdrill that wrote it.
    pub version: String,
    /// When it was measured: a date, `2026-01-31`.
    pub measured: String,
    /// The scenario's name with its theme.
    pub scenario: String,
    /// Its sentence.
    pub about: String,
    /// The calibration file that the simulator used, in words.
    pub calibration: String,
    /// How far it came, where it was ended early.
    pub interrupted: Option<crate::Interrupted>,
    /// The worlds, the simulator first.
    pub worlds: Vec<WorldRuns>,
    /// The incidents that any run met, in the order of the timeline.
    pub incidents: Vec<IncidentFigures>,
}

/// The runs of one world.
#[derive(Clone, Debug, Serialize)]
pub struct WorldRuns {
    /// `sim`, `containers`, `patroni`.
    pub world: String,
    /// How many runs.
    pub runs: usize,
    /// How many ended in which word: `pass`, `fail`, `unsupported`, `not played`.
    pub verdicts: BTreeMap<String, usize>,
    /// Of the runs that did not pass, each different reason once.
    pub reasons: Vec<String>,
    /// The longest outage of each run, in milliseconds.
    pub outage_ms: Vec<u64>,
    /// The acknowledged rows that each run lost.
    pub lost_rows: Vec<u64>,
    /// How long each run took on this machine, bring-up included, in milliseconds.
    pub took_ms: Vec<u64>,
}

/// One incident over all runs.
#[derive(Clone, Debug, Serialize)]
pub struct IncidentFigures {
    /// Which.
    pub key: IncidentKey,
    /// The line of the timeline that led to it, as people read it; empty where nothing did.
    pub fault: String,
    /// In how many runs of each world it was met.
    pub met: BTreeMap<String, usize>,
    /// The phases that any run reached, in their usual order.
    pub phases: Vec<PhaseFigures>,
    /// Where the order of phases differs from the simulator's most frequent one.
    pub orders: Vec<OrderDifference>,
}

/// One phase of an incident over all runs, in milliseconds since the fault.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseFigures {
    /// Which.
    pub phase: Phase,
    /// The simulator's; `None` where it never reached it.
    pub simulated: Option<Distribution>,
    /// Every other world's measurements.
    pub real: Vec<Measurements>,
    /// Of each world, what every single run had, by its seed (real runs are numbered from 1); `None` where it was not reached.
    pub times_by_seed_ms: BTreeMap<String, BTreeMap<u64, Option<u64>>>,
}

/// An order of phases that is not the simulator's most frequent one.
#[derive(Clone, Debug, Serialize)]
pub struct OrderDifference {
    /// The world.
    pub world: String,
    /// How many of its runs had it.
    pub runs: usize,
    /// Its order, of the phases that both reached.
    pub order: Order,
    /// The simulator's most frequent order, of the same phases.
    pub simulated: Order,
}
