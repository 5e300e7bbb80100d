//! The general check: a search for an order of the operations.
//!
//! Source: the algorithm of J. Wing and C. Gong, "Testing and verifying concurrent objects" (1993), with the memory of what was
//! tried that G. Lowe added in "Testing for linearizability" (2017). The search is bounded in steps, not in time: the same
//! events always get the same answer, and beyond the bound nobody can say.

use std::collections::BTreeSet;

use super::{Check, Register};
use crate::event::At;

/// Enough for thousands of operations with a few under way at a time; a fraction of a second.
const STEPS_AT_MOST: u64 = 300_000;

/// What an operation does to a register that keeps the largest id.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Write(u64),
    Read(Option<u64>),
}

/// An operation that took effect at one moment between its two ends.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: At,
    to: At,
    effect: Effect,
}

impl Span {
    /// The register after the operation; `None` if it cannot be the next one.
    fn applied_to(self, register: Option<u64>) -> Option<Option<u64>> {
        match self.effect {
            Effect::Write(id) => Some(register.max(Some(id))),
            Effect::Read(value) => (value == register).then_some(register),
        }
    }
}

/// Searches for an order that explains every read.
pub(super) fn check<'h, 'a>(register: &Register<'h, 'a>) -> Check<'h, 'a> {
    match explained(&spans(register), STEPS_AT_MOST) {
        Some(true) => Check::Linearizable,
        Some(false) => Check::NoOrder,
        None => Check::TooLong,
    }
}

/// Operations that have been put in order: all before `first`, which has not, and those of `later`. In this form the memory of
/// what was tried stays small, since only what is under way together can be out of the order of its invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    first: usize,
    later: BTreeSet<usize>,
}

impl Placed {
    fn holds(&self, index: usize) -> bool {
        index < self.first || self.later.contains(&index)
    }

    fn with(&self, index: usize) -> Self {
        let mut placed = self.clone();
        placed.later.insert(index);
        while placed.later.remove(&placed.first) {
            placed.first += 1;
        }
        placed
    }

    /// What may come next: everything that was invoked before any other that is not placed has returned. As `spans` are sorted
    /// by their beginning, one that comes later returns no earlier than what stands before began.
    fn next(&self, spans: &[Span]) -> Vec<usize> {
        let mut next = Vec::new();
        let mut first_return = At(u64::MAX);
        for (index, span) in spans.iter().enumerate().skip(self.first).filter(|(index, _)| !self.holds(*index)) {
            if span.from > first_return {
                break;
            }
            first_return = first_return.min(span.to);
            next.push(index);
        }
        next
    }
}

/// Whether an order explains every read of `spans`, sorted by their beginning; `None` after `steps_at_most` steps.
fn explained(spans: &[Span], steps_at_most: u64) -> Option<bool> {
    let mut tried = BTreeSet::new();
    let mut open = vec![(Placed::default(), None)];
    let mut steps = 0;
    while let Some((placed, register)) = open.pop() {
        if placed.first == spans.len() {
            return Some(true);
        }
        for index in placed.next(spans).into_iter().rev() {
            steps += 1;
            if steps > steps_at_most {
                return None;
            }
            if let Some(register) = spans[index].applied_to(register) {
                let reached = (placed.with(index), register);
                if tried.insert(reached.clone()) {
                    open.push(reached);
                }
            }
        }
    }
    Some(false)
}

/// The operations that are to be ordered, sorted by their beginning.
fn spans(register: &Register<'_, '_>) -> Vec<Span> {
    let mut spans = Vec::new();
    for (write, id) in &register.writes {
        // An unknown write that nobody read need not have happened: a larger register can only contradict more reads. One
        // that was read happened before the first such read returned, which spares the search an operation without an end.
        let end = write.acknowledged_at().or_else(|| {
            let reads = register.reads.iter().filter(|(_, value)| *value == Some(*id));
            reads.filter_map(|(read, _)| read.acknowledged_at()).min()
        });
        if let Some(to) = end.filter(|end| *end >= write.invoked_at) {
            spans.push(Span { from: write.invoked_at, to, effect: Effect::Write(*id) });
        }
    }
    for (read, value) in &register.reads {
        let to = read.acknowledged_at().unwrap_or(read.invoked_at);
        spans.push(Span { from: read.invoked_at, to, effect: Effect::Read(*value) });
    }
    spans.sort_by_key(|span| span.from);
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every order is tried, one after the other.
    fn explained_by_brute_force(left: &[Span], register: Option<u64>) -> bool {
        left.is_empty()
            || left.iter().enumerate().any(|(index, span)| {
                let others =
                    || left.iter().enumerate().filter(move |(other, _)| *other != index).map(|(_, other)| *other);
                let may_come_next = others().all(|other| span.from <= other.to);
                may_come_next
                    && span
                        .applied_to(register)
                        .is_some_and(|register| explained_by_brute_force(&others().collect::<Vec<_>>(), register))
            })
    }

    prop_compose! {
        fn a_span()(from in 0u64..20, length in 0u64..8, is_read: bool, id in 0u64..4) -> Span {
            let effect = if is_read { Effect::Read((id > 0).then_some(id)) } else { Effect::Write(id + 1) };
            Span { from: At(from), to: At(from + length), effect }
        }
    }

    proptest! {
        #[test]
        fn the_search_finds_what_trying_every_order_finds(mut spans in proptest::collection::vec(a_span(), 0..7)) {
            spans.sort_by_key(|span| span.from);
            prop_assert_eq!(explained(&spans, STEPS_AT_MOST), Some(explained_by_brute_force(&spans, None)));
        }
    }

    #[test]
    fn thousands_of_operations_are_judged_within_the_bound() {
        // Four clients at any time; ids are sent in an order of their own.
        let spans: Vec<Span> = (0..5_000)
            .map(|n| {
                let effect = if n % 2 == 0 { Effect::Write((n / 2) ^ 1) } else { Effect::Read(Some((n / 2) | 1)) };
                Span { from: At(n * 10), to: At(n * 10 + 35), effect }
            })
            .collect();
        assert_eq!(explained(&spans, STEPS_AT_MOST), Some(true));
    }

    #[test]
    fn a_search_without_an_end_is_given_up() {
        // All at once, and one read that nothing explains.
        let mut spans: Vec<Span> =
            (0..40).map(|id| Span { from: At(0), to: At(100), effect: Effect::Write(id) }).collect();
        spans.push(Span { from: At(0), to: At(100), effect: Effect::Read(Some(1_000)) });
        assert_eq!(explained(&spans, 10_000), None);
    }
}
