//! The options of `pgdrill sweep`.

use std::{num::NonZeroU16, path::PathBuf};

use super::{vary::Vary, want::Want};
use crate::{command::Paths, input::Seeds};

const EXAMPLES: &str = "\
Examples:
  pgdrill sweep scenarios/leader/node-loses-power.yaml --vary ttl=20..60:10
  pgdrill sweep scenarios/etcd --vary ttl=30,60 --vary loop_wait=5,10 --csv costs.csv
  pgdrill sweep my-outage.yaml --patroni /etc/patroni.yml --vary retry_timeout=3..10:1 \\
      --want 'outage.p99<40s' --want violations=0 --want needless_changes=0
  pgdrill sweep my-outage.yaml --vary router=haproxy,direct --vary latency=1ms,10ms

Every combination is played with the same seeds: what differs between two rows is for the settings. Figures that can be
wanted: outage.p50, .p95, .p99, .max; availability (mean), availability.min; lost_rows (of all runs), lost_rows.max;
leader_changes; needless_changes; violations (runs that broke a rule; the scenario's own budgets do not count).

Exit codes: 0 if a combination is as wanted (without --want: if no rule was broken), 1 if none is, 2 for wrong usage, 3 if
runs could not be judged, 130 if it was ended by Ctrl-C.";

/// Play scenarios with many combinations of settings, and show what each costs
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    pub(crate) paths: Paths,
    /// A field and its values: single ones (`5,10`) and ranges with both ends (`15..60:5`, `1ms..9ms:2ms`). A setting of
    /// Patroni, of the cluster, of the workload or of the network by its name; anything by the path that leads to it in a
    /// scenario file (`cluster.patroni.postgresql.parameters.synchronous_commit`). Again for each further field
    #[arg(long, value_name = "FIELD=VALUES", required = true)]
    pub(crate) vary: Vec<Vary>,
    /// A bound that a combination must keep (`outage.p99<40s`, `violations=0`). Again for each further one
    #[arg(long, value_name = "BOUND")]
    pub(crate) want: Vec<Want>,
    /// Play the seeds from A up to, but without, B with each combination
    #[arg(long, value_name = "A..B", default_value = "0..20")]
    pub(crate) seeds: Seeds,
    /// How many runs to play at the same time [default: one for each core]. Results do not depend on it
    #[arg(long, short, value_name = "N")]
    pub(crate) jobs: Option<NonZeroU16>,
    /// Take the settings that do not vary from this patroni.yml instead of the scenarios
    #[arg(long, value_name = "FILE")]
    pub(crate) patroni: Option<PathBuf>,
    /// The simulator's durations, as `pgdrill calibrate` measured them [default: those that come with pgdrill]
    #[arg(long, value_name = "FILE")]
    pub(crate) calibration: Option<PathBuf>,
    /// Write a line for each combination as CSV; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write everything as JSON; - for standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// No progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
