//! The library for `cargo test`: a scenario, played with some seeds, as a test's body.

use std::{
    collections::hash_map::DefaultHasher,
    env, fmt, fs,
    hash::{Hash, Hasher},
    io,
    path::{Path, PathBuf},
};

use pgdrill_lab::verdict::Verdict;
use pgdrill_reports::Run;
use pgdrill_sim::{CalibratedSim, Calibration};
use serde_json::Value;

use crate::{
    input::{self, Loaded},
    playing::{Conditions, Interrupt, Told, cores, play, play_all, tasks},
    report::{Report, badness},
};

/// A scenario to be played: see [`crate`] for an example.
///
/// A relative path is looked for in the folder of the package under test (`CARGO_MANIFEST_DIR`) and then in each folder
/// above it, so that a workspace can keep its scenarios at its root; outside of Cargo, in the current folder.
pub fn scenario(path: impl Into<PathBuf>) -> Check {
    Check::of(Source::File(path.into()))
}

/// A scenario that is written in the test itself: the text of a scenario file.
///
/// ```no_run
/// pgdrill::scenario_text("
/// name: leader-loses-power
/// about: Another node leads within a minute.
/// timeline:
///   - { at: 20s, power_off: leader }
/// expect: { outage: { max: 60s }, end: writable }
/// duration: 120s
/// ")
/// .seeds(0..20)
/// .check();
/// ```
///
/// A `patroni.file` in it is looked for from the current folder.
pub fn scenario_text(yaml: impl Into<String>) -> Check {
    Check::of(Source::Text(yaml.into()))
}

/// A scenario with the settings and seeds to play it with. Nothing happens before [`Check::check`] or [`Check::run`].
#[derive(Clone, Debug)]
#[must_use = "nothing is played before `check` or `run`"]
pub struct Check {
    source: Source,
    changes: Vec<(String, Value)>,
    patroni: Option<PathBuf>,
    calibration: Option<PathBuf>,
    seeds: Vec<u64>,
    jobs: Option<usize>,
    twice: bool,
}

#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    Text(String),
}

/// Why nothing was played: the scenario, the patroni.yml or the calibration cannot be used. Its text names every problem.
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
    fn of(source: Source) -> Self {
        Self { source, changes: vec![], patroni: None, calibration: None, seeds: vec![1], jobs: None, twice: false }
    }

    /// Plays with the settings of a `patroni.yml`, as `pgdrill run --patroni` does. The path is looked for like the scenario's.
    pub fn patroni_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.patroni = Some(path.into());
        self
    }

    /// Sets one field to another value than the file says, whatever it says: `.set("cluster.nodes", 5)`,
    /// `.set("cluster.patroni.ttl", 20)`, `.set("workload.rate", "50/s")`, `.set("duration", "300s")`. The field is named by the
    /// path that leads to it in a scenario file. `Value::Null` takes a field out. Of Patroni's settings it is the last word,
    /// also over [`Check::patroni_file`].
    pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.changes.push((field.into(), value.into()));
        self
    }

    /// Takes what real servers need their time for from a file that `pgdrill calibrate` wrote, not from the one that comes
    /// with pgdrill. The path is looked for like the scenario's.
    pub fn calibration(mut self, path: impl Into<PathBuf>) -> Self {
        self.calibration = Some(path.into());
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

    /// Plays every seed twice and compares the runs event by event: a difference fails the run.
    pub fn twice(mut self) -> Self {
        self.twice = true;
        self
    }

    /// Plays and judges.
    ///
    /// # Errors
    /// When the files cannot be used. Whatever happens while playing is part of the report.
    pub fn run(self) -> Result<Report, CheckError> {
        let patroni = self.patroni.as_deref().map(resolve);
        let scenarios = self.load(patroni.as_deref())?;
        let calibration = self.calibration.as_deref().map(resolve);
        let world = CalibratedSim(match &calibration {
            None => Calibration::shipped(),
            Some(file) => Calibration::read(file).map_err(|why| CheckError { message: why.to_string() })?,
        });
        let conditions = Conditions { patroni, calibration, twice: self.twice, ..Conditions::default() };
        let tasks = tasks(&scenarios, &self.seeds, &conditions);
        let mut worst = (false, Verdict::Pass);
        let mut runs = play_all(
            tasks,
            self.jobs.unwrap_or_else(cores),
            &Interrupt::never(),
            move |task| play(&world, task),
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
        if self.is_no_file() {
            keep_what_was_played(&scenarios, &mut runs);
        }
        let warnings = scenarios.into_iter().flat_map(|scenario| scenario.warnings).collect();
        Ok(Report { runs, warnings })
    }

    /// Plays, and panics unless every run passed. The message explains the first violation by the events that lead to it,
    /// and ends with the command that plays it again. What is questionable about the files goes to standard error.
    ///
    /// # Panics
    /// When a run did not pass, or nothing could be played.
    #[track_caller]
    pub fn check(self) {
        let report = match self.run() {
            Err(error) => panic!("{error}"),
            Ok(report) => report,
        };
        for warning in &report.warnings {
            eprintln!("{}", anstream::adapter::strip_str(warning));
        }
        if report.verdict() == Verdict::NotApplicable {
            // Nothing is wrong, and nothing was proven.
            eprintln!("{report}");
        } else if !report.passed() {
            panic!("{report}");
        }
    }

    /// Whether no file says by itself what is played.
    fn is_no_file(&self) -> bool {
        matches!(self.source, Source::Text(_)) || !self.changes.is_empty()
    }

    fn load(&self, patroni: Option<&Path>) -> Result<Vec<Loaded>, CheckError> {
        let loaded = match &self.source {
            Source::Text(text) => input::load_text(text, patroni, &self.changes).map(|loaded| vec![loaded]),
            Source::File(path) => {
                let files =
                    input::find(&[resolve(path)]).map_err(|problems| CheckError { message: problems.join("\n") })?;
                input::load(&files, patroni, &self.changes)
            }
        };
        loaded.map_err(|invalid| CheckError { message: format!("the scenario cannot be used:\n{invalid}") })
    }
}

/// Writes the scenarios of runs that did not pass, as they were played, to files below the folder for temporary ones, so that
/// a command can play them again.
fn keep_what_was_played(scenarios: &[Loaded], runs: &mut [Run]) {
    for run in runs.iter_mut().filter(|run| run.verdict() != Verdict::Pass) {
        let Some(played) = scenarios.iter().find(|loaded| loaded.file.label == run.scenario) else { continue };
        let text = played.scenario.to_yaml();
        let mut hash = DefaultHasher::new();
        text.hash(&mut hash);
        let folder = env::temp_dir().join("pgdrill").join(format!("{:016x}", hash.finish()));
        let file = folder.join(format!("{}.yaml", played.scenario.name));
        // Where nothing can be written the run itself still counts: its command then names what the test gave.
        if write(&folder, &file, &text).is_ok() {
            run.reproduce.file = file;
            // Its settings are in the file.
            run.reproduce.patroni = None;
        }
    }
}

fn write(folder: &Path, file: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(file, text)
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
