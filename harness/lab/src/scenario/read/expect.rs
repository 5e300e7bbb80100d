//! Reads `expect`.

use super::{At, Reader, Value, did_you_mean, one_of, span};
use crate::scenario::{
    expect::{Bounds, End, Expect, SHOWABLE},
    limits,
};

const ENDS: [(&str, End); 6] = [
    ("healthy", End::Healthy),
    ("writable", End::Writable),
    ("paused", End::Paused),
    ("read_only", End::ReadOnly),
    ("no_leader", End::NoLeader),
    ("unavailable", End::Unavailable),
];

pub(super) fn expect(reader: &mut Reader<'_>, at: &At<'_>) -> Expect {
    let mut fields = reader.fields(at);
    let count = |reader: &mut Reader<'_>, at: &At<'_>| reader.integer::<u64>(at, limits::COUNT, "");
    let it = Expect {
        outage: fields.take("outage").and_then(|at| bounds(reader, &at, span)),
        lost_writes: fields.take("lost_writes").and_then(|at| bounds(reader, &at, count)),
        leader_changes: fields.take("leader_changes").and_then(|at| bounds(reader, &at, count)),
        end: fields.take("end").and_then(|at| reader.word(&at, &ENDS)),
        shows: fields.take("shows").map(|at| shows(reader, &at)).unwrap_or_default(),
    };
    fields.finish(reader);
    it
}

/// One value, or `{ min, max }` with at least one of them.
fn bounds<T: Copy + PartialOrd + std::fmt::Display>(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    mut value: impl FnMut(&mut Reader<'_>, &At<'_>) -> Option<T>,
) -> Option<Bounds<T>> {
    if !matches!(at.node.value, Value::Map(_)) {
        return value(reader, at).map(Bounds::exactly);
    }
    let mut fields = reader.fields(at);
    let min = fields.take("min").and_then(|at| value(reader, &at));
    let max = fields.take("max").and_then(|at| value(reader, &at));
    if fields.rest().is_empty() && at.node.get("min").is_none() && at.node.get("max").is_none() {
        reader.wrong(at, "min, max or both");
    }
    fields.finish(reader);
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        let path = at.field("min");
        reader.problem(at.node.locate("min").place, &path, format!("min {min} above max {max}"), "min up to max");
    }
    Some(Bounds { min, max })
}

fn shows(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<String> {
    let mut codes: Vec<String> = Vec::new();
    for item in reader.items(at) {
        let Some(code) = reader.text(&item, "the code of a violation") else { continue };
        if !SHOWABLE.contains(&code.as_str()) {
            reader.wrong(&item, one_of(&SHOWABLE)).help = did_you_mean(&code, SHOWABLE.iter().copied());
        } else if codes.contains(&code) {
            reader.wrong(&item, "every code once");
        } else {
            codes.push(code);
        }
    }
    codes
}
