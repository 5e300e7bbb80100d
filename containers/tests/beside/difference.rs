//! Two documents compared field by field, and the differences that remain on purpose.

use std::collections::BTreeSet;

use serde_json::Value;

/// A field in which two documents differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its place: names from the root, with ` > ` between them.
    pub(crate) place: String,
    /// pgdrill's value; `None`: the field is not there.
    pub(crate) ours: Option<Value>,
    /// Patroni's.
    pub(crate) theirs: Option<Value>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        write!(f, "{}: pgdrill {}, Patroni {}", self.place, value(&self.ours), value(&self.theirs))
    }
}

/// Every field that differs.
pub(crate) fn between(ours: &Value, theirs: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(ours), Some(theirs), &mut found);
    found
}

fn compare(place: &str, ours: Option<&Value>, theirs: Option<&Value>, found: &mut Vec<Difference>) {
    let below = |name: &str| if place.is_empty() { name.to_owned() } else { format!("{place} > {name}") };
    match (ours, theirs) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => {
            for name in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
                compare(&below(name), ours.get(name), theirs.get(name), found);
            }
        }
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) => {
            for n in 0..ours.len().max(theirs.len()) {
                compare(&below(&n.to_string()), ours.get(n), theirs.get(n), found);
            }
        }
        (ours, theirs) if ours == theirs => {}
        (ours, theirs) => {
            let place = place.to_owned();
            found.push(Difference { place, ours: ours.cloned(), theirs: theirs.cloned() });
        }
    }
}

/// A difference that remains on purpose.
#[derive(Clone, Debug)]
pub(crate) struct Purpose {
    /// A place, in which `*` stands for anything.
    pub(crate) place: String,
    /// Why it remains.
    pub(crate) why: String,
}

/// Reads a list: a line that is not indented is a place, the indented lines below it say why.
pub(crate) fn purposes(text: &str) -> Vec<Purpose> {
    let mut found: Vec<Purpose> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("  "), found.last_mut()) {
            (Some(why), Some(last)) => last.why += &format!("{} ", why.trim()),
            _ => found.push(Purpose { place: line.trim().to_owned(), why: String::new() }),
        }
    }
    for purpose in &found {
        assert!(!purpose.why.is_empty(), "nothing says why {} may differ", purpose.place);
    }
    found
}

impl Purpose {
    /// Whether this place is meant.
    pub(crate) fn covers(&self, place: &str) -> bool {
        matches(&self.place, place)
    }
}

/// Whether a text fits a pattern in which `*` stands for anything, nothing included.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|after| {
            (0..=after.len()).filter(|end| after.is_char_boundary(*end)).any(|end| matches(rest, &after[end..]))
        }),
    }
}

/// What the comparison itself must do.
pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
    let trial = |name: &str, body: fn()| {
        libtest_mimic::Trial::test(name, move || {
            body();
            Ok(())
        })
    };
    vec![
        trial("every_field_that_differs_is_found_by_its_place", || {
            let (ours, theirs) = (
                serde_json::json!({ "a": { "b": [1, 2], "same": "x" }, "ours": null }),
                serde_json::json!({ "a": { "b": [1, 3, 4], "same": "x" } }),
            );
            let places: Vec<_> = between(&ours, &theirs).into_iter().map(|difference| difference.place).collect();
            assert_eq!(places, ["a > b > 1", "a > b > 2", "ours"]);
            assert!(between(&theirs, &theirs).is_empty());
        }),
        trial("a_purpose_covers_the_places_that_it_names", || {
            let [purpose] =
                <[_; 1]>::try_from(purposes("# a comment\nx > * > y\n  because\n  of that\n")).expect("one");
            assert_eq!(purpose.why, "because of that ");
            for (place, is_so) in
                [("x > 1 > y", true), ("x > a > b > y", true), ("x > 1 > yy", false), ("x > y", false)]
            {
                assert_eq!(purpose.covers(place), is_so, "{place}");
            }
        }),
    ]
}
