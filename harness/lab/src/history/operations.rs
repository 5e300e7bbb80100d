//! Client operations: invocation and return paired.
//!
//! An operation took effect, if it did, at some moment between its invocation and its return. One that never returned is
//! unknown: it may take effect at any later time or never.

use std::collections::BTreeMap;

use crate::event::{Action, At, Event, Outcome};

/// How an operation ended, as far as the client can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The server said yes; reads carry what was found.
    Acknowledged(Option<u64>),
    /// It certainly did not happen.
    Refused,
    /// Nobody can say.
    Unknown,
}

/// One client operation.
#[derive(Clone, Debug)]
pub struct Operation<'a> {
    /// Its number in the run.
    pub op: u64,
    /// The client that sent it.
    pub client: &'a str,
    /// What it asked for.
    pub action: &'a Action,
    /// When it was sent.
    pub invoked_at: At,
    /// Ordinal of the invocation.
    pub invoked: u64,
    /// When and at which ordinal it returned; `None` when it never did.
    pub returned: Option<(At, u64)>,
    /// How it ended.
    pub answer: Answer,
    /// The node that answered, where known.
    pub server: Option<&'a str>,
}

impl Operation<'_> {
    /// The id and key, for a write.
    #[must_use]
    pub fn write(&self) -> Option<(u64, u32)> {
        match self.action {
            Action::Write { id, key } => Some((*id, *key)),
            Action::Read { .. } => None,
        }
    }

    /// When the answer arrived, if the server said yes.
    #[must_use]
    pub fn acknowledged_at(&self) -> Option<At> {
        matches!(self.answer, Answer::Acknowledged(_)).then_some(self.returned?.0)
    }

    /// The ordinals of its events.
    #[must_use]
    pub fn ordinals(&self) -> Vec<u64> {
        std::iter::once(self.invoked).chain(self.returned.map(|(_, ordinal)| ordinal)).collect()
    }
}

/// All client operations, in the order of invocation.
#[derive(Clone, Debug, Default)]
pub struct Operations<'a> {
    all: Vec<Operation<'a>>,
    by_op: BTreeMap<u64, usize>,
}

impl<'a> Operations<'a> {
    pub(super) fn invoke(&mut self, event: &'a Event, op: u64, action: &'a Action) {
        // A number used twice would mix two operations up: the later one keeps it, the earlier stays unknown.
        self.by_op.insert(op, self.all.len());
        self.all.push(Operation {
            op,
            client: &event.node,
            action,
            invoked_at: event.at,
            invoked: event.ordinal,
            returned: None,
            answer: Answer::Unknown,
            server: None,
        });
    }

    pub(super) fn end(&mut self, event: &'a Event, op: u64, outcome: &Outcome, server: Option<&'a str>) {
        // A return without an invocation tells of nothing that could be judged.
        let Some(operation) = self.by_op.get(&op).and_then(|i| self.all.get_mut(*i)) else { return };
        if operation.returned.is_some() {
            return;
        }
        operation.returned = Some((event.at, event.ordinal));
        operation.server = server;
        operation.answer = match outcome {
            Outcome::Acknowledged { value } => Answer::Acknowledged(*value),
            Outcome::Refused { .. } => Answer::Refused,
            Outcome::Unknown { .. } => Answer::Unknown,
        };
    }

    /// All of them, in the order of invocation.
    #[must_use]
    pub fn all(&self) -> &[Operation<'a>] {
        &self.all
    }

    /// The writes, in the order of invocation.
    pub fn writes(&self) -> impl Iterator<Item = &Operation<'a>> {
        self.all.iter().filter(|operation| operation.write().is_some())
    }

    /// The writes that a server acknowledged, in the order of invocation.
    pub fn acknowledged_writes(&self) -> impl Iterator<Item = &Operation<'a>> {
        self.writes().filter(|operation| operation.acknowledged_at().is_some())
    }
}
