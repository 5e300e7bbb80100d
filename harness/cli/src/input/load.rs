//! From files to scenarios that can be played, with everything that is wrong with any of them told at once.

use std::{fmt, path::Path, sync::Arc};

use serde_json::Value;

use pgdrill_lab::{
    rules::Rules,
    scenario::{self, Account, Problem, Scenario},
};

use super::ScenarioFile;

/// A scenario that can be played.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) file: ScenarioFile,
    pub(crate) scenario: Arc<Scenario>,
    /// What its runs are judged by.
    pub(crate) rules: Arc<Rules>,
    /// What its author may want to know, drawn.
    pub(crate) warnings: Vec<String>,
    /// What of the user's own settings is played.
    #[cfg_attr(not(feature = "command"), expect(dead_code, reason = "the command tells what is taken of the file"))]
    pub(crate) account: Option<Account>,
    /// Why it says nothing about a cluster with the user's own settings.
    pub(crate) does_not_apply: Option<String>,
    /// What of the user's own settings is too small for its cluster.
    too_small: Vec<Problem>,
    /// The scenario as it is without the user's own settings, where there are such.
    #[cfg_attr(
        not(feature = "command"),
        expect(dead_code, reason = "the command tells for which setting a run fails")
    )]
    pub(crate) without_file: Option<Arc<Scenario>>,
}

/// Everything that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Invalid(Vec<Problem>);

impl Invalid {
    /// Each problem drawn with the line it is about.
    #[cfg(feature = "command")]
    pub(crate) fn rendered(&self) -> Vec<String> {
        self.0.iter().map(draw).collect()
    }

    /// What is wrong first, with the field but without its line.
    #[cfg(feature = "command")]
    pub(crate) fn first_in_words(&self) -> String {
        let words = |Problem { field, found, expected, .. }: &Problem| {
            let name = field.rsplit('.').next().unwrap_or_default();
            // A group of settings that do not go together is told by their names.
            if found.contains(' ') {
                format!("{found}: expected {expected}")
            } else {
                format!("{name}: {found}: expected {expected}")
            }
        };
        self.0.first().map(words).unwrap_or_default()
    }
}

impl Loaded {
    /// Plays with another major version of PostgreSQL than the file says.
    #[cfg(feature = "command")]
    pub(crate) fn use_postgresql(&mut self, major: scenario::PostgresqlMajor) {
        Arc::make_mut(&mut self.scenario).cluster.postgresql = major;
    }
}

impl fmt::Display for Invalid {
    /// One line a problem, for where nothing can be drawn.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Reads the scenarios; with a `patroni.yml`, its settings count below what each of them says itself, and fields are set to other
/// values by the path that leads to them.
///
/// # Errors
/// Every problem of every file.
pub(crate) fn load(
    files: &[ScenarioFile],
    patroni: Option<&Path>,
    changes: &[(String, Value)],
) -> Result<Vec<Loaded>, Invalid> {
    let mut loaded = Vec::with_capacity(files.len());
    let mut problems: Vec<Problem> = Vec::new();
    for file in files {
        match load_one(file, patroni, changes) {
            Ok(scenario) => loaded.push(scenario),
            // A patroni.yml that cannot be used is wrong for every scenario in the same words: said once.
            Err(found) => problems.extend(found.into_iter().filter(|p| !problems.contains(p)).collect::<Vec<_>>()),
        }
    }
    if problems.is_empty() { fitting(loaded) } else { Err(Invalid(problems)) }
}

/// A file whose servers are too small for a few large clusters of the library says nothing about these; one that is too small for every
/// scenario is wrong.
fn fitting(mut loaded: Vec<Loaded>) -> Result<Vec<Loaded>, Invalid> {
    if !loaded.is_empty() && loaded.iter().all(|loaded| !loaded.too_small.is_empty()) {
        return Err(Invalid(loaded.into_iter().flat_map(|loaded| loaded.too_small).collect()));
    }
    for loaded in &mut loaded {
        if let Some(Problem { found, expected, .. }) = loaded.too_small.first() {
            loaded.does_not_apply.get_or_insert_with(|| format!("{found}: expected {expected}"));
        }
    }
    Ok(loaded)
}

/// As [`load`], of a scenario that is in no file: its name is its label.
///
/// # Errors
/// Every problem of the text.
pub(crate) fn load_text(text: &str, patroni: Option<&Path>, changes: &[(String, Value)]) -> Result<Loaded, Invalid> {
    let path = scenario::path_by_name(text);
    let label = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let loaded = scenario::load_text_with(&path, text, changes);
    let loaded =
        loaded.and_then(|loaded| finish(ScenarioFile { path, label }, loaded, patroni, changes)).map_err(Invalid)?;
    Ok(fitting(vec![loaded])?.remove(0))
}

fn load_one(file: &ScenarioFile, patroni: Option<&Path>, changes: &[(String, Value)]) -> Result<Loaded, Vec<Problem>> {
    finish(file.clone(), scenario::load_with(&file.path, changes)?, patroni, changes)
}

fn finish(
    file: ScenarioFile,
    loaded: scenario::Loaded,
    patroni: Option<&Path>,
    changes: &[(String, Value)],
) -> Result<Loaded, Vec<Problem>> {
    let scenario::Loaded { mut scenario, mut warnings } = loaded;
    let (mut account, mut does_not_apply, mut without_file, mut too_small) = (None, None, None, Vec::new());
    if let Some(patroni) = patroni {
        without_file = Some(Arc::new(scenario.clone()));
        let with = scenario::use_patroni_file(&mut scenario, patroni)?;
        warnings.extend(with.warnings);
        (account, does_not_apply, too_small) = (Some(with.account), with.does_not_apply, with.too_small);
        // What the scenario says is over the file, and the test has the last word.
        scenario::change_patroni(&mut scenario, changes)?;
    }
    Ok(Loaded {
        file,
        rules: Arc::new(Rules::from(&scenario)),
        scenario: Arc::new(scenario),
        warnings: warnings.iter().map(draw).collect(),
        account,
        does_not_apply,
        too_small,
        without_file,
    })
}

/// As miette draws it, for standard error: colours and box characters only where that shows them.
pub(crate) fn draw(problem: &Problem) -> String {
    format!("{:?}", problem.report()).trim_end().to_owned()
}
