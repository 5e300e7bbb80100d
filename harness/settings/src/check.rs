//! Every problem in a dynamic configuration, with field, finding and remedy.
//!
//! Patroni corrects and goes on, and so does [`Dynamic::of`](crate::Dynamic::of). A strict front end (a file's check, `ctl`)
//! wants to refuse what makes no sense, and to say everything that is wrong at once.

use serde_json::Value;

use crate::{
    Timing, adjust_timing, places, postgresql,
    problem::{Problem, Taken, problem},
    remote::check_remote,
    slots::check_slots,
    value,
};

/// How a field's value is judged; with Patroni's default, which counts where it cannot be read.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// One of the three times of the lease.
    Lease { min: u64, default: u64 },
    /// A whole number, at least `min`; of what, and in which unit it may be written otherwise.
    Count { min: i128, of: &'static str, base: Option<&'static str>, default: &'static str },
    /// A switch.
    Flag,
    /// `synchronous_mode`.
    Mode,
    /// A group of fields.
    Object,
    /// A list of texts.
    Lines,
}

const fn seconds(default: &'static str) -> Rule {
    Rule::Count { min: 0, of: "seconds", base: None, default }
}

/// Every field of the dynamic configuration with its legal values (documentation "Dynamic Configuration Settings";
/// `patroni/global_config.py` for how they are read).
const RULES: &[(&str, Rule)] = &[
    ("ttl", Rule::Lease { min: Timing::MIN.ttl, default: Timing::DEFAULT.ttl }),
    ("loop_wait", Rule::Lease { min: Timing::MIN.loop_wait, default: Timing::DEFAULT.loop_wait }),
    ("retry_timeout", Rule::Lease { min: Timing::MIN.retry_timeout, default: Timing::DEFAULT.retry_timeout }),
    ("maximum_lag_on_failover", Rule::Count { min: 0, of: "bytes", base: None, default: "1048576" }),
    ("maximum_lag_on_syncnode", Rule::Count { min: -1, of: "bytes, -1 for no limit", base: None, default: "-1" }),
    ("check_timeline", Rule::Flag),
    ("max_timelines_history", Rule::Count { min: 0, of: "entries, 0 for all", base: None, default: "0" }),
    ("primary_start_timeout", seconds("300")),
    ("master_start_timeout", seconds("300")),
    ("primary_stop_timeout", seconds("0")),
    ("master_stop_timeout", seconds("0")),
    ("synchronous_mode", Rule::Mode),
    ("synchronous_mode_strict", Rule::Flag),
    ("synchronous_node_count", Rule::Count { min: 1, of: "standbys", base: None, default: "1" }),
    ("failsafe_mode", Rule::Flag),
    ("member_slots_ttl", Rule::Count { min: 0, of: "seconds", base: Some("s"), default: "1800" }),
    ("pause", Rule::Flag),
    ("postgresql", Rule::Object),
    ("postgresql.parameters", Rule::Object),
    ("postgresql.recovery_conf", Rule::Object),
    ("postgresql.pg_hba", Rule::Lines),
    ("postgresql.pg_ident", Rule::Lines),
    ("postgresql.use_slots", Rule::Flag),
    ("postgresql.use_pg_rewind", Rule::Flag),
    ("postgresql.use_unix_socket", Rule::Flag),
    ("postgresql.use_unix_socket_repl", Rule::Flag),
    ("postgresql.remove_data_directory_on_rewind_failure", Rule::Flag),
    ("postgresql.remove_data_directory_on_diverged_timelines", Rule::Flag),
    ("postgresql.pg_ctl_timeout", seconds("60")),
    ("standby_cluster", Rule::Object),
    ("permanent_replication_slots", Rule::Object),
    ("permanent_slots", Rule::Object),
    ("slots", Rule::Object),
];

impl Rule {
    /// What becomes of a value, unless it is as it should be.
    fn judge(self, value: &Value) -> Option<Taken> {
        let senseless = |instead: &str| Some(Taken::Senseless { instead: Some(instead.to_owned()) });
        match self {
            Rule::Lease { min, default } => match value::plain_integer(value) {
                None => senseless(&default.to_string()),
                Some(number) if number < i128::from(min) => Some(Taken::Otherwise(format!("{min} is used instead"))),
                Some(_) => None,
            },
            Rule::Count { min, base, default, .. } => match value::integer(value, base) {
                None if has_unit(value) => {
                    Some(Taken::Otherwise(format!("Patroni takes no unit here, and {default} is used instead")))
                }
                None => senseless(default),
                Some(number) => (number < min).then(|| Taken::Senseless { instead: Some(min.max(0).to_string()) }),
            },
            Rule::Flag if value::switch(value).is_none() => Some(Taken::Senseless { instead: None }),
            Rule::Mode if value::switch(value).is_none() && !is_quorum(value) => senseless("off"),
            Rule::Object if !value.is_object() => Some(Taken::Senseless { instead: None }),
            Rule::Lines if !is_lines(value) => Some(Taken::Senseless { instead: None }),
            Rule::Flag | Rule::Mode | Rule::Object | Rule::Lines => None,
        }
    }

