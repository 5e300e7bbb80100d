//! `pgdrill run`: play scenarios and judge them.

mod arguments;
mod events;
mod telling;

use std::{fs, process::ExitCode};

pub(crate) use arguments::RunArgs;
use pgdrill_reports::{exit_code, junit, summary};

use self::{events::EventFiles, telling::Telling};
use super::{Failure, Screen, cannot_write, error, scenario::load};
use crate::playing::{Conditions, INTERRUPTED, Interrupt, Progress, Told, cores, play, play_all, tasks, worlds};

/// Does it.
pub(crate) fn run(arguments: RunArgs, screen: Screen) -> Result<ExitCode, Failure> {
    check_world(&arguments.world)?;
    let mut loaded = load(&arguments.paths.paths, arguments.patroni.as_deref())?;
    if let Some(filter) = &arguments.only {
        loaded.retain(|scenario| scenario.file.label.contains(filter.as_str()));
        if loaded.is_empty() {
            return Err(Failure::Usage(vec![error(format_args!("no scenario has `{filter}` in its name"))]));
        }
    }
    super::warn(&loaded);
    let conditions = Conditions {
        world: (arguments.world != worlds::DEFAULT).then(|| arguments.world.clone()),
        patroni: arguments.patroni.clone(),
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
    let jobs = arguments.jobs.map_or_else(cores, |jobs| usize::from(jobs.get()));
    let play = move |task: &_| play(&*worlds::open(&world).expect("it was opened before"), task);
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
    let interrupted = interrupt.raised();
    telling.end(&runs, interrupted);
    write_documents(&arguments, &runs, &telling, interrupted)?;
    match failed_write {
        Some(failure) => Err(failure),
        None if interrupted => Ok(ExitCode::from(INTERRUPTED)),
        None => Ok(exit_code(&runs).into()),
    }
}

fn check_world(name: &str) -> Result<(), Failure> {
    match worlds::open(name) {
        Ok(_) => Ok(()),
        Err(why @ worlds::NoWorld::NotBuiltIn(_)) => Err(Failure::Unsupported(error(why))),
        Err(why @ worlds::NoWorld::Unknown(_)) => Err(Failure::Usage(vec![error(why)])),
    }
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
