//! The worlds that are built into this version, by name.

use pgdrill_lab::world::World;
use pgdrill_sim::SimWorld;

/// The world that is used when none is named.
pub(crate) const DEFAULT: &str = "sim";

/// The worlds that the design knows and this version does not have.
const PLANNED: [&str; 2] = ["containers", "patroni"];

/// Why there is no world of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoWorld {
    /// It exists, but not in this version.
    NotBuiltIn(String),
    /// There is none of that name.
    Unknown(String),
}

impl std::fmt::Display for NoWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotBuiltIn(name) => {
                write!(f, "the world `{name}` is not built into this version of pgdrill; it has: {DEFAULT}")
            }
            Self::Unknown(name) => write!(f, "there is no world `{name}`; this version of pgdrill has: {DEFAULT}"),
        }
    }
}

/// Opens a world.
///
/// # Errors
/// When this version has none of that name.
pub(crate) fn open(name: &str) -> Result<Box<dyn World>, NoWorld> {
    match name {
        DEFAULT => Ok(default()),
        planned if PLANNED.contains(&planned) => Err(NoWorld::NotBuiltIn(planned.to_owned())),
        unknown => Err(NoWorld::Unknown(unknown.to_owned())),
    }
}

/// Opens the default world.
pub(crate) fn default() -> Box<dyn World> {
    Box::new(SimWorld)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_of_another_version_is_told_from_a_slip_of_the_pen() {
        assert_eq!(open("sim").map(|world| world.name()).ok(), Some("sim"));
        assert_eq!(open("containers").err(), Some(NoWorld::NotBuiltIn("containers".into())));
        assert_eq!(open("smi").err(), Some(NoWorld::Unknown("smi".into())));
    }
}
