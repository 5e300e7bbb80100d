//! `pgdrill run`: play scenarios and judge them.

mod arguments;
mod events;
mod telling;

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

pub(crate) use arguments::RunArgs;
use pgdrill_containers::Tell;
use pgdrill_reports::{Interrupted, Run, exit_code, junit, summary};

pub(crate) use self::events::document;
use self::{events::EventFiles, telling::Telling};
use super::{Failure, Screen, calibration, error, scenario::load};
use crate::{
    input::Loaded,
    output::{Output, Outputs},
    playing::{
        Conditions, INTERRUPTED, Interrupt, Progress, Told, because_of_the_file, cores, play, play_all, tasks, worlds,
        worlds::Wishes,
    },
};

/// What is said when that was not enough.
pub(crate) const NOT_REMOVED: &str =
    "not everything of the interrupted run is removed yet; the next run in containers removes the rest";

/// Does it.
pub(crate) fn run(arguments: RunArgs, screen: Screen) -> Result<ExitCode, Failure> {
    worlds::check(&arguments.world).map_err(|why| Failure::Usage(vec![error(why)]))?;
    if arguments.twice && worlds::is_real(&arguments.world) {
        let why = "--twice compares two runs event by event: only the simulator plays the same run again";
        return Err(Failure::Usage(vec![error(why)]));
    }
    if arguments.logs.is_some() && !worlds::is_real(&arguments.world) {
        let why = "--logs keeps the logs of real servers; what the simulator's agents decide is in the events (-vv)";
        return Err(Failure::Usage(vec![error(why)]));
    }
    let calibration = calibration(arguments.calibration.as_deref())?;
    let mut loaded = load(&arguments.paths.paths, arguments.patroni.as_deref())?;
    if let Some(filter) = &arguments.only {
        loaded.retain(|scenario| scenario.file.label.contains(filter.as_str()));
        if loaded.is_empty() {
            return Err(Failure::Usage(vec![error(format_args!("no scenario has `{filter}` in its name"))]));
        }
    }
    super::use_postgresql(&mut loaded, arguments.postgresql);
    super::warn(&loaded);
    if !arguments.quiet {
        super::tell_account(arguments.patroni.as_deref(), &loaded);
    }
    let conditions = Conditions {
        world: (arguments.world != worlds::DEFAULT).then(|| arguments.world.clone()),
        patroni: arguments.patroni.clone(),
        postgresql: arguments.postgresql,
        calibration: arguments.calibration.clone(),
        twice: arguments.twice,
    };
    let tasks = tasks(&loaded, &arguments.seeds(), &conditions);
    let planned = tasks.len();
    let (mut documents, screen) = Documents::open(&arguments, &loaded, planned, screen)?;
    let interrupt = Interrupt::on_ctrl_c().map_err(|e| Failure::Usage(vec![error(format_args!("Ctrl-C: {e}"))]))?;

    let mut progress = Progress::new(planned, !arguments.quiet);
    let mut telling = Telling::new(screen, &arguments, planned);
    let world = arguments.world.clone();
    let several = if worlds::is_real(&world) { 1 } else { cores() };
    let jobs = arguments.jobs.map_or(several, |jobs| usize::from(jobs.get()));
    let tell = teller(&progress, arguments.quiet);
    let wishes = Wishes { logs: arguments.logs.clone(), calibration, ..Wishes::telling(tell) };
    let simulated = (!worlds::is_real(&world)).then(|| worlds::open(&world, &wishes).expect("it was opened before"));
    // On real nodes each question would take minutes.
    let because = |scenario: &str, seed: u64| {
        let loaded = loaded.iter().find(|loaded| loaded.file.label == scenario)?;
        because_of_the_file(&**simulated.as_ref()?, loaded, seed)
    };
    let play = move |task: &_| play(&*worlds::open(&world, &wishes).expect("it was opened before"), task);
    let runs = play_all(tasks, jobs, &interrupt, play, |told| match told {
        Told::Done => progress.done(),
        Told::Next(run) => {
            progress.told(run);
            documents.take(run);
            let (scenario, seed) = (run.scenario.clone(), run.seed);
            progress.beside(|| telling.tell(run, || because(&scenario, seed)));
            // Told, written and explained: thousands of runs with their events do not fit in memory.
            run.events = Vec::new();
        }
    });
    progress.finish();
    if interrupt.raised() && !pgdrill_containers::give_up(REMOVAL) {
        telling.warn(NOT_REMOVED);
    }
    // A signal that came when all was done has interrupted nothing.
    let interrupted = Interrupted::when(interrupt.raised() && runs.len() < planned, runs.len(), planned);
    telling.end(&runs, interrupted);
    documents.write(&runs, &telling, interrupted)?;
    match interrupted {
        Some(_) => Ok(ExitCode::from(INTERRUPTED)),
        None => Ok(exit_code(&runs).into()),
    }
}

