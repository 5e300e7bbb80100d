//! **Linearizability per key.** Each key is a register that keeps the largest id written to it: there is one order of its
//! reads and writes, in agreement with real time, that explains every value read.
//!
//! Source: M. Herlihy, J. Wing, "Linearizability: a correctness condition for concurrent objects" (1990). Promised where the
//! cluster promises to lose nothing: with synchronous replication of every acknowledged write, or while there was no change
//! of leadership. Reads and writes of different keys are independent, so keys are judged one by one.
//!
//! Because ids grow in the order of invocation, no search is needed. Order the operations by value, writes before reads: that
//! order is a linearization unless one of these is so, and none of them can be so in any linearization:
//! - a read returned a value that nobody had sent when it returned;
//! - a read returned less than a write that was acknowledged, or another read that had returned, before it was sent.
//!
//! An unknown write may apply at any later time or never: it excuses what it could explain, and demands nothing. If ids do
//! not grow (a foreign workload), an order is searched for instead.
//!
//! Limits: reads answered while their server did not certainly hold the leader key are left out: how long an old leader may
//! go on answering is the fencing margin's matter. Reads of an unknown outcome say nothing.

mod search;

use std::collections::BTreeMap;

use super::{Broken, Finding, durability::protected, own_names, violation};
use crate::{
    event::{Action, At},
    history::{Answer, History, Operation},
    rules::Rules,
    scenario::SynchronousMode,
};

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    let one_leader = history.keys.leader_changes().next().is_none();
    if !one_leader {
        let own = || own_names::configured(rules, history, history.begin).is_some();
        if rules.synchronous_mode == SynchronousMode::Off && !own() {
            return Finding::not_applicable("asynchronous replication promises nothing across a change of leadership");
        }
        if !history.operations.acknowledged_writes().all(|write| protected(rules, history, write)) {
            return Finding::not_applicable("not every acknowledged write was under synchronous replication");
        }
    }
    let registers = registers(history, one_leader);
    if registers.values().all(|register| register.reads.is_empty()) {
        return Finding::not_applicable("nobody read");
    }
    let mut violations = Vec::new();
    let mut unknown = None;
    for (key, register) in &registers {
        match register.check() {
            Check::Linearizable => {}
            Check::Contradiction { read, other, why } => {
                let ordinals = other.iter().flat_map(|op| op.ordinals()).chain(read.ordinals()).collect();
                let at = read.returned.map_or(read.invoked_at, |(at, _)| at);
                violations.push(violation(at, ordinals, Broken::NotLinearizable { key: *key, why }));
            }
            Check::NoOrder => {
                let ordinals = register.reads.iter().flat_map(|(read, _)| read.ordinals()).collect();
                let why = "no order of its operations explains what was read".to_owned();
                violations.push(violation(history.end, ordinals, Broken::NotLinearizable { key: *key, why }));
            }
            Check::TooLong => unknown = Some(format!("the search for an order of key {key} was given up")),
        }
    }
    Finding::of_or_unknown(violations, unknown)
}

/// The operations of one key that count.
#[derive(Clone, Debug, Default)]
struct Register<'h, 'a> {
    /// Acknowledged and unknown writes with their ids, in the order of invocation. Refused ones did not happen.
    writes: Vec<(&'h Operation<'a>, u64)>,
    /// Acknowledged reads with the value found (`None`: no row), in the order of invocation.
    reads: Vec<(&'h Operation<'a>, Option<u64>)>,
}

/// What came of checking one key.
enum Check<'h, 'a> {
    Linearizable,
    /// A read that nothing can explain, with the operation that contradicts it.
    Contradiction {
        read: &'h Operation<'a>,
        other: Option<&'h Operation<'a>>,
        why: String,
    },
    /// The search found no order.
    NoOrder,
    /// The search was given up.
    TooLong,
}

fn registers<'h, 'a>(history: &'h History<'a>, one_leader: bool) -> BTreeMap<u32, Register<'h, 'a>> {
    let mut registers: BTreeMap<u32, Register<'h, 'a>> = BTreeMap::new();
    for operation in history.operations.all() {
        match (operation.action, operation.answer) {
            (_, Answer::Refused) | (Action::Read { .. }, Answer::Unknown) => {}
            (Action::Write { id, key }, _) => registers.entry(*key).or_default().writes.push((operation, *id)),
            (Action::Read { key }, Answer::Acknowledged(value)) => {
                let answered_by_leader = operation
                    .server
                    .zip(operation.returned)
                    .is_none_or(|(server, (at, _))| history.keys.held_throughout(server, operation.invoked_at, at));
                if one_leader || answered_by_leader {
                    registers.entry(*key).or_default().reads.push((operation, value));
                }
            }
        }
    }
    registers
}

impl<'h, 'a> Register<'h, 'a> {
    fn check(&self) -> Check<'h, 'a> {
        if !self.writes.is_sorted_by(|(_, a), (_, b)| a < b) {
            return search::check(self);
        }
        self.contradiction().unwrap_or(Check::Linearizable)
    }

    /// The first read that nothing can explain, by sweeping the reads in the order of invocation beside everything that had
    /// returned before, in the order of return.
    fn contradiction(&self) -> Option<Check<'h, 'a>> {
        let sent: BTreeMap<u64, &'h Operation<'a>> = self.writes.iter().map(|(write, id)| (*id, *write)).collect();
        let mut floor: Vec<(At, u64, &'h Operation<'a>)> = Vec::new();
        floor.extend(self.writes.iter().filter_map(|(write, id)| Some((write.acknowledged_at()?, *id, *write))));
        floor.extend(self.reads.iter().filter_map(|(read, value)| Some((read.acknowledged_at()?, (*value)?, *read))));
        floor.sort_by_key(|(at, value, _)| (*at, *value));

        let mut returned = floor.into_iter().peekable();
        let mut highest: Option<(u64, &'h Operation<'a>)> = None;
        for (read, value) in self.reads.iter().copied() {
            while let Some((_, value, operation)) = returned.next_if(|(at, ..)| *at < read.invoked_at) {
                if highest.is_none_or(|(high, _)| value > high) {
                    highest = Some((value, operation));
                }
            }
            let returned_at = read.acknowledged_at().unwrap_or(read.invoked_at);
            if let Some(id) = value.filter(|id| sent.get(id).is_none_or(|write| write.invoked_at > returned_at)) {
                let why = format!("a read returned {id}, which nobody had sent to this key");
                return Some(Check::Contradiction { read, other: sent.get(&id).copied(), why });
            }
            if let Some((high, other)) = highest.filter(|(high, _)| value.is_none_or(|value| value < *high)) {
                let found = value.map_or("nothing".to_owned(), |value| value.to_string());
                let why = format!("a read returned {found} after {high} had been acknowledged or read");
                return Some(Check::Contradiction { read, other: Some(other), why });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
