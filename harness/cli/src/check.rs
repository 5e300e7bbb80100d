//! The library for `cargo test`: a scenario, played with some seeds, as a test's body.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use pgdrill_lab::verdict::Verdict;

use crate::{
    input::{self, Loaded},
    playing::{Conditions, Interrupt, Told, cores, play, play_all, tasks, worlds},
    report::{Report, badness},
};

/// A scenario to be played: see [`crate`] for an example.
///
/// A relative path is looked for in the folder of the package under test (`CARGO_MANIFEST_DIR`) and then in each folder
/// above it, so that a workspace can keep its scenarios at its root; outside of Cargo, in the current folder.
pub fn scenario(path: impl Into<PathBuf>) -> Check {
    Check { path: path.into(), patroni: None, seeds: vec![1], jobs: None }
}

/// A scenario with the settings and seeds to play it with. Nothing happens before [`Check::check`] or [`Check::run`].
#[derive(Clone, Debug)]
#[must_use = "nothing is played before `check` or `run`"]
pub struct Check {
    path: PathBuf,
    patroni: Option<PathBuf>,
    seeds: Vec<u64>,
    jobs: Option<usize>,
}

/// Why nothing was played: the scenario or the patroni.yml cannot be used. Its text names every problem.
#[derive(Clone, Debug)]
pub struct CheckError {
    message: String,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CheckError {}

impl Check {
    /// Takes the cluster's settings from a `patroni.yml` instead of the scenario. The path is looked for like the scenario's.
    pub fn patroni_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.patroni = Some(path.into());
        self
    }

    /// Plays these seeds; without this, seed 1 alone.
    pub fn seeds(mut self, seeds: impl IntoIterator<Item = u64>) -> Self {
        self.seeds = seeds.into_iter().collect();
        self
    }

    /// Plays on so many threads; without this, on as many as there are cores. Results do not depend on it.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.jobs = Some(jobs);
        self
    }

    /// Plays and judges.
    ///
    /// # Errors
    /// When the files cannot be used. Whatever happens while playing is part of the report.
    pub fn run(self) -> Result<Report, CheckError> {
        let files =
            input::find(&[resolve(&self.path)]).map_err(|problems| CheckError { message: problems.join("\n") })?;
        let patroni = self.patroni.as_deref().map(resolve);
        let scenarios: Vec<Loaded> = input::load(&files, patroni.as_deref())
            .map_err(|invalid| CheckError { message: format!("the scenario cannot be used:\n{invalid}") })?;
        let tasks = tasks(&scenarios, &self.seeds, &Conditions { patroni, ..Conditions::default() });
        let jobs = self.jobs.unwrap_or_else(cores);
        let mut worst = (false, Verdict::Pass);
        let runs = play_all(
            tasks,
            jobs,
            &Interrupt::never(),
            |task| play(&*worlds::default(), task),
            |told| {
                let Told::Next(run) = told else { return };
                // Thousands of runs do not fit in memory: only the first of the worst needs its events, to be explained.
                if badness(run) > worst {
                    worst = badness(run);
                } else {
                    run.events = Vec::new();
                }
            },
        );
        Ok(Report { runs })
    }

    /// Plays, and panics unless every run passed. The message explains the first violation by the events that lead to it,
    /// and ends with the command that plays it again.
    ///
    /// # Panics
    /// When a run did not pass, or nothing could be played.
    pub fn check(self) {
        match self.run() {
            Err(error) => panic!("{error}"),
            Ok(report) if report.passed() => {}
            // Nothing is wrong, and nothing was proven.
            Ok(report) if report.verdict() == Verdict::NotApplicable => eprintln!("{}", report.text()),
            Ok(report) => panic!("{}", report.text()),
        }
    }
}

/// In the folder of the package under test, or the nearest one above it that has such a file.
fn resolve(path: &Path) -> PathBuf {
    let Some(package) = env::var_os("CARGO_MANIFEST_DIR").filter(|_| path.is_relative()) else {
        return path.to_owned();
    };
    let package = PathBuf::from(package);
    let found = package.ancestors().map(|folder| folder.join(path)).find(|candidate| candidate.exists());
    // Where there is none, the message names the place where it should be.
    found.unwrap_or_else(|| package.join(path))
}
