//! Violations as values: which rule was broken, by whom, when, and the events that show it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::At;

/// A rule was certainly broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// When it became certain.
    pub at: At,
    /// [`crate::event::Event::ordinal`] of the events that show it, in the order of the argument.
    pub ordinals: Vec<u64>,
    /// What was broken.
    #[serde(flatten)]
    pub broken: Broken,
}

impl Violation {
    /// The violation's code as scenarios name it in `shows`: `two_writers`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.broken.code()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.at, self.code(), self.broken)
    }
}

/// Declares the violations once: variant with data, code, and the sentence people read.
macro_rules! violations {
    ($($(#[$doc:meta])* $variant:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }
        = $code:literal, $sentence:literal;)*) => {
        /// What was broken, with the facts.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "code")]
        pub enum Broken {
            $($(#[$doc])* #[serde(rename = $code)] $variant { $($(#[$field_doc])* $field: $type),* },)*
        }

        impl Broken {
            /// The code as scenarios name it in `shows`.
            #[must_use]
            pub fn code(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $code,)*
                }
            }

            /// Every code there is, so that a scenario's `shows` can be checked before anything runs.
            pub const CODES: &'static [&'static str] = &[$($code),*];
        }

        impl fmt::Display for Broken {
            #[allow(unused_variables, reason = "a sentence need not tell every fact")]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant { $($field),* } => write!(f, $sentence),)*
                }
            }
        }
    };
}

