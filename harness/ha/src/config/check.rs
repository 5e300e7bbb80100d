//! Every problem in a dynamic configuration, with field, finding and remedy.
//!
//! Patroni corrects and goes on, and so does [`resolve`](super::resolve). A strict front end (a scenario file's check, a
//! linter) wants to refuse instead, and to say everything that is wrong at once.

use serde_json::Value;

use super::Timing;
use super::layers::{bool_value, bytes_value, seconds_value};
use super::remote::check_remote;
use super::slots::check_slots;

/// One thing that is wrong with a configuration document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field's path, such as `postgresql.use_slots`.
    pub field: String,
    /// What was found, as JSON.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: found {}, expected {}", self.field, self.found, self.expected)
    }
}

/// How a field's value is judged.
enum Rule {
    Seconds { min: u64 },
    Bytes,
    BytesOrMinusOne,
    Count { min: u64 },
    Flag,
    OneOf(&'static [&'static str]),
    Object,
}

/// Every field of the dynamic configuration that decisions read, with its legal values (documentation "Dynamic
/// Configuration Settings").
const RULES: &[(&str, Rule)] = &[
    ("ttl", Rule::Seconds { min: Timing::MIN.ttl }),
    ("loop_wait", Rule::Seconds { min: Timing::MIN.loop_wait }),
    ("retry_timeout", Rule::Seconds { min: Timing::MIN.retry_timeout }),
    ("maximum_lag_on_failover", Rule::Bytes),
    ("maximum_lag_on_syncnode", Rule::BytesOrMinusOne),
    ("check_timeline", Rule::Flag),
    ("max_timelines_history", Rule::Count { min: 0 }),
    ("primary_start_timeout", Rule::Seconds { min: 0 }),
    ("master_start_timeout", Rule::Seconds { min: 0 }),
    ("primary_stop_timeout", Rule::Seconds { min: 0 }),
    ("master_stop_timeout", Rule::Seconds { min: 0 }),
    ("synchronous_mode", Rule::OneOf(&["on", "off", "quorum", "true", "false"])),
    ("synchronous_mode_strict", Rule::Flag),
    ("synchronous_node_count", Rule::Count { min: 1 }),
    ("failsafe_mode", Rule::Flag),
    ("member_slots_ttl", Rule::Seconds { min: 0 }),
    ("pause", Rule::Flag),
    ("postgresql", Rule::Object),
    ("postgresql.use_slots", Rule::Flag),
    ("postgresql.use_pg_rewind", Rule::Flag),
    ("standby_cluster", Rule::Object),
    ("slots", Rule::Object),
];

impl Rule {
    fn accepts(&self, value: &Value) -> bool {
        match self {
            Rule::Seconds { min } => seconds_value(value).is_some_and(|s| s >= *min),
            Rule::Bytes => bytes_value(value).is_some(),
            Rule::BytesOrMinusOne => value.as_i64() == Some(-1) || bytes_value(value).is_some(),
            Rule::Count { min } => value.as_u64().is_some_and(|n| n >= *min),
            Rule::Flag => bool_value(value).is_some(),
            Rule::OneOf(words) => match value {
                Value::Bool(_) => true,
                Value::String(word) => words.contains(&word.to_ascii_lowercase().as_str()),
                _ => false,
            },
            Rule::Object => value.is_object(),
        }
    }

    fn expected(&self) -> String {
        match self {
            Rule::Seconds { min } => format!("a time of at least {min} s, as a number of seconds or such as \"30s\""),
            Rule::Bytes => "a number of bytes, or such as \"1MB\"".into(),
            Rule::BytesOrMinusOne => "a number of bytes, or -1 for no limit".into(),
            Rule::Count { min } => format!("a whole number of at least {min}"),
            Rule::Flag => "true or false".into(),
            Rule::OneOf(words) => format!("one of {}", words.join(", ")),
            Rule::Object => "a mapping".into(),
        }
    }
}

/// Fields of `postgresql` that count in the dynamic configuration. Patroni takes others from there, too; pgdrill takes them from
/// each node's own file.
pub const DYNAMIC_POSTGRESQL: [&str; 6] =
    ["parameters", "recovery_conf", "pg_hba", "pg_ident", "use_pg_rewind", "use_slots"];

