//! The worlds, by name.

use std::sync::Arc;

use pgdrill_containers::{Agent, RealWorld, Tell};
use pgdrill_lab::world::World;
use pgdrill_sim::SimWorld;

/// The world that is used when none is named.
pub(crate) const DEFAULT: &str = "sim";

/// Every world.
pub(crate) const ALL: [&str; 3] = [DEFAULT, "containers", "patroni"];

/// There is no world of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoWorld(String);

impl std::fmt::Display for NoWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "there is no world `{}`; there are: {}", self.0, ALL.join(", "))
    }
}

/// Opens a world. One that takes its time says through `tell` what it is doing.
///
/// # Errors
/// When there is none of that name.
pub(crate) fn open(name: &str, tell: &Tell) -> Result<Box<dyn World>, NoWorld> {
    match name {
        DEFAULT => Ok(default()),
        "containers" => Ok(Box::new(RealWorld::new(Agent::Pgdrill).telling(tell.clone()))),
        "patroni" => Ok(Box::new(RealWorld::new(Agent::Patroni).telling(tell.clone()))),
        unknown => Err(NoWorld(unknown.to_owned())),
    }
}

/// Opens the default world.
pub(crate) fn default() -> Box<dyn World> {
    Box::new(SimWorld)
}

/// Whether a world is played on real time and real machines: one run at a time unless somebody asks for more.
pub(crate) fn is_real(name: &str) -> bool {
    name != DEFAULT
}

/// Nobody wants to hear.
pub(crate) fn silence() -> Tell {
    Arc::new(|_| {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_world_is_opened_by_its_name_and_a_slip_of_the_pen_is_told() {
        for name in ALL {
            assert_eq!(open(name, &silence()).map(|world| world.name()).ok(), Some(name));
        }
        let unknown = open("smi", &silence()).err().map(|why| why.to_string());
        assert_eq!(unknown.as_deref(), Some("there is no world `smi`; there are: sim, containers, patroni"));
    }
}
