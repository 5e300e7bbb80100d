//! `pgdrill matrix`: what each world made of each scenario, from the files of `pgdrill run --json`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use pgdrill_file::WRITTEN_BY_A_PROGRAM;
use pgdrill_lab::verdict;
use pgdrill_reports::{PlayedRun, PlayedRuns, matrix};

use super::{Failure, Screen, error};
use crate::output::write_whole;

const EXAMPLES: &str = "\
Examples:
  pgdrill run scenarios --json sim.json
  pgdrill run scenarios --world containers --json containers.json
  pgdrill run scenarios --world patroni --json patroni.json
  pgdrill matrix sim.json containers.json patroni.json
  pgdrill matrix *.json --update README.md       between <!-- worlds --> and <!-- /worlds -->";

const BEGIN: &str = "<!-- worlds -->\n";
const END: &str = "<!-- /worlds -->";

/// Make a table of scenarios by worlds from recorded results. They count as played on the day their file was written
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MatrixArgs {
    /// Files that `pgdrill run --json` wrote
    #[arg(value_name = "RESULTS", required = true)]
    results: Vec<PathBuf>,
    /// Put the table into this Markdown file, between its two marks, instead of printing it
    #[arg(long, value_name = "FILE")]
    update: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(arguments: &MatrixArgs, mut screen: Screen) -> Result<ExitCode, Failure> {
    let mut runs: Vec<PlayedRun> = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    for file in &arguments.results {
        let read = pgdrill_file::text(file, WRITTEN_BY_A_PROGRAM).map_err(|why| why.to_string());
        let played = read.and_then(|text| serde_json::from_str::<PlayedRuns>(&text).map_err(|why| why.to_string()));
        match played {
            Ok(played) if played.format == "pgdrill-summary-1" => {
                let day = day_of(file);
                runs.extend(played.runs.into_iter().map(|run| PlayedRun { played_on: day.clone(), ..run }));
            }
            Ok(played) => {
                wrong.push(error(format_args!(
                    "{}: the format is {:?}, not a summary's",
                    file.display(),
                    played.format
                )));
            }
            Err(why) => {
                let expected = "`pgdrill run --json FILE` writes such a file";
                wrong.push(error(format_args!("{}: {why}; {expected}", file.display())));
            }
        }
    }
    if !wrong.is_empty() {
        return Err(Failure::Usage(wrong));
    }
    let table = matrix(&runs);
    let Some(file) = &arguments.update else {
        screen.print(&table);
        return Ok(verdict::ExitCode::Pass.into());
    };
    let text = pgdrill_file::text(file, WRITTEN_BY_A_PROGRAM)
        .map_err(|why| Failure::Usage(vec![error(format_args!("{}: {why}", file.display()))]))?;
    let marks = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = marks else {
        let message = format!("{}: it has no line `{}` and `{END}` after it", file.display(), BEGIN.trim());
        return Err(Failure::Usage(vec![error(message)]));
    };
    let updated = format!("{before}{BEGIN}{table}{END}{after}");
    write_whole(file, updated.as_bytes()).map_err(|why| Failure::Usage(vec![error(why)]))?;
    Ok(verdict::ExitCode::Pass.into())
}

/// The day on which a file of results was written (UTC), which is when they were played.
fn day_of(file: &Path) -> Option<String> {
    let written = fs::metadata(file).and_then(|about| about.modified()).ok()?;
    Some(jiff::Timestamp::try_from(written).ok()?.strftime("%Y-%m-%d").to_string())
}
