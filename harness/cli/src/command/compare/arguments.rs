//! The options of `pgdrill compare`.

use std::{num::NonZeroU16, path::PathBuf};

use pgdrill_lab::scenario::PostgresqlMajor;

use crate::input::Seeds;

const EXAMPLES: &str = "\
Examples:
  pgdrill compare scenarios/leader/node-loses-power.yaml
  pgdrill compare my-outage.yaml --seeds 0..200 --times 10 --html my-outage.html
  pgdrill compare my-outage.yaml --worlds sim,patroni --patroni /etc/patroni.yml
  pgdrill compare my-outage.yaml --calibration our-hardware.json

The real worlds need Docker and the images that `pgdrill images build` makes. The exit code is that of the worst run.";

/// Play one scenario in the simulator and on real nodes, and show them side by side
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompareArgs {
    /// The scenario file
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: PathBuf,
    /// The worlds to play it in, separated by commas
    #[arg(long, value_name = "WORLDS", value_delimiter = ',', default_value = "sim,containers,patroni")]
    pub(crate) worlds: Vec<String>,
    /// The simulator's seeds, from A up to, but without, B
    #[arg(long, value_name = "A..B", default_value = "0..50")]
    seeds: Seeds,
    /// How often to play it in each of the real worlds
    #[arg(long, value_name = "K", default_value = "3")]
    times: NonZeroU16,
    /// How many real runs to play at the same time; more than one disturb each other's timing
    #[arg(long, short, value_name = "N", default_value = "1")]
    pub(crate) jobs: NonZeroU16,
    /// Take the settings of the cluster from this patroni.yml instead of the scenario
    #[arg(long, value_name = "FILE")]
    pub(crate) patroni: Option<PathBuf>,
    /// Play with this major version of PostgreSQL (15 to 18) instead of the scenario's [default: 16]
    #[arg(long, value_name = "MAJOR")]
    pub(crate) postgresql: Option<PostgresqlMajor>,
    /// The simulator's durations, as `pgdrill calibrate` measured them [default: those that come with pgdrill]
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Write the comparison as JSON; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the comparison as a page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Write the events of the real runs as JSON Lines, a file for each, to this folder
    #[arg(long, value_name = "FOLDER")]
    pub(crate) events: Option<PathBuf>,
    /// No progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl CompareArgs {
    /// The seeds of a world's runs. A real world has no seed: there they only number the runs.
    pub(crate) fn seeds_of(&self, world: &str) -> Vec<u64> {
        if world == crate::playing::worlds::DEFAULT {
            return self.seeds.iter().collect();
        }
        (1..=u64::from(self.times.get())).collect()
    }
}