violations! {
    /// Two nodes acknowledged writes in overlapping intervals.
    TwoWriters {
        /// The one of the two that did not hold the leader key.
        node: String,
        /// The other.
        other: String,
        /// How many writes `node` acknowledged among those of `other`, without having taken the leader key.
        writes: usize,
    } = "two_writers",
        "{node} acknowledged {writes} write(s) while {other} was writing, without having taken the leader key";
    /// A node acknowledged writes long after its leader key had gone.
    FencingMargin {
        /// The node.
        node: String,
        /// Who holds the key instead, if anybody.
        holder: Option<String>,
        /// For how long the key had been gone when the last of the writes was sent, in milliseconds; `None`: never held.
        gone_ms: Option<u64>,
        /// The margin allowed, in milliseconds.
        margin_ms: u64,
        /// How many writes it acknowledged beyond the margin.
        writes: usize,
    } = "fencing_margin",
        "{node} acknowledged {writes} write(s) without holding the leader key, beyond the margin of {margin_ms} ms";
    /// A write acknowledged under synchronous replication is missing at the end.
    LostWrites {
        /// The node whose tables were read.
        node: String,
        /// The smallest ids missing, at most ten.
        ids: Vec<u64>,
        /// How many are missing.
        rows: usize,
    } = "lost_writes", "{rows} acknowledged write(s) missing on {node} despite synchronous replication: ids {ids:?}";
    /// Asynchronous replication lost more than `maximum_lag_on_failover` and `ttl` allow.
    LossBeyondBound {
        /// The node that had acknowledged the write.
        node: String,
        /// The write's id.
        id: u64,
        /// How far behind the last position that must have been published the write certainly was, in bytes.
        behind_bytes: u64,
        /// `maximum_lag_on_failover` in bytes.
        allowed_bytes: u64,
    } = "loss_beyond_bound",
        "write {id}, acknowledged by {node}, was lost although it was at least {behind_bytes} bytes older than what the new \
         leader may lack (maximum_lag_on_failover {allowed_bytes})";
    /// A write is there more than once.
    DuplicateWrite {
        /// The node.
        node: String,
        /// The write.
        id: u64,
        /// How often it is there.
        times: usize,
    } = "duplicate_write", "write {id} is there {times} times on {node}";
    /// A row that no client sent.
    PhantomWrite {
        /// The node.
        node: String,
        /// The row's id.
        id: u64,
        /// The row's key.
        key: u32,
    } = "phantom_write", "{node} holds the row ({id}, {key}) that no client sent";
    /// A write that was refused is there all the same.
    RefusedWriteApplied {
        /// The node.
        node: String,
        /// The write.
        id: u64,
    } = "refused_write_applied", "write {id} was refused, and yet it is there on {node}";
    /// A replica's tables differ from the primary's when everything has settled.
    DivergedReplica {
        /// The replica.
        node: String,
        /// The primary.
        primary: String,
        /// How many of the primary's writes the replica lacks.
        missing: usize,
        /// How many writes the replica has that the primary lacks.
        extra: usize,
    } = "diverged_replica", "{node} lacks {missing} write(s) of the primary {primary} and has {extra} that it lacks";
    /// No order of the operations of a key explains what was read.
    NotLinearizable {
        /// The key.
        key: u32,
        /// Why, in words.
        why: String,
    } = "not_linearizable", "key {key}: {why}";
    /// A node took the leader key that was not allowed to.
    IneligiblePromoted {
        /// The node.
        node: String,
        /// Which condition it failed, in words.
        why: String,
    } = "ineligible_promoted", "{node} took the leader key: {why}";
    /// Two nodes wrote the same timeline, or one timeline has two histories.
    TimelineFork {
        /// The timeline.
        timeline: u32,
        /// One node.
        node: String,
        /// The other.
        other: String,
        /// What differs, in words.
        why: String,
    } = "timeline_fork", "timeline {timeline} of {node} and {other}: {why}";
    /// A node followed a timeline that had branched off before the node's own position.
    StreamedAcrossFork {
        /// The node.
        node: String,
        /// The timeline it came from.
        from_timeline: u32,
        /// The timeline it follows.
        to_timeline: u32,
        /// Where the new timeline branched off.
        switch_lsn: u64,
        /// How far the node had replayed the old one.
        replayed_lsn: u64,
    } = "streamed_across_fork",
        "{node} went from timeline {from_timeline} to {to_timeline}, which branched off at {switch_lsn}, without a rewind \
         although it had replayed up to {replayed_lsn}";
    /// The DCS's `history` key contradicts the history file of the primary.
    HistoryMismatch {
        /// The timeline whose end differs.
        timeline: u32,
        /// Its end by the `history` key.
        dcs_lsn: u64,
        /// Its end by the primary's history file.
        file_lsn: u64,
    } = "history_mismatch",
        "timeline {timeline} ended at {dcs_lsn} by the history key but at {file_lsn} by the primary's history file";
    /// A REST answer was certainly untrue.
    RestLied {
        /// The node.
        node: String,
        /// The path.
        path: String,
        /// What was true instead, in words.
        why: String,
        /// How many answers were untrue in a row.
        answers: usize,
    } = "rest_lied", "{node} answered 200 to {path} {answers} time(s): {why}";
    /// The cluster was not well again in time.
    NotRecovered {
        /// What is wrong, in words.
        why: String,
        /// How long it had, in milliseconds.
        bound_ms: u64,
    } = "not_recovered", "not recovered within {bound_ms} ms: {why}";
    /// The cluster stayed without a leader although a node may lead.
    NobodyLeads {
        /// The node.
        node: String,
        /// Why it may, in words.
        why: String,
        /// For how long nobody led although it might have, in milliseconds.
        waited_ms: u64,
        /// How long it had, in milliseconds.
        bound_ms: u64,
    } = "nobody_leads", "nobody leads for {bound_ms} ms although {node} may: {why}";
    /// A member of a standby cluster was promoted.
    LeftRecovery {
        /// The member.
        node: String,
        /// The timeline that it writes on.
        timeline: u32,
    } = "left_recovery", "{node} is out of recovery on timeline {timeline} although this is a standby cluster";
    /// An operator's request was neither carried out nor refused.
    RequestIgnored {
        /// The request, in words.
        request: String,
        /// The leader who ought to have done either.
        leader: String,
        /// For how long it has stood, in milliseconds.
        waited_ms: u64,
        /// How long the leader had, in milliseconds.
        bound_ms: u64,
    } = "request_ignored", "the request {request} is neither carried out nor cleared by {leader} within {bound_ms} ms";
    /// A replication slot is missing, unused or left over.
    WrongSlots {
        /// The node.
        node: String,
        /// The slot.
        slot: String,
        /// What is wrong, in words.
        why: String,
    } = "wrong_slots", "slot {slot} on {node}: {why}";
    /// `/sync` or `synchronous_standby_names` does not describe what is.
    WrongSync {
        /// What is wrong, in words.
        why: String,
    } = "wrong_sync", "{why}";
    /// A DCS key was left over, or lacks its value.
    StaleKey {
        /// The key.
        key: String,
        /// What is wrong, in words.
        why: String,
    } = "stale_key", "key {key}: {why}";
    /// Writes were refused for longer than the scenario allows.
    OutageOverBudget {
        /// The longest outage, in milliseconds.
        outage_ms: u64,
        /// The budget, in milliseconds.
        max_ms: u64,
    } = "outage_over_budget", "no write was acknowledged for {outage_ms} ms, the budget is {max_ms} ms";
    /// Writes were refused for a shorter time than the scenario says they must be.
    OutageUnderBudget {
        /// The longest outage, in milliseconds.
        outage_ms: u64,
        /// The least expected, in milliseconds.
        min_ms: u64,
    } = "outage_under_budget", "the longest outage was {outage_ms} ms, at least {min_ms} ms was expected";
    /// More acknowledged writes were lost than the scenario allows.
    LostWritesOverBudget {
        /// Lost rows.
        rows: u64,
        /// The budget.
        max: u64,
    } = "lost_writes_over_budget", "{rows} acknowledged write(s) lost, the budget is {max}";
    /// Fewer acknowledged writes were lost than the scenario says must be.
    LostWritesUnderBudget {
        /// Lost rows.
        rows: u64,
        /// The least expected.
        min: u64,
    } = "lost_writes_under_budget", "{rows} acknowledged write(s) lost, at least {min} were expected";
    /// The leader key changed hands more or less often than expected.
    LeaderChangesOffBudget {
        /// How often it did.
        changes: u64,
        /// What was expected, in words: `1`, `at most 2`.
        expected: String,
    } = "leader_changes_off_budget", "the leader changed {changes} time(s), expected {expected}";
    /// The cluster did not end as expected.
    WrongEnd {
        /// What was expected and what was found, in words.
        why: String,
    } = "wrong_end", "{why}";
    /// An operator action was refused that the scenario expected to work.
    OperatorRefused {
        /// The line of the timeline.
        text: String,
        /// The answer.
        why: String,
    } = "operator_refused", "`{text}` was refused: {why}";
    /// An operator action worked that the scenario expected to be refused.
    OperatorNotRefused {
        /// The line of the timeline.
        text: String,
    } = "operator_not_refused", "`{text}` was expected to be refused, but was not";
    /// A violation that the scenario is there to show did not appear.
    ExpectedViolationAbsent {
        /// The code that was expected.
        expected: String,
    } = "expected_violation_absent", "the scenario shows {expected}, but nothing of the kind happened";
}
