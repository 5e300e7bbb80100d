//! The `World` port: where a scenario is played; and what every world needs for it apart from the [player](crate::player).

mod facts;
mod ready;
mod router;
mod seed;

pub use facts::{facts, holder};
pub use ready::{last_words, missing, no_table, remember};
pub use router::{HAPROXY_SETTINGS, HaproxySettings};
pub use seed::{draw, phase_at_most, phase_of_loop};

use crate::{event::Event, scenario::Scenario};

/// The host of observers and operators, which no fault touches.
pub const LAB: &str = "lab";

/// The router's host.
pub const HAPROXY: &str = "haproxy";

/// The host of the remote primary that a standby cluster follows, where a world provides one: it has a PostgreSQL and no agent.
pub const REMOTE: &str = "remote";

/// Plays scenarios and records what was seen. Implemented by the simulator and by the real worlds.
pub trait World {
    /// `sim`, `containers`, `patroni`.
    fn name(&self) -> &'static str;

    /// What of the scenario this world cannot do, each with the reason; empty when it can play all of it. Such a run is
    /// *unsupported*, never passed.
    fn cannot(&self, scenario: &Scenario) -> Vec<String>;

    /// Whether it can be played in on this machine at all, before anything is started: what it needs is there.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    /// Plays the scenario with the seed from start to end.
    ///
    /// # Errors
    /// When the lab itself could not bring the scenario up or play it: the run says nothing about the cluster.
    fn play(&self, scenario: &Scenario, seed: u64) -> Result<Recording, PlayError>;
}

/// A played run.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Everything that was seen, in order.
    pub events: Vec<Event>,
    /// How long the scenario was, in nanoseconds of its own time, settling at the end included.
    pub played_ns: u64,
    /// A hash over the full internal trace (every packet and every step), where the world has one: the sim.
    pub trace_hash: Option<u64>,
}

/// The lab could not play.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PlayError {
    /// What failed and what to do about it.
    pub message: String,
    /// What had been seen until then.
    pub events: Vec<Event>,
}
