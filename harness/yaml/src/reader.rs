//! Reads fields strictly and collects everything that is wrong, so that one look at the messages mends the whole file.

use std::{
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    node::{Key, Node, Place, Value},
    parse,
    problem::{Problem, Severity},
};

/// Collects the problems of one file, or of several that are read together.
#[derive(Debug)]
pub struct Reader<'t> {
    /// Names and texts, in the order that [`Place::source`] counts.
    sources: Vec<(PathBuf, &'t str)>,
    /// Whether problems are errors, or warnings about a file that Patroni itself would accept.
    severity: Severity,
    /// What was found so far.
    pub problems: Vec<Problem>,
}

/// A value and the path that leads to it.
#[derive(Clone, Debug)]
pub struct At<'n> {
    /// The value.
    pub node: &'n Node,
    /// The path: `timeline[2].cut`.
    pub path: String,
}

impl At<'_> {
    /// The path of a field below it.
    #[must_use]
    pub fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

impl<'t> Reader<'t> {
    /// A reader of one file, for which every problem is an error.
    #[must_use]
    pub fn new(file: PathBuf, text: &'t str) -> Self {
        Self::of_all(vec![(file, text)])
    }

    /// A reader of several files; [`Place::source`] says which a value is from.
    #[must_use]
    pub fn of_all(sources: Vec<(PathBuf, &'t str)>) -> Self {
        Self { sources, severity: Severity::Error, problems: Vec::new() }
    }

    /// For a user's own `patroni.yml`: whatever is wrong with it is a warning, because Patroni would start with it.
    #[must_use]
    pub fn of_patroni_yml(file: PathBuf, text: &'t str) -> Self {
        Self { severity: Severity::Warning, ..Self::new(file, text) }
    }

    /// The file that is read; of several, the first.
    #[must_use]
    pub fn file(&self) -> &Path {
        self.sources.first().map_or(Path::new(""), |(file, _)| file)
    }

    /// What `read` complains of are warnings.
    pub fn warning<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.severity, Severity::Warning);
        let result = read(self);
        self.severity = before;
        result
    }

    /// Notes a problem with a value.
    pub fn wrong(&mut self, at: &At<'_>, expected: impl Into<String>) -> &mut Problem {
        self.problem(at.node.place, &at.path, at.node.describe(), expected)
    }

    /// Notes a problem at a place.
    pub fn problem(
        &mut self,
        place: Place,
        field: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> &mut Problem {
        let (file, text) = self.sources.get(place.source).cloned().unwrap_or_default();
        let problem = Problem {
            line: place.line,
            column: place.column,
            field: field.to_owned(),
            severity: self.severity,
            excerpt: parse::excerpt(text, place.line),
            width: place.width,
            ..Problem::of_file(file, found, expected)
        };
        self.problems.push(problem);
        self.problems.last_mut().expect("one was pushed in the line before")
    }

    /// The fields of a group; a problem and none when it is something else.
    pub fn fields<'n>(&mut self, at: &At<'n>) -> Fields<'n> {
        let entries = match &at.node.value {
            Value::Map(entries) => entries.iter().map(|(key, node)| (key, node)).collect(),
            _ => {
                self.wrong(at, "a group of fields");
                Vec::new()
            }
        };
        self.refuse_duplicates(&entries, at);
        Fields { at: at.clone(), entries, known: Vec::new() }
    }

    fn refuse_duplicates(&mut self, entries: &[(&Key, &Node)], at: &At<'_>) {
        for (n, (key, _)) in entries.iter().enumerate() {
            if let Some((first, _)) = entries[..n].iter().find(|(earlier, _)| earlier.name == key.name) {
                let found = format!("the field {:?} a second time", key.name);
                let help = format!("it is in line {} already; remove one of them", first.place.line);
                self.problem(key.place, &at.field(&key.name), found, "every field once").help = help;
            }
        }
    }

    /// The items of a list.
    pub fn items<'n>(&mut self, at: &At<'n>) -> Vec<At<'n>> {
        match &at.node.value {
            Value::List(items) => {
                let at = |(n, node)| At { node, path: format!("{}[{n}]", at.path) };
                items.iter().enumerate().map(at).collect()
            }
            _ => {
                self.wrong(at, "a list");
                Vec::new()
            }
        }
    }

    /// A text.
    pub fn text(&mut self, at: &At<'_>, expected: &str) -> Option<String> {
        match &at.node.value {
            Value::Text(text) => Some(text.clone()),
            _ => {
                self.wrong(at, expected);
                None
            }
        }
    }

    /// A value that is written as text with a unit or in words; a bare number is handed to its parser as it is written.
    pub fn parsed<T: FromStr<Err = String>>(&mut self, at: &At<'_>, expected: &str) -> Option<T> {
        let text = match &at.node.value {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => {
                self.wrong(at, expected);
                return None;
            }
        };
        match text.trim().parse() {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(at, expected).help = why;
                None
            }
        }
    }

    /// A whole number within a range.
    pub fn integer<T: TryFrom<i64>>(&mut self, at: &At<'_>, range: RangeInclusive<i64>, unit: &str) -> Option<T> {
        let number = match &at.node.value {
            Value::Number(number) => number.as_i64(),
            _ => None,
        };
        if let Some(number) = number.filter(|n| range.contains(n)) {
            return T::try_from(number).ok();
        }
        let unit = if unit.is_empty() { String::new() } else { format!(" ({unit})") };
        let expected = match (*range.start(), *range.end()) {
            (from, i64::MAX) => format!("a whole number{unit}, at least {from}"),
            (from, to) => format!("a whole number{unit} from {from} to {to}"),
        };
        self.wrong(at, expected);
        None
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, at: &At<'_>) -> Option<bool> {
        match &at.node.value {
            Value::Bool(flag) => Some(*flag),
            _ => {
                self.wrong(at, "true or false");
                None
            }
        }
    }

    /// One of some words.
    pub fn word<T: Copy>(&mut self, at: &At<'_>, words: &[(&str, T)]) -> Option<T> {
        let text = match &at.node.value {
            Value::Text(text) => text.clone(),
            // `mode: false` is what another YAML tool makes of `mode: off`.
            Value::Bool(false) if words.iter().any(|(word, _)| *word == "off") => "off".into(),
            Value::Bool(true) if words.iter().any(|(word, _)| *word == "on") => "on".into(),
            _ => at.node.describe(),
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.wrong(at, one_of(&names)).help = did_you_mean(&text, names.iter().copied());
        None
    }
}

