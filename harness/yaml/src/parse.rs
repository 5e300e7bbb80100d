//! From text to a tree, within limits: a file that somebody was sent must not take the machine down.

use std::path::Path;

use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};

use crate::{
    node::{Node, Place, Value},
    problem::Problem,
    source::Source,
};

/// What a file is expected to be.
#[derive(Clone, Copy, Debug)]
pub struct Document {
    /// The kind: `scenario`.
    pub what: &'static str,
    /// What is at its top level, for the one who gives an empty file: `fields: name, about, ...`.
    pub fields: &'static str,
    /// Whether it is read by programs that know YAML 1.1 only: `<<` merges a group into another, and `0644` is octal.
    pub yaml_1_1: bool,
}

/// Reads the text of a file into a tree.
///
/// # Errors
/// When it is no YAML, holds more than a file that a person wrote does, or is no group of fields.
pub fn parse(file: &Path, text: &str, document: Document) -> Result<Node, Box<Problem>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_documents: 1,
            max_nodes: 100_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: if document.yaml_1_1 { 1_000 } else { 0 },
        },
        // A key that is there twice is our own complaint: with both places, and beside all others.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: if document.yaml_1_1 { MergeKeyPolicy::Merge } else { MergeKeyPolicy::AsOrdinary },
        legacy_octal_numbers: document.yaml_1_1,
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 16,
        },
        // Only `true` and `false` are booleans: `on`, `off`, `no` stay the words they are.
        strict_booleans: true,
        with_snippet: false,
    };
    let node: Node = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Box::new(broken(file, text, &error, document.what)))?;
    let found = match node.value {
        Value::Map(_) => return Ok(node),
        Value::Null => "an empty file",
        Value::List(_) => "a list",
        // What it says may be a secret that somebody keeps in a file.
        _ => "a single value",
    };
    Err(Box::new(Problem::of_file(file.into(), found, document.fields)))
}

fn broken(file: &Path, text: &str, error: &serde_saphyr::Error, what: &str) -> Problem {
    let error = error.without_snippet();
    let (found, expected, help) = explain(error, what);
    let number = |n: u64| usize::try_from(n).unwrap_or(0);
    let (line, column) = error.location().map_or((0, 0), |at| (number(at.line()), number(at.column())));
    let place = Place { line, column, width: 1, ..Place::default() };
    let excerpt = Source::new(file.into(), text).excerpt(place);
    Problem {
        line,
        column,
        help,
        excerpt: excerpt.text,
        mark: excerpt.mark,
        width: excerpt.width,
        ..Problem::of_file(file.into(), found, expected)
    }
}

/// What the parser found, what would be right, and what to do about it.
fn explain(error: &serde_saphyr::Error, what: &str) -> (String, String, String) {
    use serde_saphyr::Error;
    match error {
        Error::MultipleDocuments { .. } => {
            ("a second YAML document".into(), format!("one {what} a file"), "remove `---` and what follows it".into())
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => (
            "aliases (`*name`) that stand for far more YAML than the file holds".into(),
            "at most 20,000 values behind aliases".into(),
            "write the values out".into(),
        ),
        Error::Budget { breach, .. } => (
            format!("more than a {what} may hold: {breach:?}"),
            "at most 32 levels, 100,000 values, 1,000 aliases, one document".into(),
            String::new(),
        ),
        // What went wrong behind an alias.
        Error::AliasError { error, .. } => explain(error, what),
        Error::UnknownAnchor { .. } => (
            "an alias (`*name`) of nothing".into(),
            "an anchor (`&name`) before it".into(),
            "quote a text that starts with *".into(),
        ),
        // What they quote is from the file, and may be a secret.
        Error::SerdeInvalidType { .. }
        | Error::SerdeInvalidValue { .. }
        | Error::NonFiniteFloat { .. }
        | Error::DuplicateMappingKey { .. } => (
            "a value that no setting has".into(),
            "a text, a number, true, false, a list or a group".into(),
            String::new(),
        ),
        other => (format!("no valid YAML: {}", first_line(&other.to_string())), "YAML".into(), String::new()),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}
