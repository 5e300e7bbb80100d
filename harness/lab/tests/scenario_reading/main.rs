//! Reading scenario files: what is accepted, and what every kind of mistake is answered with.

mod broken;
mod fencing;
mod limits;
mod mistakes;
mod mutants;
mod patroni_yml;
mod round_trip;
mod spellings;

use std::path::Path;

use pgdrill_lab::scenario::{Problem, Scenario, load_text};

/// A file that is right, up to the timeline.
const HEAD: &str = "name: drill\nabout: Shows something.\n";

/// The scenario of a text, as if it were the file `drill.yaml`.
fn read(text: &str) -> Result<Scenario, Vec<Problem>> {
    load_text(Path::new("drill.yaml"), text).map(|loaded| loaded.scenario)
}

/// One line for each problem of a text.
fn problems(text: &str) -> String {
    match read(text) {
        Ok(_) => "no problem".into(),
        Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}
