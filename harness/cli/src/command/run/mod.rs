//! `pgdrill run`: play scenarios and judge them.

mod arguments;
mod events;
mod telling;

use std::{fs, process::ExitCode, sync::Arc, time::Duration};

pub(crate) use arguments::RunArgs;
use pgdrill_containers::Tell;
use pgdrill_reports::{exit_code, junit, summary};

use self::{events::EventFiles, telling::Telling};
use super::{Failure, Screen, calibration, cannot_write, error, scenario::load};
use crate::playing::{
    Conditions, INTERRUPTED, Interrupt, Progress, Told, cores, play, play_all, tasks, worlds, worlds::Wishes,
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
    let runs = tasks.len();
    let mut files = EventFiles::prepare(arguments.events.as_deref(), runs)?;
    let interrupt = Interrupt::on_ctrl_c().map_err(|e| Failure::Usage(vec![error(format_args!("Ctrl-C: {e}"))]))?;

    let mut progress = Progress::new(runs, !arguments.quiet);
    let mut telling = Telling::new(screen, &arguments, runs);
    let mut failed_write = None;
    let world = arguments.world.clone();
    let several = if worlds::is_real(&world) { 1 } else { cores() };
    let jobs = arguments.jobs.map_or(several, |jobs| usize::from(jobs.get()));
    let tell = teller(&progress, arguments.quiet);
    let wishes = Wishes { logs: arguments.logs.clone(), calibration, ..Wishes::telling(tell) };
    let play = move |task: &_| play(&*worlds::open(&world, &wishes).expect("it was opened before"), task);
    let runs = play_all(tasks, jobs, &interrupt, play, |told| match told {
        Told::Done => progress.done(),
        Told::Next(run) => {
            progress.told(run);
            if let Err(failure) = files.write(run) {
                failed_write.get_or_insert(failure);
            }
            progress.beside(|| telling.tell(run));
            // Told, written and explained: thousands of runs with their events do not fit in memory.
            run.events = Vec::new();
        }
    });
    progress.finish();
    if interrupt.raised() && !pgdrill_containers::give_up(REMOVAL) {
        telling.warn(NOT_REMOVED);
    }
    let interrupted = interrupt.raised();
    telling.end(&runs, interrupted);
    write_documents(&arguments, &runs, &telling, interrupted)?;
    match failed_write {
        Some(failure) => Err(failure),
        None if interrupted => Ok(ExitCode::from(INTERRUPTED)),
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

/// Writes what `--junit` and `--json` ask for.
fn write_documents(
    arguments: &RunArgs,
    runs: &[pgdrill_reports::Run],
    telling: &Telling,
    interrupted: bool,
) -> Result<(), Failure> {
    if let Some(file) = &arguments.junit {
        let document = junit(runs, |run| telling.explained(run)).map_err(|e| cannot_write(file, e))?;
        fs::write(file, document).map_err(|e| cannot_write(file, e))?;
    }
    if let Some(file) = &arguments.json {
        let summary = summary(runs, env!("CARGO_PKG_VERSION"), interrupted);
        let mut document = serde_json::to_string_pretty(&summary).map_err(|e| cannot_write(file, e))?;
        document.push('\n');
        fs::write(file, document).map_err(|e| cannot_write(file, e))?;
    }
    Ok(())
}
