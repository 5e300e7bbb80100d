//! The output formats: pretty tables, tab-separated values, JSON as Python spaces it, YAML.

use clap::ValueEnum;
use pgdrill_agent::rest::python_json;
use serde_json::{Map, Value};

use super::{
    table::{Align, Table},
    yaml,
};

/// How something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table for people
    Pretty,
    /// Tab-separated values with a line of headings
    Tsv,
    /// A list of objects
    Json,
    /// The same as YAML
    #[value(alias = "yml")]
    Yaml,
}

/// A column: how it is called in every format, and how it is set in tables.
pub(super) type Column<'a> = (&'a str, Align);

/// Rows of values under columns. `skip_empty` leaves empty fields out of JSON and YAML.
pub(super) fn rows(format: Format, columns: &[Column<'_>], rows: &[Vec<Value>], skip_empty: bool) -> String {
    match format {
        Format::Pretty => table(String::new(), columns, rows).draw(),
        Format::Tsv => {
            let headings = columns.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
            let lines = rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>());
            let lines = std::iter::once(headings).filter(|line| !line.is_empty()).chain(lines);
            lines.map(|line| line.join("\t") + "\n").collect()
        }
        Format::Json => python_json(&objects(columns, rows, skip_empty)) + "\n",
        Format::Yaml => yaml::block(&objects(columns, rows, skip_empty)),
    }
}

/// A table of the same.
pub(super) fn table(title: String, columns: &[Column<'_>], rows: &[Vec<Value>]) -> Table {
    Table {
        title,
        columns: columns.iter().map(|(name, align)| ((*name).to_owned(), *align)).collect(),
        rows: rows.iter().map(|row| row.iter().map(text).collect()).collect(),
    }
}

fn objects(columns: &[Column<'_>], rows: &[Vec<Value>], skip_empty: bool) -> Value {
    let object = |row: &Vec<Value>| {
        let fields = columns.iter().zip(row).filter(|(_, value)| !skip_empty || !text(value).is_empty());
        Value::Object(fields.map(|((name, _), value)| ((*name).to_owned(), value.clone())).collect::<Map<_, _>>())
    };
    rows.iter().map(object).collect()
}

/// A value in a cell.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_) => python_json(value),
        other => other.to_string(),
    }
}
