//! What becomes of a parameter's value.

use serde_json::{Map, Value};

use super::{
    controlled::{follows, is_harmless, legal, size_of_segments},
    table::{self, Row, is_recovery, removed_in, rows},
};
use crate::{
    places::meant,
    problem::{Problem, Taken},
    value::switch,
};

/// How a value is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// Another one is written in its place.
    Instead(String),
    /// It is left out: PostgreSQL's own default counts.
    LeftOut,
    /// It is written as it is where this build of PostgreSQL has it, and left out elsewhere.
    IfKnown,
}

/// A value that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What would be right.
    pub expected: String,
    /// How it is used.
    pub used: Use,
    /// Whether it makes no sense, as opposed to being raised, lowered or not counting here.
    pub senseless: bool,
    /// Whether the value may be shown: what is only misplaced may hold a password.
    pub shown: bool,
}

impl Judgement {
    fn new(expected: impl Into<String>, used: Use) -> Self {
        Self { expected: expected.into(), used, senseless: false, shown: true }
    }

    /// As a problem of the field at that path.
    #[must_use]
    pub fn problem(self, path: &str, value: &Value) -> Problem {
        let found = if self.shown { value.to_string() } else { "the parameter".into() };
        let taken = match self.used {
            _ if self.senseless => Taken::Senseless {
                instead: Some(match self.used {
                    Use::Instead(value) => value,
                    Use::LeftOut | Use::IfKnown => "PostgreSQL's own default".into(),
                }),
            },
            Use::Instead(value) => Taken::Otherwise(format!("{value} is used instead")),
            Use::LeftOut => Taken::Ignored,
            Use::IfKnown => Taken::Otherwise("it is left out where the PostgreSQL at hand does not know it".into()),
        };
        Problem { field: path.to_owned(), found, expected: self.expected, taken }
    }
}

/// Settings of a standby's recovery that count among the parameters as they do in `recovery_conf` (Patroni's
/// `_adjust_recovery_parameters`).
const COUNT_AS_RECOVERY: [&str; 5] = [
    "archive_cleanup_command",
    "promote_trigger_file",
    "recovery_end_command",
    "recovery_min_apply_delay",
    "restore_command",
];

/// Judges a value of the dynamic configuration's `postgresql.parameters`; nothing if it is used as it is.
///
/// What PostgreSQL's versions judge differently is right if one of those that pgdrill works with takes it.
#[must_use]
pub fn judge(name: &str, value: &Value) -> Option<Judgement> {
    if name.eq_ignore_ascii_case("hot_standby") && switch(value) == Some(true) {
        // As it is anyway.
        return None;
    }
    if let Some(from) = follows(name) {
        let judgement = Judgement::new(format!("{from}: the parameter is ignored here"), Use::LeftOut);
        return Some(Judgement { shown: is_harmless(from), ..judgement });
    }
    if let Some((default, legal)) = legal(name) {
        if !legal.accepts(value) {
            let judgement = Judgement::new(legal.expected(), Use::Instead(default.into()));
            return Some(Judgement { senseless: legal.is_senseless(value), ..judgement });
        }
        if legal.has_old_names() {
            return None;
        }
    }
    if COUNT_AS_RECOVERY.contains(&name.to_lowercase().as_str()) {
        return None;
    }
    if is_recovery(name) {
        let expected = format!("postgresql.recovery_conf.{name}: the parameter is ignored here");
        return Some(Judgement { shown: false, ..Judgement::new(expected, Use::LeftOut) });
    }
    if name.eq_ignore_ascii_case("wal_keep_segments") {
        let expected = "wal_keep_size, of 16MB for each segment, since PostgreSQL 13";
        let used =
            size_of_segments(value).map_or(Use::LeftOut, |size| Use::Instead(format!("a wal_keep_size of {size}")));
        return Some(Judgement::new(expected, used));
    }
    if let Some(version) = removed_in(name) {
        let expected = format!("nothing: PostgreSQL {version} has removed {name}");
        return Some(Judgement::new(expected, Use::LeftOut));
    }
    let rows: Vec<&Row> = rows(name).collect();
    if rows.is_empty() {
        return (!name.contains('.')).then(|| unknown(name));
    }
    in_range(&rows, value)
}

