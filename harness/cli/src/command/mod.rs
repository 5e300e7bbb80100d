//! The command line: one file for each command, and what they share.

mod agent;
mod calibrate;
mod compare;
mod ctl;
mod images;
mod internal;
mod matrix;
mod run;
mod scenario;
mod screen;
mod sweep;

use std::{
    future::Future,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use pgdrill_lab::verdict;
use pgdrill_sim::Calibration;
use pgdrill_yaml::visible;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use screen::Screen;

use crate::input::Loaded;

const EXIT_CODES: &str = "\
Exit codes:
  0    pass: every run passed
  1    fail: a rule was broken, or a run could not be reproduced
  2    wrong usage, or an invalid file: nothing was played; or an output could
       not be written
  3    unknown or vacuous: a run could not be judged or played, or tested nothing
  4    unsupported: the world cannot play a scenario
  101  pgdrill itself crashed
  130  ended by Ctrl-C";

/// Deterministic simulation and failover lab for PostgreSQL high availability.
///
/// Plays scenario files (a cluster, faults, expectations) and judges what was seen: one writer at a time, no acknowledged
/// write lost, only eligible leaders, recovery in time.
#[derive(Debug, Parser)]
#[command(name = "pgdrill", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play scenarios and judge them
    Run(run::RunArgs),
    /// Play one scenario in the simulator and on real nodes, and show them side by side
    Compare(compare::CompareArgs),
    /// Play scenarios with many combinations of settings, and show what each costs
    Sweep(sweep::SweepArgs),
    /// Measure how long PostgreSQL takes here, for the simulator
    Calibrate(calibrate::CalibrateArgs),
    /// Make a table of scenarios by worlds from recorded results
    Matrix(matrix::MatrixArgs),
    /// List and change a running cluster, as patronictl does
    Ctl(ctl::CtlArgs),
    /// Check, list and describe scenario files
    #[command(subcommand)]
    Scenario(scenario::ScenarioCommand),
    /// Run the HA agent of one node
    Agent(agent::AgentArgs),
    /// What the binary does inside a container of a run
    #[command(subcommand, hide = true)]
    Internal(internal::InternalCommand),
    /// Build, list and remove the container images of the real worlds
    #[command(subcommand)]
    Images(images::ImagesCommand),
}

/// How a command ends that does not end with an exit code of its own.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage or invalid files: everything that is wrong, one message each.
    Usage(Vec<String>),
}

/// Runs the command line of the process.
pub fn main() -> ExitCode {
    // clap prints its own messages, and exits with 2 like every wrong usage.
    let cli = Cli::parse();
    let screen = Screen::of_the_process();
    let done = match cli.command {
        Command::Run(arguments) => run::run(arguments, screen),
        Command::Compare(arguments) => compare::run(&arguments, screen),
        Command::Sweep(arguments) => sweep::run(&arguments, screen),
        Command::Calibrate(arguments) => calibrate::run(&arguments, screen),
        Command::Matrix(arguments) => matrix::run(&arguments, screen),
        Command::Ctl(arguments) => ctl::run(arguments, screen),
        Command::Scenario(command) => scenario::run(command, screen),
        Command::Agent(arguments) => agent::run(&arguments),
        Command::Internal(command) => internal::run(&command),
        Command::Images(command) => images::run(command, screen),
    };
    match done {
        Ok(code) => code,
        Err(failure) => report(failure),
    }
}

fn report(failure: Failure) -> ExitCode {
    let Failure::Usage(messages) = failure;
    let mut stderr = anstream::stderr().lock();
    for message in messages {
        // Nobody to tell when standard error is gone: the exit code is all that is left.
        let _ = writeln!(stderr, "{message}");
    }
    verdict::ExitCode::Usage.into()
}

/// Plays all of them with this major version of PostgreSQL, if one is asked for.
pub(crate) fn use_postgresql(loaded: &mut [Loaded], major: Option<pgdrill_lab::scenario::PostgresqlMajor>) {
    if let Some(major) = major {
        loaded.iter_mut().for_each(|scenario| scenario.use_postgresql(major));
    }
}

/// Prints the warnings about files that can be played all the same, once each however many scenarios share the file.
pub(crate) fn warn(loaded: &[Loaded]) {
    let mut told = std::collections::BTreeSet::new();
    let mut stderr = anstream::stderr().lock();
    for warning in loaded.iter().flat_map(|loaded| &loaded.warnings) {
        if told.insert(warning) {
            // As above: a warning that nobody can read is no reason not to play.
            let _ = writeln!(stderr, "{warning}");
        }
    }
}

/// Says what of the user's own settings is played and what is not, once.
pub(crate) fn tell_account(patroni: Option<&Path>, loaded: &[Loaded]) {
    let (Some(file), Some(account)) = (patroni, loaded.iter().find_map(|loaded| loaded.account.as_ref())) else {
        return;
    };
    let mut stderr = anstream::stderr().lock();
    // As above.
    let _ = writeln!(stderr, "{}: what of it is played", file.display());
    for paragraph in account.paragraphs() {
        let options = textwrap::Options::new(100).initial_indent("  ").subsequent_indent("    ");
        let _ = writeln!(stderr, "{}", textwrap::fill(&paragraph, options));
    }
}

/// Runs to the end, or to Ctrl-C, SIGTERM or SIGHUP (`None`): what is dropped then cleans up after itself.
pub(crate) fn unless_interrupted<T, E: std::fmt::Display>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<Option<T>, Failure> {
    let unusable = |why: std::io::Error| Failure::Usage(vec![error(why)]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unusable)?;
    runtime.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt()).map_err(unusable)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(unusable)?;
        let mut hung_up = signal(SignalKind::hangup()).map_err(unusable)?;
        tokio::select! {
            done = work => done.map(Some).map_err(|why| Failure::Usage(vec![error(why)])),
            _ = interrupted.recv() => Ok(None),
            _ = terminated.recv() => Ok(None),
            _ = hung_up.recv() => Ok(None),
        }
    })
}

/// `error: ` in front, as clap does.
pub(crate) fn error(message: impl std::fmt::Display) -> String {
    let style = anstyle::AnsiColor::Red.on_default().bold();
    // Names of files and answers of servers are in it.
    format!("{style}error:{style:#} {}", visible(&message.to_string()))
}

/// The simulator's durations: of this file, or those that come with pgdrill.
pub(crate) fn calibration(file: Option<&Path>) -> Result<Calibration, Failure> {
    file.map_or_else(
        || Ok(Calibration::shipped()),
        |file| Calibration::read(file).map_err(|why| Failure::Usage(vec![error(why)])),
    )
}

/// Scenario files and folders, as several commands take them.
#[derive(Debug, clap::Args)]
pub(crate) struct Paths {
    /// Scenario files, or folders with everything (*.yaml, *.yml) below them
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
}
