//! What is to be played: every scenario with every seed.

use std::{path::PathBuf, sync::Arc, thread};

use pgdrill_lab::{
    rules::Rules,
    scenario::{PostgresqlMajor, Scenario},
};
use pgdrill_reports::Reproduce;

use crate::input::Loaded;

/// A scenario and a seed.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// The name for reports.
    pub(crate) label: String,
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) rules: Arc<Rules>,
    /// Why it says nothing about a cluster with the user's own settings, and is not played.
    pub(crate) does_not_apply: Option<String>,
    /// The file, the seed, and everything else that the run depends on.
    pub(crate) reproduce: Reproduce,
}

/// What all runs of a command have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    /// The world, where it is not the default.
    pub(crate) world: Option<String>,
    /// The user's own settings, for the command that reproduces a run; they are in the scenarios already.
    pub(crate) patroni: Option<PathBuf>,
    /// The major version of PostgreSQL that replaces the scenarios'.
    pub(crate) postgresql: Option<PostgresqlMajor>,
    /// The file with the simulator's durations, where it is not the one that comes with pgdrill.
    pub(crate) calibration: Option<PathBuf>,
    /// Whether each seed is played twice and compared.
    pub(crate) twice: bool,
}

/// The tasks, scenario by scenario.
pub(crate) fn tasks(scenarios: &[Loaded], seeds: &[u64], conditions: &Conditions) -> Vec<Task> {
    let mut tasks = Vec::with_capacity(scenarios.len() * seeds.len());
    for loaded in scenarios {
        for &seed in seeds {
            let Conditions { world, patroni, postgresql, calibration, twice } = conditions.clone();
            tasks.push(Task {
                label: loaded.file.label.clone(),
                scenario: Arc::clone(&loaded.scenario),
                rules: Arc::clone(&loaded.rules),
                does_not_apply: loaded.does_not_apply.clone(),
                reproduce: Reproduce {
                    world,
                    patroni,
                    postgresql,
                    calibration,
                    twice,
                    ..Reproduce::new(&loaded.file.path, seed)
                },
            });
        }
    }
    tasks
}

/// How many runs are played at the same time when nobody says: one for each core.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}
