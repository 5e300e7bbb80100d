//! Reads the links of a fault, and selectors.

use super::{At, Fields, Reader, did_you_mean};
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
            let hint = did_you_mean(&text, Selector::phrases());
            reader.wrong(at, expected).help = if hint.is_empty() { why } else { hint };
            None
        }
    }
}

/// The fields of a link among those of a fault.
pub(super) fn link(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Link> {
    let between = fields.take("between");
    let (from, to) = (fields.take("from"), fields.take("to"));
    let (isolate, only) = (fields.take("isolate"), fields.take("only"));
    let at = fields.at.clone();
    let spellings = [between.is_some(), from.is_some() || to.is_some(), isolate.is_some()];
    if spellings.iter().filter(|given| **given).count() != 1 || (only.is_some() && isolate.is_none()) {
        reader.wrong(&at, LINK).help = "exactly one of the three; `only` goes with isolate".into();
        return None;
    }
    if let Some(between) = between {
        let sides = reader.items(&between);
        let found: Vec<_> = sides.iter().filter_map(|side| selector(reader, side)).collect();
        if sides.len() != 2 {
            reader.wrong(&between, "two sides: [A, B]").help =
                "several hosts on one side are joined by +: [leader, replicas + etcd]".into();
        }
        return <[Selector; 2]>::try_from(found).ok().map(|between| Link::Between { between });
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