/// What becomes of a value before it is written for one version (`transform_postgresql_parameter_value` and
/// `transform_recovery_parameter_value`); nothing if it is written as it is. Whom a parameter belongs to is not looked at.
#[must_use]
pub fn judge_for(major: u16, name: &str, value: &Value) -> Option<Judgement> {
    match table::row_of(name, major) {
        Some(row) => in_range(&[row], value),
        None if name.contains('.') => None,
        None => Some(unknown(name)),
    }
}

/// A name that no version of PostgreSQL has; a build of somebody's own may.
fn unknown(name: &str) -> Judgement {
    let known: Vec<&str> = table::names().collect();
    let expected = match meant(&name.to_lowercase(), &known) {
        Some(meant) => format!("{meant}, or another parameter of PostgreSQL"),
        None => "a parameter of PostgreSQL".into(),
    };
    Judgement { shown: false, ..Judgement::new(expected, Use::IfKnown) }
}

fn in_range(rows: &[&Row], value: &Value) -> Option<Judgement> {
    let read: Vec<_> = rows.iter().filter_map(|row| Some((row, row.kind.read(value)?))).collect();
    let Some((newest, _)) = read.last() else {
        let expected = rows.last()?.kind.expected();
        return Some(Judgement { senseless: true, ..Judgement::new(expected, Use::LeftOut) });
    };
    let fits = |(row, number): &(&&Row, Option<f64>)| match (row.kind.range(), number) {
        (Some(range), Some(number)) => (range.least..=range.most).contains(number),
        _ => true,
    };
    if read.iter().any(fits) {
        return None;
    }
    let range = newest.kind.range()?;
    let number = read.last().and_then(|(_, number)| *number)?;
    let limit = if number < range.least { range.least } else { range.most };
    let limit = format!(
        "{limit}{}",
        if range.unit.is_some_and(|unit| unit.starts_with(char::is_numeric)) {
            ""
        } else {
            range.unit.unwrap_or_default()
        }
    );
    Some(Judgement::new(newest.kind.expected(), Use::Instead(limit)))
}

/// Everything that is wrong with the parameters of a dynamic configuration.
#[must_use]
pub fn check(document: &Value) -> Vec<Problem> {
    let section = |name: &str| document.pointer(&format!("/postgresql/{name}")).and_then(Value::as_object);
    let judged = |(name, value): (&String, &Value)| {
        judge(name, value).map(|judgement| judgement.problem(&format!("postgresql.parameters.{name}"), value))
    };
    set(section("parameters")).filter_map(judged).chain(recovery(section("recovery_conf"))).collect()
}

/// Judges a value of `postgresql.recovery_conf`; nothing if it is used as it is.
#[must_use]
pub fn judge_recovery(name: &str, value: &Value) -> Option<Judgement> {
    if let Some(from) = follows(name).filter(|from| !is_harmless(from)) {
        let judgement = Judgement::new(format!("{from}: the setting is ignored here"), Use::LeftOut);
        return Some(Judgement { shown: false, ..judgement });
    }
    if !is_recovery(name) {
        let expected = "a setting of a standby, such as restore_command: it does not count here";
        return Some(Judgement { shown: false, ..Judgement::new(expected, Use::LeftOut) });
    }
    let rows: Vec<&Row> = rows(name).collect();
    in_range(&rows, value)
}

fn recovery(section: Option<&Map<String, Value>>) -> impl Iterator<Item = Problem> {
    set(section).filter_map(|(name, value)| {
        let path = format!("postgresql.recovery_conf.{name}");
        judge_recovery(name, value).map(|judgement| judgement.problem(&path, value))
    })
}

