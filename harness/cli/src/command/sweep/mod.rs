//! `pgdrill sweep`: scenarios with many combinations of settings, and what each costs.

mod arguments;
mod plan;
mod vary;
mod want;

use std::{path::Path, process::ExitCode};

pub(crate) use arguments::SweepArgs;
use pgdrill_lab::{figures::needless_leader_changes, history::History, verdict};
use pgdrill_reports::{Cell, CellFigures, Ending, Interrupted, Run, Sample, Sweep, sweep_csv, sweep_text};

use self::plan::{Plan, Planned};
use super::{Failure, Screen, calibration, error};
use crate::{
    output::{Output, Outputs},
    playing::{INTERRUPTED, Interrupt, Progress, Task, Told, cores, play, play_all, worlds, worlds::Wishes},
};

/// Does it.
pub(crate) fn run(arguments: &SweepArgs, screen: Screen) -> Result<ExitCode, Failure> {
    let calibration = calibration(arguments.calibration.as_deref())?;
    let plan = Plan::of(arguments)?;
    super::warn(&plan.cells.iter().map(|cell| cell.loaded.clone()).collect::<Vec<_>>());
    let (documents, mut screen) = Documents::open(arguments, &plan, screen)?;
    let interrupt = Interrupt::on_ctrl_c().map_err(|e| Failure::Usage(vec![error(format_args!("Ctrl-C: {e}"))]))?;

    let tasks: Vec<Task> = plan.cells.iter().flat_map(|cell| cell.tasks.iter().cloned()).collect();
    let planned = tasks.len();
    let mut progress = Progress::new(planned, !arguments.quiet);
    let wishes = Wishes { calibration, ..Wishes::telling(worlds::silence()) };
    let jobs = arguments.jobs.map_or_else(cores, |jobs| usize::from(jobs.get()));
    let play = move |task: &Task| Played::of(&wishes, task);
    let played = play_all(tasks, jobs, &interrupt, play, |told| match told {
        Told::Done => progress.done(),
        Told::Next(played) => progress.told(&played.run),
    });
    progress.finish();
    // A signal that came when all was done has interrupted nothing.
    let interrupted = Interrupted::when(interrupt.raised() && played.len() < planned, played.len(), planned);

    let mut sweep = Sweep {
        format: "pgdrill-sweep-1",
        version: env!("CARGO_PKG_VERSION"),
        fields: arguments.vary.iter().map(|vary| vary.field.clone()).collect(),
        wants: arguments.want.iter().map(ToString::to_string).collect(),
        cells: cells(arguments, &plan, &played),
        skipped: plan.skipped,
        best: None,
        interrupted,
    };
    sweep.best = sweep.find_best();
    screen.print(&sweep_text(&sweep, screen.width()));
    documents.write(&sweep)?;
    Ok(exit_code(&sweep))
}

/// A run and what is kept of its events.
struct Played {
    run: Run,
    sample: Sample,
}

impl Played {
    fn of(wishes: &Wishes, task: &Task) -> Self {
        let world = worlds::open(worlds::DEFAULT, wishes).expect("there is a simulator");
        let mut run = play(&*world, task);
        // Thousands of runs with their events do not fit in memory.
        let events = std::mem::take(&mut run.events);
        let judged = matches!(run.ending, Ending::Judged(_));
        let needless = if judged { needless_leader_changes(&History::of(&events)) } else { 0 };
        let duration = task.scenario.duration.nanos() / 1_000_000;
        Self { sample: Sample::of(&run, duration, needless), run }
    }
}

/// The cells whose runs are all there. Each is compared with the first one of its scenario.
fn cells(arguments: &SweepArgs, plan: &Plan, played: &[Played]) -> Vec<Cell> {
    let mut cells = Vec::new();
    let (mut played, mut first): (_, Option<(&str, Vec<Sample>)>) = (played.iter(), None);
    for Planned { settings, loaded, tasks } in &plan.cells {
        let samples: Vec<Sample> = played.by_ref().take(tasks.len()).map(|played| played.sample.clone()).collect();
        if samples.len() < tasks.len() {
            break;
        }
        let scenario = loaded.file.label.as_str();
        let (_, compared) = match first.take() {
            Some((same, samples)) if same == scenario => first.insert((same, samples)),
            _ => first.insert((scenario, samples.clone())),
        };
        let figures = CellFigures::of(&samples, compared);
        let missed = arguments.want.iter().filter_map(|want| want.missed(&figures)).collect();
        cells.push(Cell { scenario: scenario.to_owned(), settings: settings.clone(), figures, missed });
    }
    cells
}

fn exit_code(sweep: &Sweep) -> ExitCode {
    if sweep.interrupted.is_some() {
        return ExitCode::from(INTERRUPTED);
    }
    let unjudged = sweep.cells.iter().any(|cell| cell.figures.judged < cell.figures.runs);
    let good = match sweep.wants.is_empty() {
        true => sweep.cells.iter().all(|cell| cell.figures.violating == 0),
        false => sweep.best.is_some(),
    };
    match (good, unjudged) {
        (true, false) => verdict::ExitCode::Pass.into(),
        // With a combination that is as wanted in every run, others need not be known.
        (true, true) if sweep.best.is_some() => verdict::ExitCode::Pass.into(),
        (_, true) => verdict::ExitCode::Unknown.into(),
        (false, false) => verdict::ExitCode::Fail.into(),
    }
}

/// What `--csv` and `--json` ask for: opened before anything is played, written each for itself.
struct Documents {
    csv: Option<Output>,
    json: Option<Output>,
}

impl Documents {
    fn open(arguments: &SweepArgs, plan: &Plan, screen: Screen) -> Result<(Self, Screen), Failure> {
        let mut outputs = Outputs::default();
        let given = [&arguments.patroni, &arguments.calibration];
        let files = plan.cells.iter().map(|cell| cell.loaded.file.path.as_path());
        let read: Vec<&Path> = files.chain(given.into_iter().filter_map(|file| file.as_deref())).collect();
        read.into_iter().for_each(|file| outputs.reads(file));
        let documents = Self {
            csv: outputs.open("--csv", arguments.csv.as_deref()),
            json: outputs.open("--json", arguments.json.as_deref()),
        };
        let screen = if outputs.standard_output() { screen.beside_a_document() } else { screen };
        let wrong = |problems: Vec<String>| Failure::Usage(problems.iter().map(error).collect());
        outputs.opened().map_err(wrong).map(|()| (documents, screen))
    }

    fn write(self, sweep: &Sweep) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(sweep).map(|json| json + "\n").map_err(|why| format!("--json: {why}"));
        let asked = [(self.csv, Ok(sweep_csv(sweep))), (self.json, json)];
        let written = asked.into_iter().filter_map(|(output, text)| Some((output?, text)));
        let written = written.map(|(output, text)| text.and_then(|text| output.write(text.as_bytes())));
        let failed: Vec<String> = written.filter_map(Result::err).map(error).collect();
        if failed.is_empty() { Ok(()) } else { Err(Failure::Usage(failed)) }
    }
}
