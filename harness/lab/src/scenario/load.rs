//! From paths to scenarios.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use super::{Problem, Scenario, check, patroni, problem::Severity, read};

/// A scenario that can be played, and what its author may want to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The scenario.
    pub scenario: Scenario,
    /// Warnings: about a `patroni.yml` that it takes its settings from.
    pub warnings: Vec<Problem>,
}

/// Reads and checks one scenario file.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn load(path: &Path) -> Result<Scenario, Vec<Problem>> {
    load_with_warnings(path).map(|loaded| loaded.scenario)
}

/// As [`load`], with the warnings.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn load_with_warnings(path: &Path) -> Result<Loaded, Vec<Problem>> {
    let text = text_of(path).map_err(|problem| vec![*problem])?;
    load_text(path, &text)
}

/// Reads and checks the text of a scenario file; `path` gives its name and where `patroni.file` is looked for.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn load_text(path: &Path, text: &str) -> Result<Loaded, Vec<Problem>> {
    let root = read::yaml::parse(path, text).map_err(|problem| vec![*problem])?;
    let mut reader = read::Reader::new(path.to_owned(), text);
    let scenario = read::scenario(&mut reader, &root, path);
    // What a check finds in a scenario with unreadable parts may only follow from their absence.
    if reader.problems.iter().all(|problem| problem.severity == Severity::Warning) {
        check::scenario(&mut reader, &root, &scenario);
    } else {
        check::places(&mut reader, &root, &scenario);
    }
    let (mut errors, warnings): (Vec<_>, Vec<_>) =
        reader.problems.into_iter().partition(|problem| problem.severity == Severity::Error);
    if errors.is_empty() {
        return Ok(Loaded { scenario, warnings });
    }
    errors.sort_by_key(|problem| (problem.line, problem.column));
    Err(errors)
}

/// Reads every scenario of these files and folders (with all below), each once, in the order of their paths.
///
/// # Errors
/// Everything that is wrong with any of them; a folder without a single scenario is wrong too.
pub fn load_all(paths: &[PathBuf]) -> Result<Vec<Scenario>, Vec<Problem>> {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            match scenario_files(path, &mut files) {
                Ok(()) if files.len() == before => {
                    problems.push(Problem::of_file(
                        path.clone(),
                        "a folder without scenarios",
                        "files that end in .yaml",
                    ));
                }
                Ok(()) => {}
                Err(problem) => problems.push(*problem),
            }
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    let mut scenarios = Vec::new();
    for file in files {
        match load(&file) {
            Ok(scenario) => scenarios.push(scenario),
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(scenarios) } else { Err(problems) }
}

/// Plays a scenario with a user's own `patroni.yml`: its settings replace all of the scenario's. Returns the warnings.
///
/// # Errors
/// When the file cannot be read, or the scenario makes no sense with it.
pub fn use_patroni_file(scenario: &mut Scenario, file: &Path) -> Result<Vec<Problem>, Vec<Problem>> {
    let (settings, warnings) = patroni::read_patroni_yml(file)?;
    scenario.cluster.patroni = settings;
    Ok(warnings)
}

fn scenario_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<Problem>> {
    let broken = |error: std::io::Error| cannot_read(folder, &error);
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(broken)? {
        entries.push(entry.map_err(broken)?.path());
    }
    entries.sort();
    for entry in entries {
        // A link to a folder is not followed: it may lead in a circle.
        if entry.is_dir() && !entry.is_symlink() {
            scenario_files(&entry, files)?;
        } else if entry.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(entry);
        }
    }
    Ok(())
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Box<Problem> {
    Box::new(Problem::of_file(path.to_owned(), error.to_string(), "a file that can be read"))
}

/// The text of a file, if it is one, is not too long, and is text.
pub(crate) fn text_of(path: &Path) -> Result<String, Box<Problem>> {
    let about = fs::metadata(path).map_err(|error| cannot_read(path, &error))?;
    if !about.is_file() {
        let found = if about.is_dir() { "a folder" } else { "something that is no regular file" };
        return Err(Box::new(Problem::of_file(path.to_owned(), found, "a YAML file")));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| cannot_read(path, &error))?;
    // One byte beyond the limit tells a file that is too long from one that just fits, however long it really is.
    file.take(read::yaml::MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| cannot_read(path, &error))?;
    if bytes.len() as u64 > read::yaml::MAX_BYTES {
        let found = format!("{} bytes", about.len());
        let problem = Problem::of_file(path.to_owned(), found, "at most 1 MiB");
        return Err(Box::new(problem.with_help("is it a scenario at all?")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Box::new(Problem::of_file(path.to_owned(), format!("bytes that are no UTF-8 text, from byte {at} on"), "YAML"))
    })
}