fn set(section: Option<&Map<String, Value>>) -> impl Iterator<Item = (&String, &Value)> {
    section.into_iter().flatten().filter(|(_, value)| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_postgresql_takes_is_left_alone() {
        let fine = json!({
            "max_connections": "200", "work_mem": "4MB", "shared_buffers": 16384, "checkpoint_timeout": "15 min",
            "checkpoint_completion_target": 0.9, "random_page_cost": "1.1", "archive_mode": true, "wal_compression": "lz4",
            "synchronous_commit": "remote_apply", "wal_level": "hot_standby", "pg_stat_statements.max": "many",
            "log_min_duration_statement": -1, "shared_preload_libraries": "pg_stat_statements", "TimeZone": "UTC",
            "log_connections": "receipt", "wal_keep_size": "1GB", "track_commit_timestamp": "on", "jit": false, "gone": null,
        });
        let document = json!({"postgresql": {"parameters": fine}});
        assert_eq!(check(&document), []);
    }

    #[test]
    fn what_one_version_takes_another_one_may_not() {
        let used = |major, name, value| judge_for(major, name, &Value::from(value)).map(|judgement| judgement.used);
        assert_eq!(used(17, "summarize_wal", "on"), None);
        assert_eq!(used(16, "summarize_wal", "on"), Some(Use::IfKnown));
        assert_eq!((used(18, "log_connections", "receipt"), used(17, "log_connections", "on")), (None, None));
        assert_eq!(used(17, "log_connections", "receipt"), Some(Use::LeftOut));
        assert_eq!(
            (used(15, "promote_trigger_file", "x"), used(16, "promote_trigger_file", "x")),
            (None, Some(Use::IfKnown))
        );
        assert_eq!(used(16, "maintenance_work_mem", "1kB"), Some(Use::Instead("1024kB".into())));
        assert_eq!((used(16, "own.thing", "1"), used(16, "Port", "5432")), (None, None));
    }

    #[test]
    fn what_it_does_not_take_is_told_with_what_becomes_of_it() {
        let document = json!({"postgresql": {"parameters": {
            "max_connections": 20, "max_worker_processes": 1, "wal_level": "minimal", "wal_keep_size": "8MB",
            "max_wal_senders": "many", "work_mem": "many", "maintenance_work_mem": "1kB", "shared_buffers": "4gb",
            "checkpoint_timeout": "2d", "synchronous_commit": "sometimes", "fsync": "maybe", "shared_bufers": "1GB",
            "random_page_cost": -1, "checkpoint_segments": 8, "wal_keep_segments": 16, "primary_conninfo": "password=x", "port": 5433,
        }, "recovery_conf": {"recovery_min_apply_delay": "soon", "work_mem": 1, "restore_command": "cp"}}});
        let said: Vec<String> = check(&document).iter().map(Problem::to_string).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        postgresql.parameters.max_connections: found 20, expected a whole number of at least 25: 100 is used instead
        postgresql.parameters.max_worker_processes: found 1, expected a whole number of at least 2: 8 is used instead
        postgresql.parameters.wal_level: found "minimal", expected replica or logical: replica is used instead
        postgresql.parameters.wal_keep_size: found "8MB", expected at least 16MB: 128MB is used instead
        postgresql.parameters.max_wal_senders: found "many", expected a whole number of at least 3: 10 is used instead
        postgresql.parameters.work_mem: found "many", expected a whole number, at least 64 (in kB), or a size such as 64MB: PostgreSQL's own default is used instead
        postgresql.parameters.maintenance_work_mem: found "1kB", expected a whole number, at least 64 (in kB), or a size such as 64MB: 64kB is used instead
        postgresql.parameters.shared_buffers: found "4gb", expected a whole number, at least 16 (in 8kB), or a size such as 64MB: PostgreSQL's own default is used instead
        postgresql.parameters.checkpoint_timeout: found "2d", expected a whole number, from 30 to 86400 (in s), or a time such as 30s: 86400s is used instead
        postgresql.parameters.synchronous_commit: found "sometimes", expected on, off, local, remote_write or remote_apply: PostgreSQL's own default is used instead
        postgresql.parameters.fsync: found "maybe", expected on or off: PostgreSQL's own default is used instead
        postgresql.parameters.shared_bufers: found the parameter, expected shared_buffers, or another parameter of PostgreSQL: it is left out where the PostgreSQL at hand does not know it
        postgresql.parameters.random_page_cost: found -1, expected a number, at least 0: 0 is used instead
        postgresql.parameters.checkpoint_segments: found 8, expected nothing: PostgreSQL 9.6 has removed checkpoint_segments
        postgresql.parameters.wal_keep_segments: found 16, expected wal_keep_size, of 16MB for each segment, since PostgreSQL 13: a wal_keep_size of 256MB is used instead
        postgresql.parameters.primary_conninfo: found the parameter, expected nothing: a member follows the leader, to the end of its latest timeline: the parameter is ignored here
        postgresql.parameters.port: found 5433, expected postgresql.listen in each node's own file: the parameter is ignored here
        postgresql.recovery_conf.recovery_min_apply_delay: found "soon", expected a whole number, at least 0 (in ms), or a time such as 30ms: PostgreSQL's own default is used instead
        postgresql.recovery_conf.work_mem: found the parameter, expected a setting of a standby, such as restore_command: it does not count here
        "#);
    }
}
