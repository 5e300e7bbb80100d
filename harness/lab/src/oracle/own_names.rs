//! What PostgreSQL's own synchronous replication promises: `synchronous_standby_names` of the user's parameters, with
//! `synchronous_mode` off.
//!
//! Source: PostgreSQL's documentation, "Synchronous Replication": a commit is acknowledged once so many of the named standbys have
//! it. Patroni's documentation, "Replication modes", "PostgreSQL synchronous replication": Patroni does not know who has it, and
//! chooses by position alone. So an acknowledged write is safe where the choice cannot miss it:
//! - commits wait for everybody else who may lead;
//! - or, whoever wins a race that nothing has disturbed is the most advanced of all who are left, and among these there is one who
//!   has it: they are more than the named standbys that a commit may do without.
//!
//! What counts is what the operator has configured, not what is in force: a parameter that the agent drops is a promise broken.
//!
//! Limits: a write is judged only if its configuration had been the same for two turns of the loop before. With `synchronous_commit`
//! off or local nobody waits, and nothing is promised.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Map, Value};

use crate::{
    event::At,
    history::{History, Operation, Term},
    rules::Rules,
};

/// `synchronous_standby_names`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    /// How many a commit waits for.
    count: usize,
    /// Of whom; empty: of all.
    names: BTreeSet<String>,
}

impl Names {
    /// Reads the setting: `a, b`, `FIRST 1 (a, b)`, `ANY 1 (a)`, `1 (a)`, `*`. `None`: it is empty or no such setting.
    pub(super) fn of(setting: &str) -> Option<Self> {
        let (head, list) = match setting.split_once('(') {
            Some((head, list)) => (head, list.trim_end().strip_suffix(')')?),
            None => ("1", setting),
        };
        let number = head.split_whitespace().last()?;
        let count = number.parse().ok().filter(|count| *count > 0)?;
        let names = names(list);
        if names.is_empty() {
            return None;
        }
        let all = names.contains("*");
        Some(Self { count, names: if all { BTreeSet::new() } else { names } })
    }

    fn has(&self, node: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| name.eq_ignore_ascii_case(node))
    }

    /// How many there are to choose from beside the primary.
    fn candidates(&self, rules: &Rules, primary: &str) -> usize {
        if self.names.is_empty() {
            return rules.nodes.len().saturating_sub(1);
        }
        self.names.iter().filter(|name| !name.eq_ignore_ascii_case(primary)).count()
    }
}

