//! From YAML to a scenario, or to everything that is wrong with it.

mod action;
mod cluster;
mod expect;
mod link;
mod step;
pub(super) mod words;
mod workload;

use std::path::Path;

pub(super) use action::{KEYWORDS, PROCESSES, STARTABLE};
use pgdrill_yaml::on_one_line;
pub(crate) use pgdrill_yaml::{At, Fields, Node, Reader, Value, did_you_mean, one_of};

use super::{Scenario, quantity::Span};

/// What is expected of a scenario file.
pub(crate) const SCENARIO: pgdrill_yaml::Document =
    pgdrill_yaml::Document { what: "scenario", fields: "fields: name, about, cluster, timeline, ...", yaml_1_1: false };

/// How a time is to be written, for messages.
pub(crate) const TIME: &str = "a time with its unit, such as 30s, 1.5s, 200ms or 2m";

/// Reads the fields of a scenario. What could not be read is replaced by its default; the reader holds the problems then.
pub(crate) fn scenario(reader: &mut Reader<'_>, root: &Node, source: &Path) -> Scenario {
    let at = At { node: root, path: String::new() };
    let mut fields = reader.fields(&at);
    let stem = source.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name =
        fields.require(reader, "name", &format!("{stem:?}, as the file is named")).map(|at| name(reader, &at, &stem));
    let about = fields.require(reader, "about", "one sentence that says what the scenario shows");
    let about = about.and_then(|at| sentence(reader, &at));
    let cluster = fields.take("cluster").map(|at| cluster::cluster(reader, &at)).unwrap_or_default();
    let workload = fields.take("workload").map(|at| workload::workload(reader, &at)).unwrap_or_default();
    let timeline = fields.take("timeline").map(|at| step::timeline(reader, &at)).unwrap_or_default();
    let expect = fields.take("expect").map(|at| expect::expect(reader, &at)).unwrap_or_default();
    let duration = fields.require(reader, "duration", TIME).and_then(|at| positive(reader, &at));
    fields.finish(reader);
    Scenario {
        name: name.unwrap_or(stem),
        about: about.unwrap_or_default(),
        cluster,
        workload,
        timeline,
        expect,
        // Without a readable duration no event is after its end.
        duration: duration.unwrap_or(Span(std::time::Duration::MAX)),
        source: source.to_owned(),
    }
}

fn name(reader: &mut Reader<'_>, at: &At<'_>, stem: &str) -> String {
    let text = reader.text(at, "the scenario's name").unwrap_or_default();
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.chars().all(legal) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        reader.wrong(at, "lower-case letters, digits and -, beginning with a letter");
    } else if text != stem {
        reader.wrong(at, format!("{stem:?}, as the file is named")).help =
            "name and file must agree: reports and `pgdrill run` find a scenario by either".into();
    }
    text
}

fn sentence(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let text = reader.text(at, "one sentence that says what the scenario shows")?;
    if text.trim().is_empty() {
        reader.wrong(at, "one sentence that says what the scenario shows");
    } else if on_one_line(text.trim()) != text.trim() {
        reader.wrong(at, "one sentence in one line, without control characters").help =
            "lists and reports print it to terminals".into();
    }
    Some(text.trim().to_owned())
}

/// No time of a scenario is longer: a longer one is a slip of the pen, and would be waited for.
pub(crate) const LONGEST: Span = Span::from_secs(24 * 60 * 60);

/// A time, of a day at most.
pub(crate) fn span(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Span> {
    let span: Span = reader.parsed(at, TIME)?;
    not_too_long(reader, at, span).then_some(span)
}

/// Whether a time is within [`LONGEST`]; else that is noted.
fn not_too_long(reader: &mut Reader<'_>, at: &At<'_>, span: Span) -> bool {
    if span <= LONGEST {
        return true;
    }
    reader.wrong(at, "at most 24h").help = "it would be waited for: no cluster is put through more than a day".into();
    false
}

/// A time longer than nothing.
pub(crate) fn positive(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Span> {
    let span = span(reader, at)?;
    if span == Span::ZERO {
        reader.wrong(at, "a time longer than 0s");
    }
    Some(span)
}
