//! **Timelines.** No two nodes write one timeline, every timeline has one history, and nobody follows a timeline that
//! branched off before the node's own position without a rewind or a new base backup.
//!
//! Source: PostgreSQL's documentation, "Timelines" and `pg_rewind`: a promotion starts a new timeline, and the history file
//! tells where it branched off; WAL beyond that point belongs to another past.
//!
//! Whether a node was rewound is not seen directly. A rewind needs PostgreSQL to be stopped, so following across a fork is
//! certain only if its process ran all the while between two probes; where a world reports nothing of the process, it is not
//! judged. A standby counts by what it has *replayed*: received WAL of the old timeline is still set aside when it turns to
//! the new one.
//!
//! Limits: forks that no probe saw. Entries that `max_timelines_history` cut from the `history` key are not missed.

use std::collections::BTreeMap;

use super::{Broken, Finding, Violation, violation};
use crate::{
    event::SqlState,
    history::{History, SqlProbe},
};

/// Judges the rule.
#[must_use]
pub fn judge(history: &History<'_>) -> Finding {
    let answered = |node| history.probes.sql(node).iter().any(|probe| probe.state.is_some());
    if !history.probes.sql_nodes().any(answered) {
        return Finding::unknown("no SQL probe was answered");
    }
    let mut violations = two_primaries(history);
    violations.extend(two_histories(history));
    for node in history.probes.sql_nodes() {
        violations.extend(followed_across_fork(history, node));
    }
    violations.extend(history_key(history));
    Finding::of(violations)
}

/// Every answered probe of every node, with the timeline it tells of.
fn answers<'h, 'a>(history: &'h History<'a>) -> impl Iterator<Item = (&'a str, &'h SqlProbe<'a>, &'a SqlState)> {
    history.probes.sql_nodes().flat_map(move |node| {
        let probes = history.probes.sql(node).iter();
        probes.filter_map(move |probe| Some((node, probe, probe.state.filter(|state| state.timeline > 0)?)))
    })
}

fn fork(first: (&str, &SqlProbe<'_>), second: (&str, &SqlProbe<'_>), timeline: u32, why: String) -> Violation {
    let ((node, probe), (other, probe_of_other)) = (first, second);
    let broken = Broken::TimelineFork { timeline, node: node.to_owned(), other: other.to_owned(), why };
    violation(probe.at.max(probe_of_other.at), vec![probe.ordinal, probe_of_other.ordinal], broken)
}

/// Two nodes out of recovery on one timeline, at whatever times: its number was used twice, or its writer was copied.
fn two_primaries(history: &History<'_>) -> Vec<Violation> {
    let mut writers: BTreeMap<u32, BTreeMap<&str, &SqlProbe<'_>>> = BTreeMap::new();
    for (node, probe, state) in answers(history).filter(|(_, _, state)| !state.in_recovery) {
        writers.entry(state.timeline).or_default().entry(node).or_insert(probe);
    }
    let mut violations = Vec::new();
    for (timeline, writers) in writers {
        let mut by_time: Vec<_> = writers.into_iter().collect();
        by_time.sort_by_key(|(_, probe)| (probe.at, probe.ordinal));
        for pair in by_time.windows(2) {
            violations.push(fork(pair[0], pair[1], timeline, "both wrote it".to_owned()));
        }
    }
    violations
}

