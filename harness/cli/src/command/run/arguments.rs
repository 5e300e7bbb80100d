//! The options of `pgdrill run`.

use std::{num::NonZeroU16, path::PathBuf};

use pgdrill_lab::scenario::PostgresqlMajor;

use crate::{command::Paths, input::Seeds};

const EXAMPLES: &str = "\
Examples:
  pgdrill run scenarios                                     every scenario, seed 1
  pgdrill run scenarios/partition --seeds 0..50             50 seeds each, on all cores
  pgdrill run my-outage.yaml --patroni /etc/patroni.yml     with your own settings
  pgdrill run my-outage.yaml --seed 7 -vv                   one run, with every decision
  pgdrill run scenarios --only leader --twice               does a seed give the same run again?
  pgdrill run my-outage.yaml --world patroni                on real nodes, with the real Patroni
  pgdrill run scenarios --quiet --junit out.xml             for CI

Every failure ends with the command that reproduces it. `pgdrill --help` lists the exit codes.";

/// Play scenarios and judge them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// Where to play them: sim (simulated), containers (real etcd and PostgreSQL with pgdrill's agent), patroni (the same
    /// with the real Patroni)
    #[arg(long, default_value = crate::playing::worlds::DEFAULT)]
    pub(crate) world: String,
    /// Play this seed [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    seed: Option<Seeds>,
    /// Play the seeds from A up to, but without, B; `A..=B` includes B
    #[arg(long, value_name = "A..B")]
    seeds: Option<Seeds>,
    /// How many runs to play at the same time [default: one for each core; in
    /// containers 1]. Results do not depend on it
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZeroU16>,
    /// Take the settings of the cluster from this patroni.yml instead of the scenarios
    #[arg(long, value_name = "FILE")]
    pub(crate) patroni: Option<PathBuf>,
    /// Play with this major version of PostgreSQL (15 to 18) instead of the scenarios' [default: 16]
    #[arg(long, value_name = "MAJOR")]
    pub(crate) postgresql: Option<PostgresqlMajor>,
    /// The simulator's durations, as `pgdrill calibrate` measured them [default: those that come with pgdrill]
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Play each seed twice and compare everything that was seen; a difference is a failure
    #[arg(long)]
    pub(crate) twice: bool,
    /// Only scenarios with this text in their name (`partition/leader`)
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Option<String>,
    /// Write the events as JSON Lines: one run to FILE itself, several to a folder of that name with a file for each
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,
    /// Keep what agents, PostgreSQL, etcd and HAProxy wrote, in a folder for each run inside of this one (containers and
    /// patroni)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) logs: Option<PathBuf>,
    /// Write the results as JUnit XML; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write the results as JSON; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw the timeline of each run: -v changes of roles, locks and faults, -vv decisions too, -vvv every event
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Print failures only, and no progress
    #[arg(long, short, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

impl RunArgs {
    /// The seeds in order.
    pub(crate) fn seeds(&self) -> Vec<u64> {
        let given = self.seeds.clone().or_else(|| self.seed.clone());
        given.unwrap_or_else(|| Seeds::one(1)).iter().collect()
    }
}
