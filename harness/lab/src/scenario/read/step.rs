//! Reads `timeline`.

use super::{At, Reader, Value, action, did_you_mean, positive, span};
use crate::scenario::{
    limits,
    quantity::Span,
    timeline::{Repeat, Step},
};

pub(super) fn timeline(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<Step> {
    // `timeline:` with nothing behind it is a timeline without events: a run in which nothing goes wrong.
    if at.node.value == Value::Null {
        return Vec::new();
    }
    // A line that cannot be read is left out; paths come from the file's own numbering all the same.
    reader.items(at).iter().filter_map(|at| step(reader, at)).collect()
}

fn step(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Step> {
    let mut fields = reader.fields(at);
    let moment = fields.require(reader, "at", "when it happens: a time since the start, such as 40s");
    let moment = moment.and_then(|at| span(reader, &at));
    let label = fields.take("as").and_then(|at| label(reader, &at));
    let duration = fields.take("for").and_then(|at| positive(reader, &at));
    let refused = fields.take("refused").and_then(|at| reader.boolean(&at)).unwrap_or(false);
    let repeat = fields.take("repeat").and_then(|at| repeat(reader, &at));
    let found: Vec<_> = action::KEYWORDS.iter().filter_map(|keyword| Some((*keyword, fields.take(keyword)?))).collect();
    let action = match found.as_slice() {
        [(keyword, at)] => action::action(reader, keyword, at),
        [] => {
            no_action(reader, &fields);
            return None;
        }
        [(first, _), (second, at), ..] => {
            let found = format!("{first} and {second} in one line");
            reader.problem(at.node.place, &at.path, found, "one action a line").help =
                "two lines may have the same `at`; they are done in the order of the file".into();
            None
        }
    };
    fields.finish(reader);
    Some(Step { at: moment.unwrap_or(Span::ZERO), action: action?, label, duration, refused, repeat })
}

/// Nothing in the line is an action: most likely one of its fields was meant to be.
fn no_action(reader: &mut Reader<'_>, fields: &super::Fields<'_>) {
    let expected = format!("an action: {}", super::one_of(&action::KEYWORDS));
    match fields.rest().first() {
        Some((key, _)) => {
            let path = reader.field(&fields.at, key);
            let hint = super::words::action(&key.name)
                .unwrap_or_else(|| did_you_mean(&key.name, action::KEYWORDS.into_iter()));
            let found = format!("the field {}", reader.name(key));
            reader.problem(key.place, &path, found, expected).help = hint;
        }
        None if matches!(fields.at.node.value, Value::Map(_)) => {
            reader.problem(fields.at.node.place, &fields.at.path, "no action", expected);
        }
        None => {}
    }
}

fn label(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let expected = "a word of lower-case letters, digits, _ and - that is no selector";
    let text = reader.text(at, expected)?;
    match text.parse() {
        Ok(crate::scenario::selector::Selector::Label(label)) if label != "all" => Some(label),
        _ => {
            reader.wrong(at, expected);
            None
        }
    }
}

fn repeat(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Repeat> {
    let mut fields = reader.fields(at);
    let every = fields.require(reader, "every", super::TIME).and_then(|at| positive(reader, &at));
    let times =
        fields.require(reader, "times", "how often in all").and_then(|at| reader.integer(&at, limits::TIMES, "times"));
    fields.finish(reader);
    Some(Repeat { every: every?, times: times? })
}
