//! **Expected end.** A run that is not to end well ends as its scenario says (`expect.end`).
//!
//! Source: the scenario. *Healthy* and *writable* ends are the recovery oracle's matter.
//!
//! Judged by what was seen last: the leader key and the `config` key, each node's last SQL probe, the last write that was
//! tried. What the world does after the scenario is over must not be in the events before it is judged.

use super::{Broken, Finding, violation};
use crate::{
    history::{Answer, History},
    rules::Rules,
    scenario::End,
};

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    let found = match rules.expected_end() {
        End::Healthy | End::Writable => return Finding::not_applicable("a good end is judged by recovery"),
        End::Paused => not_paused(history),
        End::ReadOnly => not_read_only(history),
        End::NoLeader => leader(history),
        End::Unavailable => answers(history)
            .next()
            .map(|(node, ordinal)| (format!("no PostgreSQL was to answer at the end, but {node} does"), Some(ordinal))),
    };
    let wrong = |(why, ordinal): (String, Option<u64>)| {
        violation(history.end, ordinal.into_iter().collect(), Broken::WrongEnd { why })
    };
    Finding::of(found.map(wrong).into_iter().collect())
}

/// What was found instead, with the event that shows it.
type Found = Option<(String, Option<u64>)>;

fn not_paused(history: &History<'_>) -> Found {
    if history.keys.paused_within(history.end, history.end) {
        return None;
    }
    let shown_by = history.keys.versions("config").last().map(|version| version.ordinal);
    Some(("the cluster was to be paused at the end, but it is not".to_owned(), shown_by))
}

fn not_read_only(history: &History<'_>) -> Found {
    let last = history.operations.writes().last().filter(|write| matches!(write.answer, Answer::Acknowledged(_)));
    if let Some(write) = last {
        let why = "writes were not to be answered at the end, but the last one was acknowledged".to_owned();
        return Some((why, write.returned.map(|(_, ordinal)| ordinal)));
    }
    answers(history)
        .next()
        .is_none()
        .then(|| ("reads were to be answered at the end, but no PostgreSQL does".into(), None))
}

fn leader(history: &History<'_>) -> Found {
    let term = history.keys.terms().last().filter(|term| term.until.is_none())?;
    Some((format!("nobody was to hold the leader key at the end, but {} does", term.holder), Some(term.taken)))
}

/// The nodes whose last SQL probe was answered, with its ordinal.
fn answers<'h, 'a>(history: &'h History<'a>) -> impl Iterator<Item = (&'a str, u64)> + 'h {
    history.probes.sql_nodes().filter_map(|node| {
        let last = history.probes.sql(node).last()?;
        last.state.map(|_| (node, last.ordinal))
    })
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{
        history::script::{Script, standby},
        oracle::Finding,
        rules::Rules,
        scenario::{End, Expect},
    };

    fn holds(end: End, script: &Script) -> bool {
        let rules = Rules { expect: Expect { end: Some(end), ..Expect::default() }, ..Rules::default() };
        match judge(&rules, &script.history()) {
            Finding::Pass => true,
            Finding::Violated { violations } => {
                assert_eq!(violations[0].code(), "wrong_end");
                false
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_end_without_a_leader() {
        assert!(holds(End::NoLeader, &Script::new().leader(1.0, "pg1").no_leader(5.0)));
        assert!(!holds(End::NoLeader, &Script::new().leader(1.0, "pg1")));
    }

    #[test]
    fn an_end_in_maintenance_mode() {
        let paused = Script::new().dcs(1.0, "config", r#"{"pause":true}"#);
        assert!(holds(End::Paused, &paused));
        assert!(!holds(End::Paused, &paused.dcs(2.0, "config", r#"{"pause":false}"#)));
    }

    #[test]
    fn an_end_at_which_only_reads_are_answered() {
        let reading = Script::new().write("pg1", 1.0, 1.1).sql(5.0, "pg2", Some(standby(1, 1, "")));
        assert!(!holds(End::ReadOnly, &reading));
        assert!(holds(End::ReadOnly, &reading.clone().refused(3.0, 3.1)));
        assert!(!holds(End::ReadOnly, &reading.refused(3.0, 3.1).sql(6.0, "pg2", None)));
    }

    #[test]
    fn an_end_at_which_nothing_answers() {
        let answered = Script::new().sql(5.0, "pg2", Some(standby(1, 1, "")));
        assert!(!holds(End::Unavailable, &answered));
        assert!(holds(End::Unavailable, &answered.sql(6.0, "pg2", None)));
    }

    #[test]
    fn a_good_end_is_left_to_recovery() {
        assert!(matches!(judge(&Rules::default(), &Script::new().history()), Finding::NotApplicable { .. }));
    }
}
