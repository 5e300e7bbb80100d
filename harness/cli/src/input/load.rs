//! From files to scenarios that can be played, with everything that is wrong with any of them told at once.

use std::{fmt, path::Path, sync::Arc};

use pgdrill_lab::{
    scenario::{self, Account, PostgresqlMajor, Problem, Scenario},
    verdict::Rules,
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
    pub(crate) account: Option<Account>,
    /// Why it says nothing about a cluster with the user's own settings.
    pub(crate) does_not_apply: Option<String>,
}

/// Everything that is wrong.
#[derive(Clone, Debug)]
pub(crate) struct Invalid(Vec<Problem>);

impl Invalid {
    /// Each problem drawn with the line it is about.
    pub(crate) fn rendered(&self) -> Vec<String> {
        self.0.iter().map(draw).collect()
    }
}

impl Loaded {
    /// Plays with another major version of PostgreSQL than the file says.
    pub(crate) fn use_postgresql(&mut self, major: PostgresqlMajor) {
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

/// Reads the scenarios; with a `patroni.yml`, its settings count below what each of them says itself.
///
/// # Errors
/// Every problem of every file.
pub(crate) fn load(files: &[ScenarioFile], patroni: Option<&Path>) -> Result<Vec<Loaded>, Invalid> {
    let mut loaded = Vec::with_capacity(files.len());
    let mut problems: Vec<Problem> = Vec::new();
    for file in files {
        match load_one(file, patroni) {
            Ok(scenario) => loaded.push(scenario),
            // A patroni.yml that cannot be used is wrong for every scenario in the same words: said once.
            Err(found) => problems.extend(found.into_iter().filter(|p| !problems.contains(p)).collect::<Vec<_>>()),
        }
    }
    if problems.is_empty() { Ok(loaded) } else { Err(Invalid(problems)) }
}

fn load_one(file: &ScenarioFile, patroni: Option<&Path>) -> Result<Loaded, Vec<Problem>> {
    let scenario::Loaded { mut scenario, mut warnings } = scenario::load_with_warnings(&file.path)?;
    let (mut account, mut does_not_apply) = (None, None);
    if let Some(patroni) = patroni {
        let file = scenario::use_patroni_file(&mut scenario, patroni)?;
        warnings.extend(file.warnings);
        (account, does_not_apply) = (Some(file.account), file.does_not_apply);
    }
    Ok(Loaded {
        file: file.clone(),
        rules: Arc::new(Rules::from(&scenario)),
        scenario: Arc::new(scenario),
        warnings: warnings.iter().map(draw).collect(),
        account,
        does_not_apply,
    })
}

/// As miette draws it, for standard error: colours and box characters only where that shows them.
pub(crate) fn draw(problem: &Problem) -> String {
    format!("{:?}", problem.report()).trim_end().to_owned()
}