/// The parameters that the operator has configured at a time.
fn parameters(rules: &Rules, history: &History<'_>, at: At) -> Map<String, Value> {
    let versions = history.keys.versions("config");
    // The first version is the agents' own, made of what the scenario says.
    let edited = versions.iter().skip(1).rev().find(|version| version.at <= at).and_then(|version| version.json());
    let Some(document) = edited else { return rules.parameters.clone() };
    document.pointer("/postgresql/parameters").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// One parameter as text, whatever the case of its name.
fn parameter(parameters: &Map<String, Value>, name: &str) -> Option<String> {
    let (_, value) = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// Whether synchronous mode is off at a time, so that the user's own names count.
fn is_unmanaged(rules: &Rules, history: &History<'_>, at: At) -> bool {
    let versions = history.keys.versions("config");
    let edited = versions.iter().skip(1).rev().find(|version| version.at <= at).and_then(|version| version.json());
    match edited {
        None => rules.synchronous_mode == crate::scenario::SynchronousMode::Off,
        Some(document) => match document.get("synchronous_mode") {
            None | Some(Value::Null | Value::Bool(false)) => true,
            Some(Value::String(word)) => ["off", "false", "no", "0"].iter().any(|off| word.eq_ignore_ascii_case(off)),
            Some(_) => false,
        },
    }
}

/// The names of a list, without their quotes.
pub(super) fn names(list: &str) -> BTreeSet<String> {
    list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The names that the operator has configured at a time and that count.
pub(super) fn configured(rules: &Rules, history: &History<'_>, at: At) -> Option<String> {
    is_unmanaged(rules, history, at).then(|| parameter(&parameters(rules, history, at), "synchronous_standby_names"))?
}

/// Whether commits wait for standbys at all under `synchronous_commit` as configured at a time.
pub(super) fn commits_wait(rules: &Rules, history: &History<'_>, at: At) -> bool {
    let level = parameter(&parameters(rules, history, at), "synchronous_commit");
    !level.is_some_and(|level| ["off", "local", "false", "no", "0"].iter().any(|word| level.eq_ignore_ascii_case(word)))
}

/// For whom a write waited, if that was certain.
fn awaited(rules: &Rules, history: &History<'_>, write: &Operation<'_>) -> Option<Names> {
    let acknowledged_at = write.acknowledged_at()?;
    let settled: Duration = rules.loop_wait * 2 + rules.observation_slack;
    let long_before = super::earlier(write.invoked_at, settled);
    let changed = history.keys.versions("config").iter().skip(1);
    if changed.clone().any(|version| version.at > long_before && version.at <= acknowledged_at) {
        return None;
    }
    let setting = configured(rules, history, write.invoked_at)?;
    commits_wait(rules, history, write.invoked_at).then(|| Names::of(&setting))?
}

/// Whether everybody who may lead beside its server has a write.
pub(super) fn everybody_has(rules: &Rules, history: &History<'_>, write: &Operation<'_>) -> bool {
    let (Some(names), Some(server)) = (awaited(rules, history, write), write.server) else { return false };
    let mut others = rules.nodes.iter().filter(|node| *node != server && rules.tags_of(node).may_lead());
    names.count >= names.candidates(rules, server) && others.all(|node| names.has(node))
}

/// Whether the winner of the one race of a run must have a write that its predecessor had acknowledged: it was not disturbed
/// itself, and asked more undisturbed nodes that may lead than a commit may do without.
pub(super) fn winner_has(rules: &Rules, history: &History<'_>, write: &Operation<'_>) -> bool {
    let (Some(names), Some(server)) = (awaited(rules, history, write), write.server) else { return false };
    let mut changes = history.keys.leader_changes();
    // A second winner may lack what only the first one had.
    let (Some(change), None) = (changes.next(), changes.next()) else { return false };
    if change.previous != Some(server) || change.from < write.invoked_at || asked_for(history, change) {
        return false;
    }
    let disturbed = |node: &str| {
        history
            .faults
            .all()
            .any(|(_, fault)| fault.targets.contains(&node) && fault.applied.iter().any(|(at, _)| *at <= change.from))
    };
    let others = || rules.nodes.iter().filter(|node| *node != server);
    let asked = others().filter(|node| rules.tags_of(node).may_lead() && names.has(node) && !disturbed(node)).count();
    !disturbed(change.holder) && asked + names.count > names.candidates(rules, server)
}

/// Whether somebody had asked for a change: then the position does not decide alone.
fn asked_for(history: &History<'_>, change: &Term<'_>) -> bool {
    let request = history.keys.at("failover", super::earlier(change.from, Duration::from_nanos(1)));
    request.and_then(|version| version.json()).and_then(|json| Some(!json.as_object()?.is_empty())).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Violation, durability};
    use crate::{event::FaultPhase, history::script::Script, rules::Rules, scenario::Tags};

    fn rules(parameters: serde_json::Value) -> Rules {
        Rules { parameters: parameters.as_object().unwrap().clone(), ..Rules::default() }
    }

    fn names(setting: &str) -> Rules {
        rules(json!({ "synchronous_standby_names": setting }))
    }

    /// pg1 acknowledges ten writes, is hit by a fault, and pg2, which lacks the last of them, takes over.
    fn lossy() -> Script {
        failover().rows(90.0, "pg2", true, 0..9)
    }

    fn failover() -> Script {
        Script::new()
            .leader(0.5, "pg1")
            .dcs(0.6, "config", "{}")
            .writes("pg1", 30.0, 39.5)
            .fault(40.0, FaultPhase::Applied)
            .leader(60.0, "pg2")
    }

    fn codes(rules: &Rules, script: &Script) -> Vec<&'static str> {
        durability::judge(rules, &script.history()).violations().iter().map(Violation::code).collect()
    }

    #[test]
    fn an_undisturbed_winner_has_what_any_one_standby_had() {
        assert_eq!(codes(&names("*"), &lossy()), ["lost_writes"]);
        assert_eq!(codes(&names("ANY 1 (pg1, pg2, pg3)"), &lossy()), ["lost_writes"]);
        assert_eq!(codes(&names("*"), &failover().rows(90.0, "pg2", true, 0..10)), [""; 0]);
        assert_eq!(codes(&rules(json!({})), &lossy()), [""; 0], "nobody was waited for");
    }

    #[test]
    fn whoever_may_lack_it_may_win_when_another_is_disturbed_too_or_must_not_lead() {
        let third = |script: Script| {
            script.push(
                41.0,
                "lab",
                crate::event::What::Fault {
                    index: 1,
                    text: "freeze pg3".into(),
                    phase: FaultPhase::Applied,
                    targets: vec!["pg3".into()],
                },
            )
        };
        assert_eq!(codes(&names("*"), &third(lossy())), [""; 0]);
        // Two are waited for: the winner is one of them whatever happens to the other.
        for all in ["2 (*)", "ANY 2 (pg2,pg3)", "FIRST 2 (\"pg3\",pg2)"] {
            assert_eq!(codes(&names(all), &third(lossy())), ["lost_writes"], "{all}");
        }
        let tags = Tags { nofailover: Some(true), ..Tags::default() };
        let barred = Rules { tags: [("pg3".to_owned(), tags)].into(), ..names("*") };
        assert_eq!(codes(&barred, &lossy()), [""; 0], "pg3 alone may have it");
        assert_eq!(codes(&names("pg3"), &third(lossy())), [""; 0]);
    }

    #[test]
    fn nobody_waits_without_synchronous_commit_or_names_that_count() {
        let off = rules(json!({"synchronous_standby_names": "2 (*)", "synchronous_commit": "local"}));
        assert_eq!(codes(&off, &lossy()), [""; 0]);
        for nothing in ["", "ANY x (a)", "0 (*)"] {
            assert_eq!(codes(&names(nothing), &lossy()), [""; 0], "{nothing:?}");
        }
        let asked = lossy().dcs(39.9, "failover", r#"{"leader":"pg1","member":"pg2"}"#);
        assert_eq!(codes(&names("*"), &asked), [""; 0], "a switchover has rules of its own");
    }

    #[test]
    fn what_is_edited_counts_once_it_had_time_to_come_into_force() {
        let edit = |at: f64, names: &str| {
            let config = json!({"postgresql": {"parameters": {"synchronous_standby_names": names}}});
            lossy().dcs(at, "config", &config.to_string())
        };
        assert_eq!(codes(&rules(json!({})), &edit(5.0, "*")), ["lost_writes"]);
        assert_eq!(codes(&rules(json!({})), &edit(35.0, "*")), [""; 0], "too soon before the lost write");
        assert_eq!(codes(&names("*"), &edit(5.0, "")), [""; 0], "taken back");
        let managed = lossy().dcs(5.0, "config", r#"{"synchronous_mode": "on"}"#);
        assert_eq!(codes(&names("*"), &managed), [""; 0], "then /sync says whom commits wait for");
    }
}
