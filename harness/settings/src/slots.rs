//! `slots` and `ignore_slots`: what of it can be used, and what is wrong with the rest (`SlotsHandler._get_permanent_slots`,
//! `ignore_replication_slot`).

use serde_json::{Map, Value};

use crate::problem::{Problem, problem};

/// Fields of a permanent slot.
const SLOT_FIELDS: [&str; 4] = ["type", "database", "plugin", "cluster_type"];
/// Fields of a matcher.
const MATCHER_FIELDS: [&str; 4] = ["name", "type", "database", "plugin"];
/// `slot_type`.
const TYPES: [&str; 2] = ["physical", "logical"];

/// The permanent slots of a dynamic configuration, under the first of the names that Patroni has had for them
/// (`GlobalConfig.permanent_slots`).
#[must_use]
pub fn permanent_slots(document: &Value) -> Option<&Map<String, Value>> {
    PERMANENT.iter().find_map(|name| document.get(*name)?.as_object().filter(|slots| !slots.is_empty()))
}

/// Names of the section, the oldest first.
pub(crate) const PERMANENT: [&str; 3] = ["permanent_replication_slots", "permanent_slots", "slots"];

/// Whether a permanent slot is a logical one: it says so, or has what only those have. What is no mapping (`name: 0`) is a
/// physical one.
#[must_use]
pub fn is_logical_slot(slot: &Value) -> bool {
    let has = |field: &str| slot.get(field).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    match slot.get("type").and_then(Value::as_str) {
        Some(kind) => kind == "logical",
        None => has("database") && has("plugin"),
    }
}

/// Whether a permanent slot can be made as it is configured. What cannot is told by [`check`](crate::check::check) and left out.
#[must_use]
pub fn is_usable_slot(name: &str, slot: &Value) -> bool {
    slot_problems("slots", name, slot).iter().all(|(fatal, _)| !fatal)
}

/// What a server has: a slot as a matcher sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slot<'a> {
    /// `slot_name`.
    pub name: &'a str,
    /// Whether its `slot_type` is `physical`.
    pub physical: bool,
    /// `database` of a logical one.
    pub database: Option<&'a str>,
    /// `plugin` of a logical one.
    pub plugin: Option<&'a str>,
}

/// Whether one of the `ignore_slots` matchers is about this slot: each of its fields must match. One with a field that nobody
/// knows matches nothing: without that field it would match more than was meant.
#[must_use]
pub fn ignores_slot(matchers: &Value, slot: Slot<'_>) -> bool {
    let kind = if slot.physical { "physical" } else { "logical" };
    let has = [Some(slot.name), Some(kind), slot.database, slot.plugin];
    let matches = |matcher: &Value| {
        let mut fields = MATCHER_FIELDS.iter().zip(has);
        fields.all(|(field, has)| given(matcher, field).is_none_or(|wanted| wanted.as_str() == has && has.is_some()))
    };
    matchers.as_array().into_iter().flatten().any(|matcher| matcher_problem(matcher).is_none() && matches(matcher))
}

/// What is wrong with both sections.
pub(crate) fn check_slots(document: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    for section in PERMANENT {
        for (name, slot) in document.get(section).and_then(Value::as_object).into_iter().flatten() {
            problems.extend(slot_problems(section, name, slot).into_iter().map(|(_, problem)| problem));
        }
    }
    let Some(matchers) = given(document, "ignore_slots") else { return problems };
    let Some(list) = matchers.as_array() else {
        problems.push(problem(
            "ignore_slots",
            matchers,
            "a list of matchers, such as [{name: barman, type: physical}]".into(),
        ));
        return problems;
    };
    problems.extend(list.iter().filter_map(matcher_problem));
    problems
}

