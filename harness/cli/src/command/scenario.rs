//! `pgdrill scenario`: check, list and describe scenario files without playing them.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Subcommand;
use pgdrill_lab::verdict;
use pgdrill_yaml::on_one_line;

use super::{Failure, Paths, Screen, error};
use crate::input::{self, Found, find_all};

const CHECK_EXAMPLES: &str = "\
Examples:
  pgdrill scenario check scenarios
  pgdrill scenario check my-outage.yaml --patroni /etc/patroni.yml";

const SCHEMA_EXAMPLES: &str = "\
Example:
  pgdrill scenario schema > .vscode/pgdrill.schema.json";

const LIST_EXAMPLES: &str = "\
Examples:
  pgdrill scenario list
  pgdrill scenario list scenarios/partition";

#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioCommand {
    /// Check scenario files and tell all problems at once
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        #[command(flatten)]
        paths: Paths,
        /// Check them with the settings of this patroni.yml
        #[arg(long, value_name = "FILE")]
        patroni: Option<PathBuf>,
    },
    /// Print the JSON Schema of scenario files, for editors
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// List scenarios by name, with what each of them shows
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Scenario files, or folders with everything below them
        #[arg(value_name = "PATH", default_value = "scenarios")]
        paths: Vec<PathBuf>,
    },
}

/// Does it.
pub(crate) fn run(command: ScenarioCommand, screen: Screen) -> Result<ExitCode, Failure> {
    let mut screen = screen.plain();
    match command {
        ScenarioCommand::Check { paths, patroni } => {
            let loaded = load(&paths.paths, patroni.as_deref())?;
            super::warn(&loaded);
            super::tell_account(patroni.as_deref(), &loaded);
            let (apart, played): (Vec<_>, Vec<_>) = loaded.iter().partition(|loaded| loaded.does_not_apply.is_some());
            for scenario in apart {
                let why = scenario.does_not_apply.as_deref().unwrap_or_default();
                screen.print(&format!("{} does not apply: {why}\n", scenario.file.label));
            }
            let plural = if played.len() == 1 { "" } else { "s" };
            screen.print(&format!("{} scenario{plural} can be played\n", played.len()));
        }
        ScenarioCommand::Schema => {
            let schema = serde_json::to_string_pretty(&pgdrill_lab::scenario::json_schema())
                .expect("a schema consists of JSON values only");
            screen.print(&format!("{schema}\n"));
        }
        ScenarioCommand::List { paths } => {
            let loaded = load(&paths, None)?;
            let widest = loaded.iter().map(|l| l.file.label.chars().count()).max().unwrap_or(0);
            for scenario in &loaded {
                screen.print(&format!("{:widest$}  {}\n", scenario.file.label, scenario.scenario.about));
            }
        }
    }
    Ok(verdict::ExitCode::Pass.into())
}

/// Finds and reads scenarios for any command.
pub(crate) fn load(paths: &[PathBuf], patroni: Option<&std::path::Path>) -> Result<Vec<input::Loaded>, Failure> {
    let (Found { files, others }, missing) = find_all(paths);
    pass_over(&others);
    let mut problems: Vec<String> = missing.iter().map(error).collect();
    match input::load(&files, patroni, &[]) {
        Ok(loaded) if problems.is_empty() => return Ok(loaded),
        Ok(_) => {}
        Err(invalid) => problems.extend(invalid.rendered()),
    }
    Err(Failure::Usage(problems))
}

/// Names the files of folders that are no scenarios.
fn pass_over(others: &[PathBuf]) {
    let names: Vec<String> = others.iter().map(|file| on_one_line(&file.display().to_string()).into_owned()).collect();
    if let [_, ..] = names.as_slice() {
        // Nobody to tell when standard error is gone; what is played does not depend on it.
        let _ = writeln!(std::io::stderr(), "no scenarios, passed over: {}", names.join(", "));
    }
}
