//! A section of a configuration file with the environment's variables over its fields.

use std::path::PathBuf;

use pgdrill_settings::value::switch;
use pgdrill_yaml::{At, Node, Problem, Reader, Value, without_secrets};

/// A section; it may not be in the file at all.
pub(super) struct Section<'a> {
    at: Option<At<'a>>,
    /// What the variables over its fields begin with: `PATRONI_ETCD3`.
    prefix: String,
    var: &'a dyn Fn(&str) -> Option<String>,
}

/// Where a field's value is from.
pub(super) enum Given<'a> {
    File(At<'a>),
    Variable { name: String, value: String },
}

impl<'a> Section<'a> {
    /// The whole file.
    pub fn root(root: &'a Node, var: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { at: Some(At { node: root, path: String::new() }), prefix: "PATRONI".into(), var }
    }

    /// A section of it.
    pub fn section(&self, reader: &mut Reader<'_>, name: &str) -> Self {
        let at = self.in_file(name).filter(|at| is_group(reader, at));
        Self { at, prefix: format!("{}_{}", self.prefix, name.to_uppercase()), var: self.var }
    }

    /// Its `authentication`, whose variables are named as if its fields were the section's own.
    pub fn users(&self, reader: &mut Reader<'_>) -> Self {
        let at = self.in_file("authentication").filter(|at| is_group(reader, at));
        Self { at, prefix: self.prefix.clone(), var: self.var }
    }

    fn in_file(&self, name: &str) -> Option<At<'a>> {
        let at = self.at.as_ref()?;
        let node = at.node.get(name).filter(|node| node.value != Value::Null)?;
        Some(At { node, path: at.field(name) })
    }

    /// Where a field's value is from, if it has one.
    pub fn given(&self, name: &str) -> Option<Given<'a>> {
        let variable = format!("{}_{}", self.prefix, name.to_uppercase());
        match (self.var)(&variable) {
            Some(value) => Some(Given::Variable { name: variable, value }),
            None => self.in_file(name).map(Given::File),
        }
    }

    /// A field's value as text; that of a list with commas between its items.
    pub fn text(&self, reader: &mut Reader<'_>, name: &str, expected: &str) -> Option<String> {
        let at = match self.given(name)? {
            Given::Variable { value, .. } => return Some(value),
            Given::File(at) => at,
        };
        match &at.node.value {
            Value::List(_) => {
                let items = reader.items(&at);
                let texts: Vec<_> = items.iter().filter_map(|item| single(reader, item, expected)).collect();
                Some(texts.join(","))
            }
            _ => single(reader, &at, expected),
        }
    }

    /// A field's value as a switch, in every spelling that Patroni takes; without one it is off.
    pub fn switch(&self, reader: &mut Reader<'_>, name: &str) -> bool {
        let Some(given) = self.given(name) else { return false };
        let value = match &given {
            Given::Variable { value, .. } => value.as_str().into(),
            Given::File(at) => at.node.to_json(),
        };
        switch(&value).unwrap_or_else(|| {
            self.misread(reader, &given, "true or false");
            false
        })
    }

    /// Notes a problem with a field's value; `found` is what may be said of it.
    pub fn wrong<'r>(
        &self,
        reader: &'r mut Reader<'_>,
        at: &Given<'_>,
        found: String,
        expected: &str,
    ) -> &'r mut Problem {
        match at {
            Given::File(at) => reader.problem(at.node.place, &at.path, found, expected),
            Given::Variable { name, .. } => {
                reader.problems.push(Problem::of_file(PathBuf::from(name), found, expected));
                reader.problems.last_mut().expect("one was pushed in the line before")
            }
        }
    }

    /// Notes that a field's value is not what it should be.
    pub fn misread<'r>(&self, reader: &'r mut Reader<'_>, at: &Given<'_>, expected: &str) -> &'r mut Problem {
        let found = match at {
            Given::File(at) => reader.describe(at.node),
            Given::Variable { value, .. } => format!("{:?}", without_secrets(value)),
        };
        self.wrong(reader, at, found, expected)
    }
}

fn is_group(reader: &mut Reader<'_>, at: &At<'_>) -> bool {
    let is_group = matches!(at.node.value, Value::Map(_));
    if !is_group {
        reader.wrong(at, "a group of fields");
    }
    is_group
}

fn single(reader: &mut Reader<'_>, at: &At<'_>, expected: &str) -> Option<String> {
    match &at.node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => {
            reader.wrong(at, expected);
            None
        }
    }
}
