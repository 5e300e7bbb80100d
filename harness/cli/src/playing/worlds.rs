//! The worlds, by name.

use std::{path::PathBuf, sync::Arc, time::Duration};

use pgdrill_containers::{Agent, RealWorld, Tell};
use pgdrill_lab::world::World;
use pgdrill_sim::{CalibratedSim, Calibration};

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

/// What a world is asked beside playing.
#[derive(Clone)]
pub(crate) struct Wishes {
    /// A world that takes its time says here what it is doing.
    pub(crate) tell: Tell,
    /// A real world keeps its services' logs here.
    pub(crate) logs: Option<PathBuf>,
    /// The program that a real world is to hold.
    pub(crate) pgdrill: Option<PathBuf>,
    /// What cannot be known of real servers in the simulator, and of real machines in containers.
    pub(crate) calibration: Calibration,
}

impl Wishes {
    /// Tells here, and keeps no logs; plays with the running program and the calibration that comes with it.
    pub(crate) fn telling(tell: Tell) -> Self {
        Self { tell, logs: None, pgdrill: std::env::current_exe().ok(), calibration: Calibration::shipped() }
    }
}

/// Opens a world.
///
/// # Errors
/// When there is none of that name.
pub(crate) fn open(name: &str, wishes: &Wishes) -> Result<Box<dyn World>, NoWorld> {
    let agent = match name {
        DEFAULT => return Ok(Box::new(CalibratedSim(wishes.calibration.clone()))),
        "containers" => Agent::Pgdrill,
        "patroni" => Agent::Patroni,
        unknown => return Err(NoWorld(unknown.to_owned())),
    };
    let boot =
        Duration::try_from_secs_f64(wishes.calibration.boot_s).expect("a calibration is checked when it is read");
    let mut world = RealWorld::new(agent, boot).telling(wishes.tell.clone());
    if let Some(program) = &wishes.pgdrill {
        world = world.with_pgdrill(program);
    }
    Ok(match &wishes.logs {
        None => Box::new(world),
        Some(folder) => Box::new(world.keeping_logs(folder)),
    })
}

/// Whether there is a world of that name.
///
/// # Errors
/// When there is none.
pub(crate) fn check(name: &str) -> Result<(), NoWorld> {
    open(name, &Wishes::telling(silence())).map(drop)
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
            let world = open(name, &Wishes::telling(silence()));
            assert_eq!(world.map(|world| world.name()).ok(), Some(name));
        }
        let unknown = check("smi").err().map(|why| why.to_string());
        assert_eq!(unknown.as_deref(), Some("there is no world `smi`; there are: sim, containers, patroni"));
    }
}