    fn expected(self) -> String {
        match self {
            Rule::Lease { min, .. } => format!("a whole number of seconds, at least {min}"),
            Rule::Count { min: 1, of, .. } => format!("a whole number of {of}, at least 1"),
            Rule::Count { of, base: Some(unit), .. } => format!("a whole number of {of}, or a time such as 30{unit}"),
            Rule::Count { of, .. } => format!("a whole number of {of}"),
            Rule::Flag => "true or false".into(),
            Rule::Mode => "on, off or quorum".into(),
            Rule::Object => "a mapping".into(),
            Rule::Lines => "a list of lines".into(),
        }
    }
}

/// A number that PostgreSQL would understand with its unit.
fn has_unit(value: &Value) -> bool {
    ["s", "B"].into_iter().any(|base| value::integer(value, Some(base)).is_some())
}

fn is_quorum(value: &Value) -> bool {
    value.as_str().is_some_and(|word| word.eq_ignore_ascii_case("quorum"))
}

fn is_lines(value: &Value) -> bool {
    value.as_array().is_some_and(|lines| lines.iter().all(Value::is_string))
}

fn lookup<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    // A field set to null is a field that is not set: that is how PATCH removes it.
    path.split('.').try_fold(document, |value, name| value.get(name)).filter(|value| !value.is_null())
}

/// Lists every problem of a dynamic configuration document; empty means that all of it is used as it is.
#[must_use]
pub fn check(document: &Value) -> Vec<Problem> {
    if !document.is_object() {
        return vec![problem("(document)", document, "a mapping".into())];
    }
    let mut problems: Vec<Problem> = RULES.iter().filter_map(|(path, rule)| judge(document, path, *rule)).collect();
    problems.extend(together(document));
    problems.extend(not_honoured(document));
    problems
}

/// The same of values alone, for the reader of a file, who complains of names, groups and lists with their places.
#[must_use]
pub fn values(document: &Value) -> Vec<Problem> {
    let own = |(path, rule): &&(&str, Rule)| !path.contains('.') && !matches!(rule, Rule::Object);
    let values = RULES.iter().filter(own);
    let mut problems: Vec<Problem> = values.filter_map(|(path, rule)| judge(document, path, *rule)).collect();
    problems.extend(together(document));
    problems
}

fn judge(document: &Value, path: &str, rule: Rule) -> Option<Problem> {
    let value = lookup(document, path)?;
    let taken = rule.judge(value)?;
    Some(Problem { field: path.to_owned(), found: value.to_string(), expected: rule.expected(), taken })
}

fn together(document: &Value) -> impl Iterator<Item = Problem> {
    let standby = check_timing(document).into_iter().chain(check_remote(document));
    standby.chain(check_slots(document)).chain(postgresql::check(document))
}

/// The rule among the three timings, said with the numbers that would satisfy it.
fn check_timing(document: &Value) -> Option<Problem> {
    let read = |name: &str, default: u64| match lookup(document, name).map(value::plain_integer) {
        None => Some(default),
        Some(number) => number.map(|number| u64::try_from(number.max(0)).unwrap_or(u64::MAX)),
    };
    let asked = Timing {
        ttl: read("ttl", Timing::DEFAULT.ttl)?,
        loop_wait: read("loop_wait", Timing::DEFAULT.loop_wait)?,
        retry_timeout: read("retry_timeout", Timing::DEFAULT.retry_timeout)?,
    };
    let needed = asked.loop_wait.saturating_add(asked.retry_timeout.saturating_mul(2));
    let used = adjust_timing(asked);
    (!asked.holds()).then(|| Problem {
        field: "ttl".into(),
        found: asked.ttl.to_string(),
        expected: format!(
            "at least {needed}: loop_wait ({}) + 2 * retry_timeout ({}) must fit into ttl",
            asked.loop_wait, asked.retry_timeout
        ),
        taken: Taken::Otherwise(format!(
            "loop_wait {}, retry_timeout {} and ttl {} are used instead",
            used.loop_wait, used.retry_timeout, used.ttl
        )),
    })
}

/// Names that mean nothing where they are.
fn not_honoured(document: &Value) -> Vec<Problem> {
    let dynamic = places::dynamic();
    let mut problems = unknown("", Some(document), &dynamic);
    let postgresql = unknown("postgresql", document.get("postgresql"), &places::DYNAMIC_POSTGRESQL);
    // A group that nobody knows is the section of a method of the user's own.
    let section = document.get("postgresql");
    let is_method = |problem: &Problem| {
        let name = problem.field.trim_start_matches("postgresql.");
        let is_group = section.and_then(|section| section.get(name)).is_some_and(Value::is_object);
        is_group && places::belongs("bootstrap.dcs.postgresql", name).is_empty()
    };
    problems.extend(postgresql.into_iter().filter(|problem| !is_method(problem)));
    problems.extend(unknown("standby_cluster", document.get("standby_cluster"), &places::STANDBY_CLUSTER));
    problems
}

