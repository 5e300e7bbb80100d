//! `--events`: one run goes to the file that was named, several go to a folder of that name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pgdrill_reports::{EventsHeader, Interrupted, Run, write_events};

use crate::output::{Output, Outputs, write_whole};

/// Says in a folder of events that there would have been more.
const UNFINISHED: &str = "interrupted.json";

/// Where the events of the runs are written.
pub(crate) enum EventFiles {
    /// Nobody wants them.
    Nowhere,
    /// The only run's file; `None` once it was written.
    One(Option<Output>),
    /// The folder for several.
    Folder(PathBuf),
}

impl EventFiles {
    /// Finds out before anything is played whether they can be written. What is wrong is among the outputs' problems: a file
    /// where several runs need a folder, a name that is taken, a place that cannot be written.
    pub(crate) fn prepare(named: Option<&Path>, runs: usize, outputs: &mut Outputs) -> Self {
        let Some(path) = named else { return Self::Nowhere };
        if runs == 1 && !path.is_dir() {
            return Self::One(outputs.open("--events", named));
        }
        if (path.exists() && !path.is_dir()) || path.as_os_str() == "-" {
            let path = path.display();
            outputs.problem(format!("--events {path}: the events of {runs} runs need a folder, and {path} is a file"));
            return Self::Nowhere;
        }
        outputs.folder("--events", path);
        // Of an earlier command.
        let _ = fs::remove_file(path.join(UNFINISHED));
        Self::Folder(path.to_owned())
    }

    /// Writes the events of a run.
    ///
    /// # Errors
    /// With the file and the reason.
    pub(crate) fn write(&mut self, run: &Run) -> Result<(), String> {
        match self {
            Self::Nowhere => Ok(()),
            Self::One(output) => output.take().map_or(Ok(()), |output| output.write(&document(run))),
            Self::Folder(folder) => write_whole(&folder.join(file_name(run)), &document(run)),
        }
    }

    /// The command was ended early: says so where the events of all runs would be.
    ///
    /// # Errors
    /// With the file and the reason.
    pub(crate) fn interrupted(&mut self, interrupted: Interrupted) -> Result<(), String> {
        let told = serde_json::json!({
            "format": "pgdrill-interrupted-1", "played": interrupted.played, "planned": interrupted.planned
        });
        let told = format!("{told}\n").into_bytes();
        match self {
            Self::Nowhere => Ok(()),
            // Where the only run was written, it was played.
            Self::One(output) => output.take().map_or(Ok(()), |output| output.write(&told)),
            Self::Folder(folder) => write_whole(&folder.join(UNFINISHED), &told),
        }
    }
}

/// The events as JSON Lines.
pub(crate) fn document(run: &Run) -> Vec<u8> {
    let mut lines = Vec::new();
    let header = EventsHeader::of(run, env!("CARGO_PKG_VERSION"));
    write_events(&mut lines, &header, &run.events).expect("memory takes every event, and every event is JSON");
    lines
}

/// `partition-leader-cut.seed-7.jsonl`.
fn file_name(run: &Run) -> String {
    format!("{}.seed-{}.jsonl", run.scenario.replace(['/', '\\'], "-"), run.seed)
}
