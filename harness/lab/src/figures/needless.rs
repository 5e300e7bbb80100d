//! Changes of leadership that nobody needed: the leader that lost its key had been left alone.

use crate::{
    event::At,
    history::{FaultRecord, History, Term},
};

/// How often the leader key passed to another node although no line of the timeline had touched its holder while that one led: no fault
/// of its host or of a link of its, and no operator's request about it. A failover that a lost DCS, a slow network elsewhere or tight
/// settings brought about is needless in this sense.
#[must_use]
pub fn needless_leader_changes(history: &History<'_>) -> u64 {
    let terms = history.keys.terms();
    let changes = terms.iter().enumerate().filter(|(_, term)| term.previous.is_some_and(|other| other != term.holder));
    changes.filter(|(n, term)| !was_touched(history, before(terms, *n), term.from)).count() as u64
}

/// The term that a change ended.
fn before<'a, 'e>(terms: &'a [Term<'e>], change: usize) -> &'a Term<'e> {
    &terms[change - 1]
}

/// Whether anything of the timeline touched the holder during the term or until the next one began.
fn was_touched(history: &History<'_>, term: &Term<'_>, next: At) -> bool {
    let stood = |record: &FaultRecord<'_>| {
        let still = record.ended.is_none_or(|ended| ended >= term.from);
        record.applied.iter().any(|(at, _)| *at <= next && (*at >= term.from || still))
    };
    history.faults.all().any(|(_, record)| record.targets.contains(&term.holder) && stood(record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{FaultPhase, What},
        history::script::Script,
    };

    /// A line of the timeline about these hosts.
    fn line(script: Script, seconds: f64, index: usize, phase: FaultPhase, targets: &[&str]) -> Script {
        let targets = targets.iter().map(|&target| target.to_owned()).collect();
        script.push(seconds, "", What::Fault { index, text: format!("line {index}"), phase, targets })
    }

    /// pg1 leads, something happens, pg2 leads.
    fn needless(play: impl FnOnce(Script) -> Script) -> u64 {
        let script = play(Script::new().leader(5.0, "pg1")).no_leader(40.0).leader(41.0, "pg2");
        needless_leader_changes(&script.history())
    }

    #[test]
    fn a_leader_that_was_left_alone_was_replaced_needlessly() {
        assert_eq!(needless(|script| script), 1, "nothing happened");
        let elsewhere = |script| line(script, 20.0, 0, FaultPhase::Applied, &["etcd1", "pg3"]);
        assert_eq!(needless(elsewhere), 1);
    }

    #[test]
    fn a_leader_that_was_touched_while_it_led_was_not() {
        let cut = |script| line(script, 20.0, 0, FaultPhase::Applied, &["pg1", "etcd1"]);
        assert_eq!(needless(cut), 0);
        let over = |script| line(cut(script), 30.0, 0, FaultPhase::Ended, &[]);
        assert_eq!(needless(over), 0, "what is over may have its effect yet");
        let before = |script| line(script, 1.0, 0, FaultPhase::Applied, &["pg1"]);
        assert_eq!(needless(before), 0, "it stood when the node took the key, and stands");
        let long_over = |script| line(before(script), 2.0, 0, FaultPhase::Ended, &[]);
        assert_eq!(needless(long_over), 1);
    }

    #[test]
    fn whoever_takes_the_key_again_changes_nothing() {
        let script = Script::new().leader(5.0, "pg1").no_leader(40.0).leader(41.0, "pg1");
        assert_eq!(needless_leader_changes(&script.history()), 0);
    }
}
