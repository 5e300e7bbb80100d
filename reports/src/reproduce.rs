//! The command that plays a run again.

use std::path::PathBuf;

use pgdrill_lab::scenario::PostgresqlMajor;

/// What a run depends on; [`std::fmt::Display`] gives the command, quoted for a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reproduce {
    /// The scenario file as the user named it, or as it was found below a folder that the user named.
    pub file: PathBuf,
    /// The seed.
    pub seed: u64,
    /// The world, where it is not the default `sim`.
    pub world: Option<String>,
    /// The user's own patroni.yml.
    pub patroni: Option<PathBuf>,
    /// The major version of PostgreSQL, where it is not the scenario's.
    pub postgresql: Option<PostgresqlMajor>,
    /// The file with the simulator's durations, where it is not the one that comes with pgdrill.
    pub calibration: Option<PathBuf>,
    /// Whether the run was played twice: what differs shows only then.
    pub twice: bool,
}

impl Reproduce {
    /// A run in the sim with the scenario's own settings.
    #[must_use]
    pub fn new(file: impl Into<PathBuf>, seed: u64) -> Self {
        Self { file: file.into(), seed, world: None, patroni: None, postgresql: None, calibration: None, twice: false }
    }

    /// The arguments, the program's name first.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["pgdrill".to_owned(), "run".to_owned(), self.file.display().to_string()];
        arguments.extend(["--seed".to_owned(), self.seed.to_string()]);
        if let Some(world) = &self.world {
            arguments.extend(["--world".to_owned(), world.clone()]);
        }
        if let Some(patroni) = &self.patroni {
            arguments.extend(["--patroni".to_owned(), patroni.display().to_string()]);
        }
        if let Some(postgresql) = self.postgresql {
            arguments.extend(["--postgresql".to_owned(), postgresql.to_string()]);
        }
        if let Some(calibration) = &self.calibration {
            arguments.extend(["--calibration".to_owned(), calibration.display().to_string()]);
        }
        if self.twice {
            arguments.push("--twice".to_owned());
        }
        arguments
    }
}

impl std::fmt::Display for Reproduce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, argument) in self.arguments().iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            // Only a NUL cannot be quoted, and no argument or path of an operating system can have one.
            match shlex::try_quote(argument) {
                Ok(quoted) => f.write_str(&quoted)?,
                Err(_) => write!(f, "{argument:?}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_carries_every_option_that_matters_quoted_for_a_shell() {
        let plain = Reproduce::new("scenarios/partition/leader.yaml", 7);
        assert_eq!(plain.to_string(), "pgdrill run scenarios/partition/leader.yaml --seed 7");
        let full = Reproduce {
            world: Some("containers".into()),
            patroni: Some("our $conf/patroni.yml".into()),
            postgresql: PostgresqlMajor::new(17),
            calibration: Some("our hardware.json".into()),
            twice: true,
            ..Reproduce::new("it's here/a b.yaml", u64::MAX)
        };
        let split = shlex::split(&full.to_string()).expect("quoted for a shell");
        assert_eq!(split, full.arguments());
        assert_eq!(split[2], "it's here/a b.yaml");
    }
}
