//! `pgdrill compare`: one scenario in the simulator and on real nodes, side by side.

mod arguments;

use std::{io::Write, path::Path, process::ExitCode};

pub(crate) use arguments::CompareArgs;
use pgdrill_lab::verdict;
use pgdrill_reports::{
    Comparison, Interrupted, Run, Seen, compare, comparison_page, comparison_text, exit_code, explanation,
};
use pgdrill_sim::Calibration;

use super::{Failure, Screen, calibration, error, run::document, scenario::load};
use crate::{
    input::Loaded,
    output::{Output, Outputs, write_whole},
    playing::{
        Conditions, INTERRUPTED, Interrupt, Progress, Told, cores, play, play_all, tasks, worlds, worlds::Wishes,
    },
};

/// Does it.
pub(crate) fn run(arguments: &CompareArgs, screen: Screen) -> Result<ExitCode, Failure> {
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
    let (documents, mut screen) = Documents::open(arguments, &loaded, screen)?;
    if let Some(why) = not_ready(arguments, &loaded) {
        // Nobody to tell when standard error is gone: the exit code is all that is left.
        let told = format!("{}\nnothing was played; --worlds sim plays in the simulator alone", error(why));
        let _ = writeln!(anstream::stderr(), "{told}");
        return Ok(verdict::ExitCode::Unknown.into());
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
    let planned: usize = arguments.worlds.iter().map(|world| arguments.seeds_of(world).len()).sum();
    // A signal that came when all was done has interrupted nothing.
    let interrupted = Interrupted::when(interrupted && seen.len() < planned, seen.len(), planned);
    let comparison = compare(&loaded.scenario.about, &today(), &calibration.measured, env!("CARGO_PKG_VERSION"), &seen);
    let comparison = Comparison { interrupted, ..comparison };
    let text = comparison_text(&comparison, screen.width());
    screen.print(&text);
    documents.write(&comparison)?;
    if let Some(interrupted) = interrupted {
        screen.print(&format!("\n{interrupted}\n"));
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
    write_whole(&file, &document(run)).map_err(|why| Failure::Usage(vec![error(why)]))
}

/// Why a real world cannot be played in on this machine, before hours are spent in the others. Worlds that cannot do what the
/// scenario asks for need nothing.
fn not_ready(arguments: &CompareArgs, loaded: &Loaded) -> Option<String> {
    let wishes = Wishes::telling(worlds::silence());
    let worlds = arguments.worlds.iter().filter_map(|world| worlds::open(world, &wishes).ok());
    let mut playing = worlds.filter(|world| world.cannot(&loaded.scenario).is_empty());
    playing.find_map(|world| world.ready().err())
}

/// What `--json` and `--html` ask for: opened before anything is played, written each for itself.
struct Documents {
    json: Option<Output>,
    html: Option<Output>,
}

impl Documents {
    fn open(arguments: &CompareArgs, loaded: &Loaded, screen: Screen) -> Result<(Self, Screen), Failure> {
        let mut outputs = Outputs::default();
        outputs.reads(&loaded.file.path);
        [&arguments.patroni, &arguments.calibration].into_iter().flatten().for_each(|file| outputs.reads(file));
        if let Some(folder) = &arguments.events {
            outputs.folder("--events", folder);
        }
        let documents = Self {
            json: outputs.open("--json", arguments.json.as_deref()),
            html: outputs.open("--html", arguments.html.as_deref()),
        };
        let screen = if outputs.standard_output() { screen.beside_a_document() } else { screen };
        let wrong = |problems: Vec<String>| Failure::Usage(problems.iter().map(error).collect());
        outputs.opened().map_err(wrong).map(|()| (documents, screen))
    }

    fn write(self, comparison: &Comparison) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(comparison).map(|json| json + "\n").map_err(|why| why.to_string());
        let page = comparison_page(comparison).map_err(|why| why.to_string());
        let asked =
            [(self.json, json), (self.html, page)].into_iter().filter_map(|(output, text)| Some((output?, text)));
        let written = asked.map(|(output, text)| text.and_then(|text| output.write(text.as_bytes())));
        let failed: Vec<String> = written.filter_map(Result::err).map(error).collect();
        if failed.is_empty() { Ok(()) } else { Err(Failure::Usage(failed)) }
    }
}

/// The date of this machine, `2026-01-31`.
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}