fn unknown(section: &str, fields: Option<&Value>, known: &[&str]) -> Vec<Problem> {
    let fields = fields.and_then(Value::as_object).into_iter().flatten();
    let fields = fields.filter(|(name, value)| !value.is_null() && !known.contains(&name.as_str()));
    let told = |(name, value): (&String, &Value)| {
        let advice = places::known_as(section, name, known, places::Document::Dynamic);
        Problem {
            field: if section.is_empty() { name.clone() } else { format!("{section}.{name}") },
            // Somebody's password may be where it does not belong.
            found: if places::is_secret(name, value) { "a secret".into() } else { value.to_string() },
            expected: advice.unwrap_or_else(|| "a setting that Patroni knows".into()) + ": it does not count as it is",
            taken: Taken::Ignored,
        }
    };
    fields.map(told).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(document: &Value) -> String {
        check(document).iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_usual_document_has_no_problem() {
        let document = json!({"ttl": "30", "loop_wait": 10.0, "retry_timeout": 10, "synchronous_mode": "On",
            "synchronous_node_count": "2", "max_timelines_history": "0x5", "member_slots_ttl": "5min",
            "maximum_lag_on_syncnode": "-1", "failsafe_mode": 1, "pause": null, "slots": {"a": 0, "b": {"type": "physical"}},
            "postgresql": {"use_pg_rewind": "on", "pg_ctl_timeout": "90", "pgbackrest": {"command": "restore"},
                "create_replica_methods": ["pgbackrest"], "remove_data_directory_on_rewind_failure": "yes"}});
        assert_eq!(said(&document), "");
    }

    #[test]
    fn every_problem_is_named_with_finding_and_remedy_and_what_counts_instead() {
        insta::assert_snapshot!(said(&json!({"ttl": 10, "loop_wait": "soon", "synchronous_mode": "maybe",
            "primary_start_timeout": "5min", "maximum_lag_on_failover": "much", "synchronous_node_count": 0,
            "postgresql": {"use_slots": 7, "pg_hba": "local all all trust"}, "standby_cluster": {"port": "x"}})), @r#"
        ttl: found 10, expected a whole number of seconds, at least 20: 20 is used instead
        loop_wait: found "soon", expected a whole number of seconds, at least 1: 10 is used instead
        maximum_lag_on_failover: found "much", expected a whole number of bytes: 1048576 is used instead
        primary_start_timeout: found "5min", expected a whole number of seconds: Patroni takes no unit here, and 300 is used instead
        synchronous_mode: found "maybe", expected on, off or quorum: off is used instead
        synchronous_node_count: found 0, expected a whole number of standbys, at least 1: 1 is used instead
        postgresql.pg_hba: found "local all all trust", expected a list of lines
        postgresql.use_slots: found 7, expected true or false
        standby_cluster.port: found "x", expected a port: a number from 1 to 65535
        "#);
    }

    #[test]
    fn times_that_break_the_rule_are_told_with_what_is_used() {
        insta::assert_snapshot!(said(&json!({"ttl": "20", "loop_wait": 10, "retry_timeout": "10"})), @"ttl: found 20, expected at least 30: loop_wait (10) + 2 * retry_timeout (10) must fit into ttl: loop_wait 1, retry_timeout 9 and ttl 20 are used instead");
    }

    #[test]
    fn what_means_nothing_where_it_is_is_told_with_its_place() {
        insta::assert_snapshot!(said(&json!({"synchronous_mod": true, "use_slots": true, "shared_buffers": "1GB",
            "postgresql": {"slots": {"a": null}, "data_dir": "/x", "authentication": {"superuser": {"password": "hush"}},
                "callbacks": null, "use_slot": false, "max_connections": 300}, "standby_cluster": {"hots": "a"},
            "restapi": {"listen": "x"}, "nonsense": 1})), @r#"
        standby_cluster: found none of them, expected host, port or restore_command: without any of them this is no standby cluster, and its leader is promoted
        synchronous_mod: found true, expected synchronous_mode: it does not count as it is
        use_slots: found true, expected postgresql.use_slots: it does not count as it is
        shared_buffers: found "1GB", expected postgresql.parameters.shared_buffers: it does not count as it is
        restapi: found {"listen":"x"}, expected restapi in each node's own file: it does not count as it is
        nonsense: found 1, expected a setting that Patroni knows: it does not count as it is
        postgresql.slots: found {"a":null}, expected slots at the top level: it does not count as it is
        postgresql.data_dir: found "/x", expected postgresql.data_dir in each node's own file: it does not count as it is
        postgresql.authentication: found a secret, expected postgresql.authentication in each node's own file: it does not count as it is
        postgresql.use_slot: found false, expected use_slots: it does not count as it is
        postgresql.max_connections: found 300, expected postgresql.parameters.max_connections: it does not count as it is
        standby_cluster.hots: found "a", expected host: it does not count as it is
        "#);
    }
}
