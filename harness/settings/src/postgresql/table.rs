//! The table of parameters.

use std::{collections::BTreeMap, sync::OnceLock};

use serde_json::Value;

use super::controlled;
use crate::value;

const TABLE: &str = include_str!("parameters.tsv");

/// What a parameter's value may be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A switch.
    Bool,
    /// A whole number.
    Integer(Range),
    /// A number.
    Real(Range),
    /// One of these words.
    Words(Vec<&'static str>),
    /// A switch, or one of these words.
    SwitchOrWords(Vec<&'static str>),
    /// Any text.
    Text,
}

/// From where to where, in which unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub least: f64,
    pub most: f64,
    pub unit: Option<&'static str>,
}

/// A parameter, as some versions have it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub kind: Kind,
    /// The first version that has it so; `None`: one that pgdrill knows nothing of, or the first of all.
    pub since: Option<&'static str>,
    /// The first version that has it no more, or not so.
    pub removed_in: Option<&'static str>,
    /// Whether it is one of a standby or a recovery.
    pub recovery: bool,
}

impl Row {
    /// Whether a version that pgdrill works with has it.
    fn is_current(&self) -> bool {
        self.removed_in.is_none_or(|version| version.parse::<f32>().is_ok_and(|version| version > 13.0))
    }

    /// Whether this version has it so.
    fn is_of(&self, major: u16) -> bool {
        let number = |version: &str| version.parse::<f32>().unwrap_or(f32::INFINITY);
        self.since.is_none_or(|since| number(since) <= f32::from(major))
            && self.removed_in.is_none_or(|gone| f32::from(major) < number(gone))
    }
}

type Table = BTreeMap<String, Vec<Row>>;

fn table() -> &'static Table {
    static PARSED: OnceLock<Table> = OnceLock::new();
    PARSED.get_or_init(|| {
        let mut table = Table::new();
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let (name, row) = parse(line).unwrap_or_else(|| panic!("parameters.tsv: {line}"));
            table.entry(name.to_lowercase()).or_default().push(row);
        }
        table
    })
}

fn parse(line: &'static str) -> Option<(&'static str, Row)> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [section, name, kind, since, removed_in, least, most, unit, words] = fields[..] else { return None };
    let set = |text: &'static str| (!text.is_empty()).then_some(text);
    let range = || Some(Range { least: least.parse().ok()?, most: most.parse().ok()?, unit: set(unit) });
    let words = || words.split(',').collect();
    let kind = match kind {
        "bool" => Kind::Bool,
        "integer" => Kind::Integer(range()?),
        "real" => Kind::Real(range()?),
        "enum" => Kind::Words(words()),
        "enumbool" => Kind::SwitchOrWords(words()),
        "string" => Kind::Text,
        _ => return None,
    };
    Some((name, Row { kind, since: set(since), removed_in: set(removed_in), recovery: section == "recovery" }))
}

/// How the versions that pgdrill works with have a parameter; names in any case, as PostgreSQL takes them.
pub(super) fn rows(name: &str) -> impl Iterator<Item = &'static Row> {
    table().get(&name.to_lowercase()).into_iter().flatten().filter(|row| row.is_current())
}

/// How one version has it; nothing if it does not.
pub(super) fn row_of(name: &str, major: u16) -> Option<&'static Row> {
    rows(name).find(|row| row.is_of(major))
}

/// Every name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    table().iter().filter(|(_, rows)| rows.iter().any(Row::is_current)).map(|(name, _)| name.as_str())
}

/// Whether PostgreSQL has a parameter of that name. Names with a dot are those of extensions, of which any may exist.
#[must_use]
pub fn exists(name: &str) -> bool {
    name.contains('.') || rows(name).next().is_some()
}

/// Whether it is one of a standby or a recovery: Patroni takes those from `recovery_conf`, and writes the rest itself.
#[must_use]
pub fn is_recovery(name: &str) -> bool {
    table().get(&name.to_lowercase()).is_some_and(|rows| rows.iter().any(|row| row.recovery))
}

