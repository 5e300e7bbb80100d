//! `--events`: one run goes to the file that was named, several go to a folder of that name.

use std::{
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
};

use pgdrill_reports::{Run, write_events};

use crate::command::{Failure, cannot_write, error};

/// Where the events of the runs are written.
pub(crate) enum EventFiles {
    /// Nobody wants them.
    Nowhere,
    /// The only run's file.
    One(PathBuf),
    /// The folder for several.
    Folder(PathBuf),
}

impl EventFiles {
    /// Finds out before anything is played whether they can be written.
    ///
    /// # Errors
    /// When the name is a file and there are several runs, or a folder and there is one, or it cannot be made.
    pub(crate) fn prepare(named: Option<&Path>, runs: usize) -> Result<Self, Failure> {
        let Some(path) = named else { return Ok(Self::Nowhere) };
        if runs == 1 && !path.is_dir() {
            return Ok(Self::One(path.to_owned()));
        }
        if path.exists() && !path.is_dir() {
            let path = path.display();
            let message = format!("--events {path}: the events of {runs} runs need a folder, and {path} is a file");
            return Err(Failure::Usage(vec![error(message)]));
        }
        fs::create_dir_all(path).map_err(|e| cannot_write(path, e))?;
        Ok(Self::Folder(path.to_owned()))
    }

    /// Writes the events of a run.
    pub(crate) fn write(&mut self, run: &Run) -> Result<(), Failure> {
        let file = match self {
            Self::Nowhere => return Ok(()),
            Self::One(file) => file.clone(),
            Self::Folder(folder) => folder.join(file_name(run)),
        };
        let written = File::create(&file).and_then(|to| write_events(BufWriter::new(to), &run.events));
        written.map_err(|e| cannot_write(&file, e))
    }
}

/// `partition-leader-cut.seed-7.jsonl`.
fn file_name(run: &Run) -> String {
    format!("{}.seed-{}.jsonl", run.scenario.replace(['/', '\\'], "-"), run.seed)
}