/// What stands in `postgresql` of a dynamic configuration and does not count there.
pub fn not_honoured(document: &Value) -> Vec<Problem> {
    let fields = document.get("postgresql").and_then(Value::as_object).into_iter().flatten();
    let others = fields.filter(|(name, value)| !value.is_null() && !DYNAMIC_POSTGRESQL.contains(&name.as_str()));
    let told = |(name, value): (&String, &Value)| {
        let field = format!("postgresql.{name}");
        let expected = format!("{field} in each node's own file: it does not count in the dynamic configuration");
        problem(&field, value, expected)
    };
    others.map(told).collect()
}

fn lookup<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    // A field set to null is a field that is not set: that is how PATCH removes it.
    path.split('.').try_fold(document, |value, name| value.get(name)).filter(|value| !value.is_null())
}

/// Lists every problem of a dynamic configuration document; empty means that it can be used as it is.
pub fn check(document: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !document.is_object() {
        problems.push(problem("(document)", document, "a mapping".into()));
        return problems;
    }
    for (path, rule) in RULES {
        if let Some(value) = lookup(document, path).filter(|value| !rule.accepts(value)) {
            problems.push(problem(path, value, rule.expected()));
        }
    }
    problems.extend(check_timing(document));
    problems.extend(check_remote(document));
    problems.extend(check_slots(document));
    problems
}

pub(super) fn problem(field: &str, found: &Value, expected: String) -> Problem {
    Problem { field: field.to_owned(), found: found.to_string(), expected }
}

/// The rule among the three timings, said with the numbers that would satisfy it.
fn check_timing(document: &Value) -> Option<Problem> {
    let read = |name: &str, default: u64| lookup(document, name).map_or(Some(default), seconds_value);
    let timing = Timing {
        ttl: read("ttl", Timing::DEFAULT.ttl)?,
        loop_wait: read("loop_wait", Timing::DEFAULT.loop_wait)?,
        retry_timeout: read("retry_timeout", Timing::DEFAULT.retry_timeout)?,
    };
    let needed = timing.loop_wait.saturating_add(timing.retry_timeout.saturating_mul(2));
    (!timing.holds()).then(|| Problem {
        field: "ttl".into(),
        found: timing.ttl.to_string(),
        expected: format!(
            "at least {needed}: loop_wait ({}) + 2 * retry_timeout ({}) must fit into ttl",
            timing.loop_wait, timing.retry_timeout
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_usual_document_has_no_problem() {
        let document = json!({"ttl": 30, "loop_wait": "10s", "retry_timeout": 10, "synchronous_mode": true,
            "maximum_lag_on_syncnode": -1, "postgresql": {"use_pg_rewind": "on"}, "pause": null});
        assert_eq!(check(&document), []);
    }

    #[test]
    fn what_does_not_count_in_the_dynamic_configuration_is_told() {
        let document =
            json!({"postgresql": {"parameters": {}, "use_slots": true, "pg_ctl_timeout": 5, "callbacks": null}});
        let said: Vec<String> = not_honoured(&document).iter().map(Problem::to_string).collect();
        insta::assert_snapshot!(said.join("\n"), @"postgresql.pg_ctl_timeout: found 5, expected postgresql.pg_ctl_timeout in each node's own file: it does not count in the dynamic configuration");
    }

    #[test]
    fn every_problem_is_named_with_finding_and_remedy() {
        let document = json!({"ttl": 10, "loop_wait": 0, "synchronous_mode": "maybe",
            "postgresql": {"use_slots": 7}});
        let said: Vec<String> = check(&document).iter().map(Problem::to_string).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        ttl: found 10, expected a time of at least 20 s, as a number of seconds or such as "30s"
        loop_wait: found 0, expected a time of at least 1 s, as a number of seconds or such as "30s"
        synchronous_mode: found "maybe", expected one of on, off, quorum, true, false
        postgresql.use_slots: found 7, expected true or false
        ttl: found 10, expected at least 20: loop_wait (0) + 2 * retry_timeout (10) must fit into ttl
        "#);
    }
}
