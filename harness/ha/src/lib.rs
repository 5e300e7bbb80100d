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
//! A lock that is not granted ends its list too, so that what stands behind `RenewLock` or `AcquireLock` is done by a
//! holder only; that is no failure, its outcome is in `Round::lock`.
//!
//! `now` is to be taken immediately before each call. A task (see [`view::TaskKind`]) is only *started* by its action;
//! the following cycles see it in [`view::LocalView::task`], and its outcome during exactly one cycle.
//!
//! # Example: two rounds of a leader
//!
//! ```
//! use std::time::Duration;
//! use pgdrill_ha::view::*;
//! use pgdrill_ha::{Action, Config, Lsn, Memory, Monotonic, Then, decide};
//!
//! // What the agent saw: the lock is ours, PostgreSQL is a running primary.
//! let leader = Some(Leader { name: "pg1".into(), mod_revision: 7, lease_id: 1 });
//! let cluster = ClusterView::Known(Cluster { revision: 9, leader, ..Cluster::default() });
//! let mut local = LocalView {
//!     name: "pg1".into(),
//!     api_url: None,
//!     wall: "2026-03-01T10:00:00Z".parse().unwrap(),
//!     postgres: PostgresView {
//!         data_dir: DataDir::Present,
//!         process: Process::Running,
//!         role: PostgresRole::Primary,
//!         system_identifier: Some(7_437_112_345_678_901_234),
//!         current_lsn: Some(Lsn(0x300_0060)),
//!         ..PostgresView::default()
//!     },
//!     task: None,
//!     watchdog: WatchdogView { is_active: true, is_outdated: false, is_usable: true },
//!     fence: FenceView { is_armed: true, is_usable: true },
//!     failsafe_ping: None,
//!     round: Round::default(),
//! };
//! let (config, mut memory) = (Config::default(), Memory::default());
//!
//! // First round: whether the lock is still ours must be known before anything else.
//! let sent = Monotonic::from_secs(100);
//! let first = decide(&cluster, &local, &config, &mut memory, sent);
//! assert!(matches!(first.actions[..], [Action::RenewLock { .. }, Action::WatchdogKeepalive { .. }]));
//! assert_eq!(first.then, Then::DecideAgain);
//!
//! // The agent executes it, puts the outcome where the action's documentation says, and asks again.
//! let ttl = Duration::from_secs(30);
//! local.round.lock = Some(LockOutcome::Held { requested_at: sent, ttl, status_revision: None });
//! let second = decide(&cluster, &local, &config, &mut memory, Monotonic::from_secs(101));
//! assert_eq!(second.reason.to_string(), "no action: I am the leader with the lock");
//! assert!(matches!(second.then, Then::Sleep { .. }));
//! assert!(memory.may_lead(Monotonic::from_secs(129)) && !memory.may_lead(Monotonic::from_secs(130)));
//! ```

pub mod config;
mod decide;
pub mod decision;
mod memory;
pub mod records;
mod units;
pub mod view;

pub use config::Config;
pub use decide::{
    FailsafeVerdict, LocalHistory, answer_failsafe, decide, diverged, enforces_feedback, slot_name_from_member_name,
    sync,
};
pub use decision::{Action, Decision, Reason, Then};
pub use memory::{
    FailsafeMemory, Freshness, LedCluster, Memory, RewindMemory, RewindState, StreamingMemory, SyncMemory,
};
pub use units::{Bytes, Lsn, Monotonic};
