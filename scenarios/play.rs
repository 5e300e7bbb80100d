//! Every scenario below this folder as a test named `theme/name`, played with a few seeds.
//!
//! `cargo test -p pgdrill-scenarios leader` plays those with `leader` in their name; `PGDRILL_SEEDS=0..100` plays more seeds.

use std::{env, path::Path, process::ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use pgdrill::{ScenarioFile, Seeds};

/// The seeds that are played when nobody says: enough to notice what depends on them, few enough for every commit.
const SEEDS: &str = "0..3";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let text = env::var("PGDRILL_SEEDS").unwrap_or_else(|_| SEEDS.to_owned());
    let seeds: Seeds = match text.parse() {
        Ok(seeds) => seeds,
        Err(error) => {
            eprintln!("PGDRILL_SEEDS: {error}");
            return ExitCode::from(2);
        }
    };
    let files = match pgdrill::find(&[Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()]) {
        Ok(files) => files,
        Err(problems) => {
            eprintln!("{}", problems.join("\n"));
            return ExitCode::from(2);
        }
    };
    let trials = files.into_iter().map(|file| trial(file, seeds.clone())).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A failing test's text is the explained violation and the command that reproduces it.
fn trial(file: ScenarioFile, seeds: Seeds) -> Trial {
    let ScenarioFile { path, label } = file;
    Trial::test(label, move || {
        // libtest-mimic plays scenarios at the same time already: one thread each is enough.
        let report = pgdrill::scenario(&path).seeds(seeds.iter()).jobs(1).run().map_err(Failed::from)?;
        if report.passed() { Ok(()) } else { Err(report.text().into()) }
    })
}