/// Two nodes that tell different histories of one timeline, the first difference of each timeline.
fn two_histories(history: &History<'_>) -> Vec<Violation> {
    let mut told: BTreeMap<u32, (&str, &SqlProbe<'_>, &SqlState)> = BTreeMap::new();
    let mut violations: BTreeMap<u32, Violation> = BTreeMap::new();
    // A standby that has not fetched the history file yet tells none: that is no contradiction.
    for (node, probe, state) in answers(history).filter(|(_, _, state)| !state.history.is_empty()) {
        let (other, other_probe, first) = *told.entry(state.timeline).or_insert((node, probe, state));
        if first.history != state.history {
            violations.entry(state.timeline).or_insert_with(|| {
                let why = format!("histories differ, {:?} and {:?}", first.history, state.history);
                fork((other, other_probe), (node, probe), state.timeline, why)
            });
        }
    }
    violations.into_values().collect()
}

/// A node that had replayed (or, as a primary, written) past the point where the timeline it now follows branched off.
fn followed_across_fork(history: &History<'_>, node: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let probes = history.probes.sql(node).iter().filter_map(|probe| Some((probe, probe.state?)));
    let mut last: Option<(&SqlProbe<'_>, &SqlState)> = None;
    for (probe, state) in probes.filter(|(_, state)| state.timeline > 0) {
        let Some((before_probe, before)) = last.replace((probe, state)) else { continue };
        if before.timeline == state.timeline || !state.in_recovery {
            continue;
        }
        let position = if before.in_recovery { before.replayed_lsn } else { Some(before.lsn) };
        let branched = state.history.iter().find(|(timeline, _)| *timeline == before.timeline);
        let Some((replayed_lsn, (_, switch_lsn))) = position.zip(branched) else { continue };
        if replayed_lsn > *switch_lsn
            && !history.processes.may_have_restarted(node, "postgres", before_probe.asked_at, probe.at)
        {
            let broken = Broken::StreamedAcrossFork {
                node: node.to_owned(),
                from_timeline: before.timeline,
                to_timeline: state.timeline,
                switch_lsn: *switch_lsn,
                replayed_lsn,
            };
            violations.push(violation(probe.at, vec![before_probe.ordinal, probe.ordinal], broken));
        }
    }
    violations
}

/// The last `history` key against the last history file that a primary told.
fn history_key(history: &History<'_>) -> Vec<Violation> {
    let told = answers(history)
        .filter(|(_, _, state)| !state.in_recovery && !state.history.is_empty())
        .max_by_key(|(_, probe, _)| (probe.at, probe.ordinal));
    let Some((_, probe, state)) = told else { return Vec::new() };
    let Some(version) = history.keys.versions("history").last() else { return Vec::new() };
    let entries = version.json().and_then(|json| json.as_array().cloned()).unwrap_or_default();
    let mut violations = Vec::new();
    for entry in entries {
        let number = |i: usize| entry.get(i).and_then(serde_json::Value::as_u64);
        let (Some(timeline), Some(dcs_lsn)) = (number(0), number(1)) else { continue };
        let in_file = state.history.iter().find(|(of_file, _)| u64::from(*of_file) == timeline);
        if let Some((timeline, file_lsn)) = in_file.filter(|(_, file_lsn)| *file_lsn != dcs_lsn) {
            let broken = Broken::HistoryMismatch { timeline: *timeline, dcs_lsn, file_lsn: *file_lsn };
            violations.push(violation(probe.at.max(version.at), vec![version.ordinal, probe.ordinal], broken));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{
        event::{ProcessState, SqlState},
        history::script::{Script, primary, standby},
        oracle::Finding,
    };

    fn codes(script: &Script) -> Vec<&'static str> {
        judge(&script.history()).violations().iter().map(super::Violation::code).collect()
    }

    #[test]
    fn a_promotion_to_a_new_timeline_that_the_others_follow_passes() {
        let script = Script::new()
            .process(0.5, "pg3", "postgres", ProcessState::Started)
            .sql(1.0, "pg1", Some(primary(1, 900)))
            .sql(1.0, "pg3", Some(standby(1, 900, "pg1")))
            .sql(5.0, "pg2", Some(primary(2, 1_100)))
            .sql(6.0, "pg3", Some(standby(2, 1_100, "pg2")))
            .dcs(7.0, "history", r#"[[1,1000,"no recovery target specified"]]"#);
        assert_eq!(judge(&script.history()), Finding::Pass);
    }

    #[test]
    fn two_nodes_that_wrote_one_timeline_are_a_fork() {
        let script = Script::new().sql(1.0, "pg1", Some(primary(2, 900))).sql(9.0, "pg2", Some(primary(2, 900)));
        assert_eq!(codes(&script), ["timeline_fork"]);
    }

    #[test]
    fn one_timeline_with_two_histories_is_a_fork_even_on_a_replica() {
        let other = SqlState { history: vec![(1, 777)], ..standby(2, 900, "pg1") };
        let script = Script::new().sql(1.0, "pg1", Some(primary(2, 900))).sql(9.0, "pg2", Some(other));
        assert_eq!(codes(&script), ["timeline_fork"]);
    }

    #[test]
    fn following_across_a_fork_needs_a_restart_in_between() {
        // Timeline 2 branched off at 1000; pg3 had replayed 1500 of timeline 1.
        let moved = |restarted: bool| {
            let script = Script::new().process(0.5, "pg3", "postgres", ProcessState::Started);
            let script = script.sql(1.0, "pg3", Some(standby(1, 1_500, "pg1")));
            let script = if restarted { script.process(3.0, "pg3", "postgres", ProcessState::Exited) } else { script };
            script.sql(6.0, "pg3", Some(standby(2, 1_600, "pg2")))
        };
        assert_eq!(codes(&moved(false)), ["streamed_across_fork"]);
        assert_eq!(codes(&moved(true)), [""; 0]);
    }

    #[test]
    fn where_nothing_is_known_of_the_process_following_is_not_judged() {
        let script = Script::new().sql(1.0, "pg3", Some(standby(1, 1_500, "pg1")));
        assert_eq!(codes(&script.sql(6.0, "pg3", Some(standby(2, 1_600, "pg2")))), [""; 0]);
    }

    #[test]
    fn the_history_key_must_agree_with_the_history_file() {
        let script = Script::new().sql(5.0, "pg2", Some(primary(2, 1_100)));
        assert_eq!(codes(&script.dcs(7.0, "history", r#"[[1,999,"reason"]]"#)), ["history_mismatch"]);
    }

    #[test]
    fn without_answers_nobody_can_say() {
        let finding = judge(&Script::new().sql(1.0, "pg1", None).history());
        assert!(matches!(finding, Finding::Unknown { .. }), "{finding:?}");
    }
}