/// The fields of a group, being read one by one.
#[derive(Debug)]
pub struct Fields<'n> {
    /// The group.
    pub at: At<'n>,
    entries: Vec<(&'n Key, &'n Node)>,
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The field of that name, if it is there.
    pub fn take(&mut self, name: &'static str) -> Option<At<'n>> {
        self.known.push(name);
        let (_, node) = *self.entries.iter().find(|(key, _)| key.name == name)?;
        // All of that name: a second one was complained of when the group was opened.
        self.entries.retain(|(key, _)| key.name != name);
        Some(At { node, path: self.at.field(name) })
    }

    /// The field of that name, if it is there and not `null`; whoever reads it may still take it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<At<'n>> {
        let (_, node) = *self.entries.iter().find(|(key, node)| key.name == name && node.value != Value::Null)?;
        Some(At { node, path: self.at.field(name) })
    }

    /// As [`Self::take`]; a field that is `null` counts as one that is not there.
    pub fn take_set(&mut self, name: &'static str) -> Option<At<'n>> {
        self.take(name).filter(|at| at.node.value != Value::Null)
    }

    /// As [`Self::take`], of a field that must not be suggested to anybody.
    pub fn take_unlisted(&mut self, name: &'static str) -> Option<At<'n>> {
        let found = self.take(name);
        self.known.pop();
        found
    }

    /// The field of that name; a problem when it is missing.
    pub fn require(&mut self, reader: &mut Reader<'_>, name: &'static str, expected: &str) -> Option<At<'n>> {
        let found = self.take(name);
        if found.is_none() && matches!(self.at.node.value, Value::Map(_)) {
            let path = self.at.field(name);
            reader.problem(self.at.node.place, &path, "nothing", expected);
        }
        found
    }

    /// Leaves out the fields that are `null`: in a patch they remove a setting.
    pub fn skip_nulls(&mut self) {
        self.entries.retain(|(_, node)| node.value != Value::Null);
    }

    /// Every field that was not taken yet and is as asked for.
    pub fn take_where(&mut self, mut wanted: impl FnMut(&str, &Node) -> bool) -> Vec<At<'n>> {
        let (found, rest) = self.entries.drain(..).partition(|(key, node)| wanted(&key.name, node));
        self.entries = rest;
        let found: Vec<(&'n Key, &'n Node)> = found;
        found.into_iter().map(|(key, node)| At { node, path: self.at.field(&key.name) }).collect()
    }

    /// What has not been taken yet: names, places and values.
    #[must_use]
    pub fn rest(&self) -> &[(&'n Key, &'n Node)] {
        &self.entries
    }

    /// The names that were asked for.
    #[must_use]
    pub fn known(&self) -> &[&'static str] {
        &self.known
    }

    /// Complains about every field that nobody took.
    pub fn finish(self, reader: &mut Reader<'_>) {
        for (key, _) in &self.entries {
            let path = self.at.field(&key.name);
            let problem = reader.problem(key.place, &path, format!("the field {:?}", key.name), one_of(&self.known));
            problem.help = did_you_mean(&key.name, self.known.iter().copied());
        }
    }
}

/// `leader, replicas or any replica`.
#[must_use]
pub fn one_of(names: &[impl Display]) -> String {
    match names {
        [] => "no fields".into(),
        [one] => one.to_string(),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(ToString::to_string).collect();
            format!("{} or {last}", first.join(", "))
        }
    }
}

/// `did you mean X?` when one of the names is close to what was written; else nothing.
pub fn did_you_mean<'a>(found: &str, names: impl Iterator<Item = &'a str>) -> String {
    let best = names.map(|name| (strsim::damerau_levenshtein(found, name), name)).min();
    match best {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("did you mean {name}?"),
        _ => String::new(),
    }
}
