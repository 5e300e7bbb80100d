//! Values of a `patroni.yml`, in every spelling that Patroni takes.

use std::ops::RangeInclusive;

use pgdrill_settings::value;

use crate::{At, Reader};

/// A switch: `true`, `On`, `"yes"`, `1`.
pub fn switch(reader: &mut Reader<'_>, at: &At<'_>) -> Option<bool> {
    let found = value::switch(&at.node.to_json());
    if found.is_none() {
        reader.wrong(at, "true or false");
    }
    found
}

/// A whole number within a range: `30`, `"30"`, `0x1E`.
pub fn whole<T: TryFrom<i128>>(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    range: RangeInclusive<i64>,
    unit: &str,
) -> Option<T> {
    let number = value::integer(&at.node.to_json(), None);
    let legal = |number: &i128| (i128::from(*range.start())..=i128::from(*range.end())).contains(number);
    match number.filter(legal).and_then(|number| T::try_from(number).ok()) {
        Some(number) => Some(number),
        // Says what is wrong with it.
        None => reader.integer::<i64>(at, range, unit).and_then(|_| None),
    }
}