/// Each with whether it keeps the slot from being made.
fn slot_problems(section: &str, name: &str, slot: &Value) -> Vec<(bool, Problem)> {
    let mut problems = Vec::new();
    let path = format!("{section}.{name}");
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 63 || !name.chars().all(legal) {
        let expected = "a slot's name: up to 63 lower-case letters, digits and underscores".into();
        problems.push((true, problem(section, &Value::from(name), expected)));
    }
    // A slot without fields is a physical one, whatever stands there instead.
    let Some(fields) = slot.as_object() else {
        if !is_nothing(slot) {
            let expected =
                "a mapping, such as {type: physical}, or nothing: a physical slot is made, and Patroni makes none";
            problems.push((false, problem(&path, slot, expected.into())));
        }
        return problems;
    };
    for (field, value) in fields.iter().filter(|(field, _)| !SLOT_FIELDS.contains(&field.as_str())) {
        problems
            .push((false, problem(&format!("{path}.{field}"), value, format!("one of {}", SLOT_FIELDS.join(", ")))));
    }
    if let Some(kind) = given(slot, "type").filter(|kind| !is_one_of(kind, &TYPES)) {
        problems.push((true, problem(&format!("{path}.type"), kind, TYPES.join(" or "))));
    }
    if let Some(kind) = given(slot, "cluster_type").filter(|kind| !is_one_of(kind, &["primary", "standby"])) {
        problems.push((true, problem(&format!("{path}.cluster_type"), kind, "primary or standby".into())));
    }
    if is_logical_slot(slot) {
        for field in ["database", "plugin"] {
            let value = slot.get(field).unwrap_or(&Value::Null);
            if value.as_str().is_none_or(str::is_empty) {
                let expected = format!("the {field} of a logical slot");
                problems.push((true, problem(&format!("{path}.{field}"), value, expected)));
            }
        }
    }
    problems
}

fn matcher_problem(matcher: &Value) -> Option<Problem> {
    let expected = || format!("a mapping with {}, as text: it matches nothing as it is", MATCHER_FIELDS.join(", "));
    let Some(fields) = matcher.as_object() else { return Some(problem("ignore_slots", matcher, expected())) };
    let is_legal = |(field, value): (&String, &Value)| {
        MATCHER_FIELDS.contains(&field.as_str()) && (value.is_string() || value.is_null())
    };
    let kind = given(matcher, "type").is_none_or(|kind| is_one_of(kind, &TYPES));
    (!fields.iter().all(is_legal) || !kind).then(|| problem("ignore_slots", matcher, expected()))
}

/// What Python takes for false.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

fn is_one_of(value: &Value, words: &[&str]) -> bool {
    value.as_str().is_some_and(|word| words.contains(&word))
}

fn given<'v>(value: &'v Value, field: &str) -> Option<&'v Value> {
    value.get(field).filter(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_matcher_matches_by_all_its_fields_and_a_misspelt_one_matches_nothing() {
        let slot = Slot { name: "events", physical: false, database: Some("shop"), plugin: Some("wal2json") };
        let ignores = |matcher: Value| ignores_slot(&json!([matcher]), slot);
        for matcher in [
            json!({"name": "events"}),
            json!({"type": "logical", "database": "shop", "plugin": "wal2json"}),
            json!({"name": "events", "type": null}),
            json!({}),
        ] {
            assert!(ignores(matcher.clone()), "{matcher}");
        }
        for matcher in [
            json!({"name": "event"}),
            json!({"name": "events", "type": "physical"}),
            json!({"nmae": "other"}),
            json!({"name": ["events"]}),
            json!({"type": "logcal"}),
            json!("events"),
        ] {
            assert!(!ignores(matcher.clone()), "{matcher}");
        }
        assert!(!ignores_slot(&json!({"name": "events"}), slot), "not a list");
    }

    #[test]
    fn everything_wrong_with_slots_is_said() {
        let document = json!({
            "slots": {
                "barman": null,
                "events": {"type": "logical", "database": "shop"},
                "Upper": {"type": "physical"},
                "odd": {"type": "phys", "retain": true},
                "zero": 0,
                "no": false,
                "word": "physical",
                "good": {"database": "shop", "plugin": "pgoutput", "cluster_type": "primary"},
            },
            "ignore_slots": [{"nmae": "x"}, {"name": "y"}],
        });
        let said: Vec<String> = check_slots(&document).iter().map(Problem::to_string).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        slots.events.plugin: found null, expected the plugin of a logical slot
        slots: found "Upper", expected a slot's name: up to 63 lower-case letters, digits and underscores
        slots.odd.retain: found true, expected one of type, database, plugin, cluster_type
        slots.odd.type: found "phys", expected physical or logical
        slots.word: found "physical", expected a mapping, such as {type: physical}, or nothing: a physical slot is made, and Patroni makes none
        ignore_slots: found {"nmae":"x"}, expected a mapping with name, type, database, plugin, as text: it matches nothing as it is
        "#);
        let all = document["slots"].as_object().unwrap().iter();
        let usable: Vec<_> = all.filter(|(name, slot)| is_usable_slot(name, slot)).map(|(name, _)| name).collect();
        assert_eq!(usable, ["barman", "zero", "no", "word", "good"]);
        assert!(!is_logical_slot(&json!(0)) && !is_logical_slot(&json!("x")), "what is no mapping is a physical slot");
    }
}