/// The version that has removed a parameter, if none that pgdrill works with has it: `13`.
#[must_use]
pub fn removed_in(name: &str) -> Option<&'static str> {
    let rows = table().get(&name.to_lowercase())?;
    let gone = rows.iter().all(|row| !row.is_current());
    rows.last().filter(|_| gone).and_then(|row| row.removed_in)
}

/// The sections of a `patroni.yml` in which a parameter of that name counts.
pub fn sections_of(name: &str) -> Vec<&'static str> {
    match name {
        "listen_addresses" | "port" | "cluster_name" => vec![],
        _ if is_recovery(name) => vec!["bootstrap.dcs.postgresql.recovery_conf", "postgresql.recovery_conf"],
        _ if controlled::FROM_DCS_ONLY.contains(&name) => vec!["bootstrap.dcs.postgresql.parameters"],
        _ if rows(name).next().is_some() => vec!["bootstrap.dcs.postgresql.parameters", "postgresql.parameters"],
        _ => vec![],
    }
}

impl Kind {
    /// Whether a value is one of the kind at all, and what it comes to if it is a number.
    pub(super) fn read(&self, value: &Value) -> Option<Option<f64>> {
        let is_one_of = |words: &[&str]| {
            let word = value.as_str().map_or_else(|| value.to_string(), str::to_owned).to_lowercase();
            words.contains(&word.as_str())
        };
        match self {
            Self::Bool => value::switch(value).map(|_| None),
            #[allow(clippy::cast_precision_loss)] // no limit is that large
            Self::Integer(range) => value::integer(value, range.unit).map(|number| Some(number as f64)),
            Self::Real(range) => value::real(value, range.unit).map(Some),
            Self::Words(words) => is_one_of(words).then_some(None),
            Self::SwitchOrWords(words) => (is_one_of(words) || value::switch(value).is_some()).then_some(None),
            Self::Text => Some(None),
        }
    }

    /// Its range, if it has one.
    pub(super) const fn range(&self) -> Option<Range> {
        match self {
            Self::Integer(range) | Self::Real(range) => Some(*range),
            Self::Bool | Self::Words(_) | Self::SwitchOrWords(_) | Self::Text => None,
        }
    }

    /// What would be right.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Bool => "on or off".into(),
            Self::Integer(range) => format!("a whole number{}", range.said()),
            Self::Real(range) => format!("a number{}", range.said()),
            Self::Words(words) => one_of(words),
            Self::SwitchOrWords(words) => {
                one_of(&["on", "off"].into_iter().chain(words.iter().copied()).collect::<Vec<_>>())
            }
            Self::Text => "a text".into(),
        }
    }
}

impl Range {
    /// `, at least 64 (in kB), or a size such as 64MB`.
    fn said(&self) -> String {
        let (least, unit) = (self.least, self.unit);
        // The ends of the numbers themselves say nothing.
        let ends = if self.most >= 1_073_741_823.0 {
            format!("at least {least}")
        } else {
            format!("from {least} to {}", self.most)
        };
        match unit {
            Some(unit) if unit.ends_with('B') => format!(", {ends} (in {unit}), or a size such as 64MB"),
            Some(unit) => format!(", {ends} (in {unit}), or a time such as 30{unit}"),
            None => format!(", {ends}"),
        }
    }
}

fn one_of(words: &[&str]) -> String {
    let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        other => other.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole() {
        assert!(names().count() > 350, "{}", names().count());
        assert!(exists("Work_Mem") && exists("pg_stat_statements.max") && !exists("wokr_mem"));
        assert_eq!((removed_in("checkpoint_segments"), removed_in("wal_keep_segments")), (Some("9.6"), Some("13")));
        assert_eq!((removed_in("work_mem"), removed_in("nonsense")), (None, None));
        assert!(is_recovery("primary_conninfo") && !is_recovery("wal_level"));
        // Three of them changed with a version, and both ways to have them are legal.
        assert_eq!(rows("wal_compression").count(), 2);
    }
}