/// How long what an interrupted run has made may take to be removed.
/// A busy machine needs more than a minute for twenty containers; who does not want to wait sends the signal again.
pub(crate) const REMOVAL: Duration = Duration::from_secs(180);

/// Where a run that takes its time says what it is doing: above the progress line, or plainly where there is none.
pub(crate) fn teller(progress: &Progress, quiet: bool) -> Tell {
    if quiet {
        return worlds::silence();
    }
    let lines = progress.lines();
    Arc::new(move |line| lines.say(line))
}

/// What `--events`, `--junit` and `--json` ask for: opened before anything is played, written each for itself.
struct Documents {
    events: EventFiles,
    junit: Option<Output>,
    json: Option<Output>,
    /// What could not be written, one message each.
    failed: Vec<String>,
}

impl Documents {
    /// Finds everything that is wrong with any of them. Where one of them goes to standard output, people read on standard error.
    fn open(arguments: &RunArgs, loaded: &[Loaded], runs: usize, screen: Screen) -> Result<(Self, Screen), Failure> {
        let mut outputs = Outputs::default();
        let given = [&arguments.patroni, &arguments.calibration];
        let given = given.into_iter().filter_map(|file| file.as_deref());
        let read: Vec<&Path> = loaded.iter().map(|loaded| loaded.file.path.as_path()).chain(given).collect();
        read.into_iter().for_each(|file| outputs.reads(file));
        let documents = Self {
            events: EventFiles::prepare(arguments.events.as_deref(), runs, &mut outputs),
            junit: outputs.open("--junit", arguments.junit.as_deref()),
            json: outputs.open("--json", arguments.json.as_deref()),
            failed: Vec::new(),
        };
        let screen = if outputs.standard_output() { screen.beside_a_document() } else { screen };
        let wrong = |problems: Vec<String>| Failure::Usage(problems.iter().map(error).collect());
        outputs.opened().map_err(wrong).map(|()| (documents, screen))
    }

    /// A run is done: its events are written while they are there.
    fn take(&mut self, run: &Run) {
        let written = self.events.write(run);
        self.note(written);
    }

    fn note(&mut self, written: Result<(), String>) {
        match written {
            // A full disk is full for every run: said once.
            Err(why) if !self.failed.contains(&why) => self.failed.push(why),
            _ => {}
        }
    }

    /// Writes the rest, whatever becomes of the others.
    fn write(mut self, runs: &[Run], telling: &Telling, interrupted: Option<Interrupted>) -> Result<(), Failure> {
        if let Some(interrupted) = interrupted {
            let written = self.events.interrupted(interrupted);
            self.note(written);
        }
        if let Some(output) = self.junit.take() {
            let document = junit(runs, interrupted, |run| telling.explained(run));
            let written = document.map_err(|why| format!("--junit: {why}"));
            self.note(written.and_then(|document| output.write(document.as_bytes())));
        }
        if let Some(output) = self.json.take() {
            let document = serde_json::to_string_pretty(&summary(runs, env!("CARGO_PKG_VERSION"), interrupted));
            let written = document.map_err(|why| format!("--json: {why}"));
            self.note(written.and_then(|document| output.write(format!("{document}\n").as_bytes())));
        }
        if self.failed.is_empty() { Ok(()) } else { Err(Failure::Usage(self.failed.iter().map(error).collect())) }
    }
}
