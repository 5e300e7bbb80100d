//! From a path to the text of the file, within limits: a file that somebody was sent must not take the machine down.

use std::{fs, io::Read, path::Path};

use crate::Problem;

/// The largest file that is read. The longest hand-written one has some tens of kilobytes.
pub const MAX_BYTES: u64 = 1 << 20;

/// The text of a file.
///
/// # Errors
/// When it is no regular file, cannot be read, is longer than [`MAX_BYTES`], or is no text. `what` names what it should have
/// been: `scenario`.
pub fn text_of(path: &Path, what: &str) -> Result<String, Box<Problem>> {
    let about = fs::metadata(path).map_err(|error| cannot_read(path, &error))?;
    if !about.is_file() {
        let found = if about.is_dir() { "a folder" } else { "something that is no regular file" };
        return Err(Box::new(Problem::of_file(path.to_owned(), found, "a YAML file")));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| cannot_read(path, &error))?;
    // One byte beyond the limit tells a file that is too long from one that just fits, however long it really is.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| cannot_read(path, &error))?;
    if bytes.len() as u64 > MAX_BYTES {
        let found = format!("{} bytes", about.len());
        let problem = Problem::of_file(path.to_owned(), found, "at most 1 MiB");
        return Err(Box::new(problem.with_help(format!("is it a {what} at all?"))));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Box::new(Problem::of_file(path.to_owned(), format!("bytes that are no UTF-8 text, from byte {at} on"), "YAML"))
    })
}

/// The problem of a file or folder that the operating system does not give.
#[must_use]
pub fn cannot_read(path: &Path, error: &std::io::Error) -> Box<Problem> {
    Box::new(Problem::of_file(path.to_owned(), error.to_string(), "a file that can be read"))
}
