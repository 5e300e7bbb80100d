//! Reads the links of a fault, and selectors.

use super::{At, Fields, Reader, Value, did_you_mean};
use crate::scenario::{
    selector::Selector,
    timeline::{Direction, Link},
};

const LINK: &str = "between: [A, B], or from: A and to: B, or isolate: A";

/// A selector; whether it can match anything is checked when the whole file has been read.
pub(super) fn selector(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Selector> {
    let expected = "hosts: leader, replicas, any replica, pg2, etcd, etcd leader, zone a, a label, ...";
    let text = reader.text(at, expected)?;
    match text.trim().parse() {
        Ok(selector) => Some(selector),
        Err(why) => {
            let hint = super::words::selector(&text).unwrap_or_else(|| did_you_mean(&text, Selector::phrases()));
            reader.wrong(at, expected).help = if hint.is_empty() { why } else { hint };
            None
        }
    }
}

/// A cut's links: `leader` is short for `{ isolate: leader }`, `[leader, etcd]` for `{ between: [leader, etcd] }`.
pub(super) fn links(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Link> {
    match &at.node.value {
        Value::Text(_) => selector(reader, at).map(|isolate| Link::Isolate { isolate, only: None }),
        Value::List(_) => between(reader, at),
        _ => {
            let mut fields = reader.fields(at);
            let link = link(reader, &mut fields);
            fields.finish(reader);
            link
        }
    }
}

fn between(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Link> {
    let sides = reader.items(at);
    let found: Vec<_> = sides.iter().filter_map(|side| selector(reader, side)).collect();
    if sides.len() != 2 {
        reader.wrong(at, "two sides: [A, B]").help =
            "several hosts on one side are joined by +: [leader, replicas + etcd]".into();
    }
    <[Selector; 2]>::try_from(found).ok().map(|between| Link::Between { between })
}

/// The fields of a link among those of a fault.
pub(super) fn link(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Link> {
    let between_field = fields.take("between");
    let (from, to) = (fields.take("from"), fields.take("to"));
    let (isolate, only) = (fields.take("isolate"), fields.take("only"));
    let at = fields.at.clone();
    let spellings = [between_field.is_some(), from.is_some() || to.is_some(), isolate.is_some()];
    if spellings.iter().filter(|given| **given).count() != 1 || (only.is_some() && isolate.is_none()) {
        reader.wrong(&at, LINK).help = "exactly one of the three; `only` goes with isolate".into();
        return None;
    }
    if let Some(sides) = between_field {
        return between(reader, &sides);
    }
    if let Some(isolate) = isolate {
        let words = [("inbound", Direction::Inbound), ("outbound", Direction::Outbound)];
        let only = only.and_then(|at| reader.word(&at, &words));
        return selector(reader, &isolate).map(|isolate| Link::Isolate { isolate, only });
    }
    if from.is_none() || to.is_none() {
        reader.wrong(&at, "both from and to");
    }
    Some(Link::OneWay { from: selector(reader, &from?)?, to: selector(reader, &to?)? })
}
