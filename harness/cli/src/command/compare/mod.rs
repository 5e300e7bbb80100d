//! `pgdrill compare`: one scenario in the simulator and on real nodes, side by side.

mod arguments;

use std::{
    fs::{self, File},
    io::BufWriter,
    path::Path,
    process::ExitCode,
};

pub(crate) use arguments::CompareArgs;
use pgdrill_reports::{
    Comparison, Run, Seen, compare, comparison_page, comparison_text, exit_code, explanation, write_events,
};
use pgdrill_sim::Calibration;

use super::{Failure, Screen, calibration, cannot_write, error, scenario::load};
use crate::{
    input::Loaded,
    playing::{
        Conditions, INTERRUPTED, Interrupt, Progress, Told, cores, play, play_all, tasks, worlds, worlds::Wishes,
    },
};

/// Does it.
pub(crate) fn run(arguments: &CompareArgs, mut screen: Screen) -> Result<ExitCode, Failure> {
    for world in &arguments.worlds {
        worlds::check(world).map_err(|why| Failure::Usage(vec![error(why)]))?;
    }
    let mut loaded = load(std::slice::from_ref(&arguments.scenario), arguments.patroni.as_deref())?;
    if loaded.len() != 1 {
        let (path, found) = (arguments.scenario.display(), loaded.len());
        let message = format!("{path}: {found} scenarios; compare takes one, since each needs a table of its own");
        return Err(Failure::Usage(vec![error(message)]));
    }
    super::use_postgresql(&mut loaded, arguments.postgresql);
    super::warn(&loaded);
    let loaded = loaded.remove(0);
    let calibration = calibration(arguments.calibration.as_deref())?;
    if let Some(folder) = &arguments.events {
        fs::create_dir_all(folder).map_err(|e| cannot_write(folder, e))?;
    }
    let interrupt = Interrupt::on_ctrl_c().map_err(|e| Failure::Usage(vec![error(format_args!("Ctrl-C: {e}"))]))?;
    let mut seen = Vec::new();
    for world in &arguments.worlds {
        seen.extend(play_in(world, arguments, &loaded, &calibration, &interrupt, &mut screen)?);
    }
    let interrupted = interrupt.raised();
    if interrupted && !pgdrill_containers::give_up(super::run::REMOVAL) {
        screen.print(super::run::NOT_REMOVED);
    }
    let comparison = compare(&loaded.scenario.about, &today(), &calibration.measured, env!("CARGO_PKG_VERSION"), &seen);
    screen.print(&comparison_text(&comparison));
    write_documents(arguments, &comparison)?;
    if interrupted {
        screen.print("\ninterrupted: there would have been more runs\n");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let runs: Vec<Run> = seen.iter().map(|seen| seen.run().clone()).collect();
    Ok(exit_code(&runs).into())
}

/// Plays the runs of one world. What did not pass on real nodes is explained at once: its events are not kept.
fn play_in(
    world: &str,
    arguments: &CompareArgs,
    loaded: &Loaded,
    calibration: &Calibration,
    interrupt: &Interrupt,
    screen: &mut Screen,
) -> Result<Vec<Seen>, Failure> {
    let simulated = world == worlds::DEFAULT;
    let conditions = Conditions {
        world: (!simulated).then(|| world.to_owned()),
        patroni: arguments.patroni.clone(),
        postgresql: arguments.postgresql,
        calibration: arguments.calibration.clone(),
        twice: false,
    };
    let tasks = tasks(std::slice::from_ref(loaded), &arguments.seeds_of(world), &conditions);
    let jobs = if simulated { cores() } else { usize::from(arguments.jobs.get()) };
    let mut progress = Progress::new(tasks.len(), !arguments.quiet);
    let tell = super::run::teller(&progress, arguments.quiet);
    let wishes = Wishes { calibration: calibration.clone(), ..Wishes::telling(tell) };
    let name = world.to_owned();
    let (mut seen, mut failed) = (Vec::new(), None);
    let width = screen.width();
    play_all(
        tasks,
        jobs,
        interrupt,
        move |task: &_| play(&*worlds::open(&name, &wishes).expect("it was opened before"), task),
        |told| match told {
            Told::Done => progress.done(),
            Told::Next(run) => {
                progress.told(run);
                if !simulated {
                    failed = failed.take().or_else(|| save_events(arguments.events.as_deref(), world, run).err());
                    if run.verdict() > pgdrill_lab::verdict::Verdict::Pass {
                        let text = format!("{world}, run {}\n{}\n", run.seed, explanation(run, width));
                        progress.beside(|| screen.print(&text));
                    }
                }
                seen.push(Seen::of(run.clone()));
                run.events = Vec::new();
            }
        },
    );
    progress.finish();
    failed.map_or(Ok(seen), Err)
}

fn save_events(folder: Option<&Path>, world: &str, run: &Run) -> Result<(), Failure> {
    let Some(folder) = folder else { return Ok(()) };
    let name = run.scenario.rsplit('/').next().unwrap_or_default();
    let file = folder.join(format!("{name}.{world}-{}.jsonl", run.seed));
    let written = File::create(&file).and_then(|to| write_events(BufWriter::new(to), &run.events));
    written.map_err(|e| cannot_write(&file, e))
}

fn write_documents(arguments: &CompareArgs, comparison: &Comparison) -> Result<(), Failure> {
    if let Some(file) = &arguments.json {
        let mut document = serde_json::to_string_pretty(comparison).map_err(|e| cannot_write(file, e))?;
        document.push('\n');
        fs::write(file, document).map_err(|e| cannot_write(file, e))?;
    }
    if let Some(file) = &arguments.html {
        let page = comparison_page(comparison).map_err(|e| cannot_write(file, e))?;
        fs::write(file, page).map_err(|e| cannot_write(file, e))?;
    }
    Ok(())
}

/// The date of this machine, `2026-01-31`.
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
