//! From paths to scenarios.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pgdrill_yaml::{At, Node, Problem, Severity, cannot_read, first_of_each, parse, text_of};
use serde_json::Value as Json;

use super::{Account, Scenario, check, patroni, read};

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
    let text = text_of(path, read::SCENARIO.what).map_err(|problem| vec![*problem])?;
    load_text(path, &text)
}

/// Reads and checks the text of a scenario file; `path` gives its name and where `patroni.file` is looked for.
///
/// # Errors
/// What is wrong with it, in the order of the file; of many problems the first ones, and how many more there are.
pub fn load_text(path: &Path, text: &str) -> Result<Loaded, Vec<Problem>> {
    load_text_with(path, text, &[])
}

/// As [`load_with_warnings`], with fields set to other values than the file says: each by the path that leads to it
/// (`cluster.nodes`); `null` takes a field out.
///
/// # Errors
/// Everything that is wrong with the file or with what is to be set, which has no line.
pub fn load_with(path: &Path, changes: &[(String, Json)]) -> Result<Loaded, Vec<Problem>> {
    let text = text_of(path, read::SCENARIO.what).map_err(|problem| vec![*problem])?;
    load_text_with(path, &text, changes)
}

/// As [`load_with`], of the text of a scenario file.
///
/// # Errors
/// As [`load_with`].
pub fn load_text_with(path: &Path, text: &str, changes: &[(String, Json)]) -> Result<Loaded, Vec<Problem>> {
    let mut root = parse(path, text, read::SCENARIO).map_err(|problem| vec![*problem])?;
    for (field, value) in changes {
        root.patch(nested(field, value));
    }
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
        return Ok(Loaded { scenario, warnings: first_of_each(warnings) });
    }
    errors.sort_by_key(|problem| (problem.line, problem.column));
    Err(first_of_each(errors))
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

/// The path of a file that a scenario's text could be in, by the name that the text gives it.
#[must_use]
pub fn path_by_name(text: &str) -> PathBuf {
    let root = parse(Path::new(""), text, read::SCENARIO).ok();
    let name = root.as_ref().and_then(|root| match &root.get("name")?.value {
        pgdrill_yaml::Value::Text(name) => Some(name.clone()),
        _ => None,
    });
    format!("{}.yaml", name.unwrap_or_else(|| "scenario".to_owned())).into()
}

/// Sets those of Patroni's settings that the changes name by `cluster.patroni.NAME`.
///
/// # Errors
/// What is wrong with them.
pub fn change_patroni(scenario: &mut Scenario, changes: &[(String, Json)]) -> Result<(), Vec<Problem>> {
    let mut reader = read::Reader::new(scenario.source.clone(), "");
    // What is taken out was taken out of the scenario's own settings already.
    for (field, value) in changes.iter().filter(|(_, value)| !value.is_null()) {
        let Some(setting) = field.strip_prefix("cluster.patroni.") else { continue };
        let node = nested(setting, value);
        let mut fields = reader.fields(&At { node: &node, path: "cluster.patroni".to_owned() });
        patroni::overlay(&mut reader, &mut fields, &mut scenario.cluster.patroni);
        fields.finish(&mut reader);
    }
    if reader.problems.is_empty() { Ok(()) } else { Err(reader.problems) }
}

/// A value below the fields of a path, without a place in any file.
fn nested(path: &str, value: &Json) -> Node {
    let field = |inner, name: &str| Json::Object([(name.to_owned(), inner)].into_iter().collect());
    Node::of_json(&path.rsplit('.').fold(value.clone(), field))
}

/// What comes of a scenario and a user's own `patroni.yml`.
#[derive(Clone, Debug, PartialEq)]
pub struct WithFile {
    /// What is questionable in the file.
    pub warnings: Vec<Problem>,
    /// What of the file is played.
    pub account: Account,
    /// Why the scenario says nothing about a cluster with this file: it is about a mode that the file has otherwise.
    pub does_not_apply: Option<String>,
    /// What of the file is too small for the scenario's cluster: it would not come up.
    pub too_small: Vec<Problem>,
}

/// Plays a scenario with a user's own `patroni.yml`: the file's settings, and over them what the scenario itself says, since that is
/// what the scenario is about.
///
/// # Errors
/// When the file cannot be read.
pub fn use_patroni_file(scenario: &mut Scenario, path: &Path) -> Result<WithFile, Vec<Problem>> {
    let file = patroni::read_patroni_yml(path)?;
    let does_not_apply = patroni::play_with(scenario, &file);
    let too_small = check::wrong_for_size(scenario, path);
    Ok(WithFile { warnings: file.warnings, account: file.account, does_not_apply, too_small })
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
