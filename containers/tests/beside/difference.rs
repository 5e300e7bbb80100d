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
    /// A place, in which `*` stands for anything; or a whole difference: `place: pgdrill 1, Patroni nothing`.
    pub(crate) place: String,
    /// Why it remains.
    pub(crate) why: String,
}

/// Reads a list: a line that is not indented is a place, the indented lines below it and its like say why.
pub(crate) fn purposes(text: &str) -> Vec<Purpose> {
    let (mut found, mut places, mut why) = (Vec::new(), Vec::new(), String::new());
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    for line in lines.chain([""]) {
        if let Some(more) = line.strip_prefix("  ") {
            why += &format!("{} ", more.trim());
            continue;
        }
        if !why.is_empty() {
            let why = std::mem::take(&mut why);
            found.extend(places.drain(..).map(|place| Purpose { place, why: why.clone() }));
        }
        places.push(line.trim().to_owned());
    }
    assert_eq!(places, [""], "nothing says why this may differ");
    found
}

impl Purpose {
    /// Whether this difference in a situation is meant.
    pub(crate) fn covers(&self, situation: &str, difference: &Difference) -> bool {
        let of = |text: &dyn std::fmt::Display| matches(&self.place, &format!("{situation}: {text}"));
        of(&difference.place) || of(difference)
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
                <[_; 1]>::try_from(purposes("# a comment\nx: a > * > y\n  because\n  of that\n")).expect("one");
            assert_eq!(purpose.why, "because of that ");
            let difference =
                |place: &str| Difference { place: place.into(), ours: Some(1.into()), theirs: Some(2.into()) };
            for (place, is_so) in
                [("a > 1 > y", true), ("a > a > b > y", true), ("a > 1 > yy", false), ("a > y", false)]
            {
                assert_eq!(purpose.covers("x", &difference(place)), is_so, "{place}");
                assert!(!purpose.covers("z", &difference(place)));
            }
            let [first, second] = <[_; 2]>::try_from(purposes("*y: pgdrill 1, Patroni *\nz\n  why\n")).expect("two");
            assert!(first.covers("x", &difference("a > y")) && second.why == first.why);
            assert!(!first.covers("x", &Difference { ours: None, ..difference("a > y") }));
        }),
    ]
}
