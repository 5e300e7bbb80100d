//! From a path to the text of a YAML file, within limits: a file that somebody was sent must not take the machine down.

use std::{io::ErrorKind, path::Path};

use pgdrill_file::WRITTEN_BY_HAND;

use crate::Problem;

/// The largest file that is read, in bytes.
pub const MAX_BYTES: u64 = WRITTEN_BY_HAND;

/// The text of a file.
///
/// # Errors
/// When it is no regular file, cannot be read, is longer than [`MAX_BYTES`], or is no text. `what` names what it should have
/// been: `scenario`.
pub fn text_of(path: &Path, what: &str) -> Result<String, Box<Problem>> {
    pgdrill_file::text(path, MAX_BYTES).map_err(|error| {
        let said = error.to_string();
        // What is said of the file's kind already says what would be right.
        let (found, expected) = said.split_once(", expected ").unwrap_or((&said, "a file that can be read"));
        let problem = Problem::of_file(path.to_owned(), found, expected);
        Box::new(match error.kind() {
            ErrorKind::InvalidInput if found == "a folder" => Problem { expected: "a YAML file".into(), ..problem },
            ErrorKind::InvalidData => Problem { expected: "YAML".into(), ..problem },
            ErrorKind::FileTooLarge => problem.with_help(format!("is it a {what} at all?")),
            _ => problem,
        })
    })
}

/// The problem of a file or folder that the operating system does not give.
#[must_use]
pub fn cannot_read(path: &Path, error: &std::io::Error) -> Box<Problem> {
    Box::new(Problem::of_file(path.to_owned(), error.to_string(), "a file that can be read"))
}
