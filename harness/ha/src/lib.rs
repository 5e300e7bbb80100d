//! The HA state machine: Patroni's decisions as a pure function.
//!
//! `decide` looks at what the DCS said ([`view::ClusterView`]), at what the node sees of itself ([`view::LocalView`]),
//! at the configuration and at what it remembers ([`Memory`]), and says what to do and why ([`Decision`]). It reads no
//! clock, draws no random number and does no IO, so that the same inputs always give the same decision.
//!
//! # The protocol of one cycle
//!
//! A cycle has one or more rounds. Whatever a decision depends on and is not known yet, it asks for; the agent puts the
//! answer into [`view::Round`] and asks again:
//!
//! 1. Read the DCS and look at PostgreSQL; start with an empty `Round`.
//! 2. Call `decide`. Execute the actions in order. An action that fails ends the list and goes into `Round::failed`;
//!    outcomes go into the `Round` field that the action's documentation names.
//! 3. [`Then::DecideAgain`]: back to 2 with the same views and the longer `Round`. [`Then::ObserveAgain`]: back to 2
//!    with fresh views and the longer `Round`. [`Then::Sleep`]: write the member record, unless the DCS was
//!    unreachable, and sleep. [`Then::Exit`]: end.
//!
//! `now` is to be taken immediately before each call. A task (see [`view::TaskKind`]) is only *started* by its action;
//! the following cycles see it in [`view::LocalView::task`], and its outcome during exactly one cycle.

pub mod config;
mod decide;
pub mod decision;
mod memory;
pub mod records;
mod units;
pub mod view;

pub use config::Config;
pub use decide::{FailsafeVerdict, LocalHistory, answer_failsafe, decide, diverged, slot_name_from_member_name, sync};
pub use decision::{Action, Decision, Reason, Then};
pub use memory::{FailsafeMemory, Freshness, LedCluster, Memory, RewindMemory, RewindState, SyncMemory};
pub use units::{Bytes, Lsn, Monotonic};
