//! Reads fields strictly and collects everything that is wrong, so that one look at the messages mends the whole file.

use std::{
    collections::BTreeMap,
    fmt::Display,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    node::{Key, Node, Place, Value, quoted},
    problem::{Problem, Severity},
    secret,
    source::{Cover, Source},
};

/// Collects the problems of one file, or of several that are read together.
#[derive(Debug)]
pub struct Reader<'t> {
    /// Names and texts, in the order that [`Place::source`] counts.
    sources: Vec<Source<'t>>,
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
        let sources = sources.into_iter().map(|(file, text)| Source::new(file, text)).collect();
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
        self.sources.first().map_or(Path::new(""), |source| &source.file)
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
        let found = self.describe(at.node);
        self.problem(at.node.place, &at.path, found, expected)
    }

    /// What a value is, for messages: `"30s"`, `a list`. Of a secret nothing is told.
    #[must_use]
    pub fn describe(&self, node: &Node) -> String {
        let single = matches!(node.value, Value::Bool(_) | Value::Number(_) | Value::Text(_));
        if single && self.cover(node.place) == Cover::Hidden {
            return "a value that is not shown".into();
        }
        node.describe()
    }

    /// The path of a field that is told by its own name, which may be a secret in the wrong place.
    #[must_use]
    pub fn field(&self, at: &At<'_>, key: &Key) -> String {
        match self.cover(key.place) {
            Cover::Hidden => at.field(secret::HIDDEN),
            _ => at.field(&key.name),
        }
    }

    fn cover(&self, place: Place) -> Cover {
        self.sources.get(place.source).map_or(Cover::Open, |source| source.cover(place))
    }

    /// A field's name in quotes, for messages, without the secret that somebody may have written in its place: `"password:********"`.
    #[must_use]
    pub fn name(&self, key: &Key) -> String {
        match self.cover(key.place) {
            Cover::Hidden => format!("{:?}", secret::HIDDEN),
            _ => quoted(&secret::without(&key.name)),
        }
    }

    /// Notes a problem at a place.
    pub fn problem(
        &mut self,
        place: Place,
        field: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> &mut Problem {
        let problem = match self.sources.get(place.source) {
            None => Problem::of_file(PathBuf::new(), found, expected),
            Some(source) => {
                let excerpt = source.excerpt(place);
                let cover = if place.line > 0 { source.cover(place) } else { Cover::Open };
                let found = if cover == Cover::Open { found.into() } else { without_secret(cover, found.into()) };
                Problem {
                    line: place.line,
                    column: place.column,
                    field: shortened(secret::without(field).into_owned()),
                    severity: self.severity,
                    excerpt: excerpt.text,
                    mark: excerpt.mark,
                    width: excerpt.width,
                    ..Problem::of_file(source.file.clone(), found, expected)
                }
            }
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
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (key, _) in entries {
            let Some(first) = seen.get(key.name.as_str()) else {
                seen.insert(&key.name, key.place.line);
                continue;
            };
            let found = format!("the field {} a second time", self.name(key));
            let help = format!("it is in line {first} already; remove one of them");
            let path = self.field(at, key);
            self.problem(key.place, &path, found, "every field once").help = help;
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
                // It may quote the text.
                let is_open = self.cover(at.node.place) == Cover::Open;
                self.wrong(at, expected).help = if is_open { why } else { String::new() };
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
        // What a secret is close to says something about it.
        let is_open = self.cover(at.node.place) == Cover::Open;
        let hint = if is_open { did_you_mean(&text, names.iter().copied()) } else { String::new() };
        self.wrong(at, one_of(&names)).help = hint;
        None
    }
}

/// Leaves out of what was found what may not be shown of the name or value that it quotes.
fn without_secret(cover: Cover, found: String) -> String {
    match (found.find('"'), found.rfind('"')) {
        (Some(open), Some(close)) if open < close => {
            let quoted = &found[open + 1..close];
            let shown = if cover == Cover::Hidden { secret::HIDDEN.into() } else { secret::without(quoted) };
            format!("{}{shown}{}", &found[..=open], &found[close..])
        }
        _ => found,
    }
}

/// A path that somebody can read; longer ones are those of names that nobody has.
fn shortened(path: String) -> String {
    const LONGEST: usize = 200;
    match path.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &path[..at]),
        None => path,
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
        /// Of more, only the number is told: such a group is something else altogether.
        const TOLD: usize = 10;
        let expected = one_of(&self.known);
        for (key, _) in self.entries.iter().take(TOLD) {
            let path = reader.field(&self.at, key);
            let found = format!("the field {}", reader.name(key));
            let problem = reader.problem(key.place, &path, found, expected.clone());
            problem.help = did_you_mean(&key.name, self.known.iter().copied());
        }
        if let Some((key, _)) = self.entries.get(TOLD) {
            let more = self.entries.len() - TOLD;
            reader.problem(key.place, &self.at.path, format!("{more} more fields that are not known"), expected);
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
    /// Nobody means a name with something so long.
    const LONGEST: usize = 64;
    if found.len() > LONGEST {
        return String::new();
    }
    let best = names.map(|name| (strsim::damerau_levenshtein(found, name), name)).min();
    match best {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("did you mean {name}?"),
        _ => String::new(),
    }
}
