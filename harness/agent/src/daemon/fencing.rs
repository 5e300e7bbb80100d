//! The dead-man process under supervision: what it is to hold, that it says so, and that it is replaced when it does not.
//!
//! What is decided is in the state machine (`Action::FenceArm`, `Action::WatchdogDisable`). Here is what needs no decision:
//! every later end of the leadership is handed over, a process that died or stands still is replaced, and a node that turns
//! out to be no primary is not left with a deadline that nobody will replace.

use std::{
    future::Future,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use pgdrill_ha::view::FenceView;
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    config::{FencingConfig, FencingMode},
    ports::{Fence, FenceError},
};

/// A process that has nothing else to do answers at once. One that needs longer than this is frozen or starved, and then it
/// would be late with a deadline as well.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// A process that dies again and again is not replaced more often than this because of its death alone.
const REPLACED_AT_MOST_EVERY: Duration = Duration::from_secs(5);

/// Where PostgreSQL stands, as far as the dead-man is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarded {
    /// It does not run.
    Absent,
    /// It runs and has just said that it is a replica.
    Replica,
    /// It is a primary, or may be or become one.
    MayWrite,
}

/// The dead-man process and what it holds. Used by the loop and by the background task that demotes.
pub(crate) struct Fencing<F> {
    fence: F,
    config: FencingConfig,
    /// One order at a time, so that a release is not overtaken by a deadline that was on its way.
    turn: tokio::sync::Mutex<()>,
    held: Mutex<Held>,
    /// No process of an earlier agent can be left.
    alone: AtomicBool,
}

#[derive(Clone, Copy, Default)]
struct Held {
    until: Option<Instant>,
    started: Option<Instant>,
    /// What the timings in force leave for a safety margin; `None`: not known yet.
    spare: Option<Duration>,
}

impl<F: Fence> Fencing<F> {
    pub fn new(fence: F, config: FencingConfig) -> Self {
        let (turn, held) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { fence, config, turn, held, alone: AtomicBool::new(false) }
    }

    /// Whether the mode asks for one at all.
    pub fn is_on(&self) -> bool {
        self.config.mode != FencingMode::Off
    }

    /// What decisions see of it. To be called before every request for the lock, see [`Fence::is_running`].
    pub fn view(&self) -> FenceView {
        let is_running = self.is_on() && self.fence.is_running();
        FenceView {
            is_armed: self.held().until.is_some(),
            is_usable: is_running || self.config.mode != FencingMode::Required,
        }
    }

    /// Starts it with the agent.
    pub async fn start(&self) -> Result<(), FenceError> {
        if !self.is_on() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        self.replace().await
    }

    /// Limits the safety margin to what the timings in force leave: `ttl - loop_wait - 2 * retry_timeout`. With a longer one a
    /// primary is stopped whose renewal is still on its way, although its agent works. Answers the margin in force if that
    /// is less than the configured one, once for each change.
    pub fn limit_margin(&self, spare: Duration) -> Option<Duration> {
        let before = self.held().spare.replace(spare);
        let lowered = self.is_on() && spare < self.config.safety_margin;
        (lowered && before != Some(spare)).then_some(spare)
    }

    /// Arms it: before a promotion, or for a primary that is found running.
    pub async fn arm(&self, deadline: Instant) -> Result<(), FenceError> {
        let _turn = self.turn.lock().await;
        let held = self.hold(self.with_margin(deadline)).await;
        if held.is_ok() {
            // Only now: until ours has the deadline, an earlier one is all there is.
            self.retire_others().await;
        }
        held
    }

    /// Hands over a later end of the leadership, if it is armed.
    pub async fn extend(&self, deadline: Instant) -> Result<(), FenceError> {
        let until = self.with_margin(deadline);
        if !self.is_later(until) {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        // While this waited for its turn, a demotion may have ended and released it.
        if self.is_later(until) { self.hold(until).await } else { Ok(()) }
    }

    /// Disarms it, and whatever earlier agents have left.
    pub async fn disarm(&self) -> Result<(), FenceError> {
        if !self.is_on() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        self.retire_others().await;
        if self.held().until.is_none() {
            return Ok(());
        }
        self.held().until = None;
        match answered(self.fence.release()).await {
            Ok(()) => Ok(()),
            // Replacing it takes its deadline away as well.
            Err(_) => self.replace().await,
        }
    }

    /// Looks after it once in a cycle. `settled`: nothing runs that could make a primary of PostgreSQL, and we do not lead.
    pub async fn tend(&self, guarded: Guarded, settled: bool, paused: bool) -> Result<(), FenceError> {
        if !self.is_on() {
            return Ok(());
        }
        if guarded != Guarded::MayWrite && settled && self.held().until.is_some() {
            // Nobody would replace its deadline any more: it must not stop a replica, or what is started next.
            self.disarm().await?;
        }
        let _turn = self.turn.lock().await;
        if guarded != Guarded::MayWrite || paused {
            self.retire_others().await;
        }
        if self.fence.is_running() || self.started_lately() {
            return Ok(());
        }
        self.replace().await?;
        let until = self.held().until;
        match until {
            Some(until) => self.hold(until).await,
            None => Ok(()),
        }
    }

    /// Completes when it has died and may be replaced.
    pub async fn exited(&self) {
        self.fence.exited().await;
        let started = self.held().started;
        if let Some(started) = started {
            sleep_until(started + REPLACED_AT_MOST_EVERY).await;
        }
    }

    fn is_later(&self, until: Instant) -> bool {
        self.held().until.is_some_and(|held| until > held)
    }

    fn with_margin(&self, deadline: Instant) -> Instant {
        let margin = self.held().spare.map_or(self.config.safety_margin, |spare| spare.min(self.config.safety_margin));
        deadline.checked_sub(margin).unwrap_or(deadline)
    }

    fn started_lately(&self) -> bool {
        self.held().started.is_some_and(|started| started.elapsed() < REPLACED_AT_MOST_EVERY)
    }

    async fn hold(&self, until: Instant) -> Result<(), FenceError> {
        let mut outcome = match self.fence.is_running() {
            true => answered(self.fence.hold(until)).await,
            false => Err(FenceError::Unavailable("it does not run".into())),
        };
        if outcome.is_err() {
            // Dead or frozen: a second one gets the chance, and only then is there none.
            outcome = match self.replace().await {
                Ok(()) => answered(self.fence.hold(until)).await,
                error => error,
            };
        }
        self.held().until = outcome.is_ok().then_some(until);
        outcome
    }

    async fn replace(&self) -> Result<(), FenceError> {
        self.held().started = Some(Instant::now());
        self.fence.start().await
    }

    async fn retire_others(&self) {
        if !self.alone.load(Ordering::Relaxed) && self.fence.retire_others().await.is_ok() {
            self.alone.store(true, Ordering::Relaxed);
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answered(order: impl Future<Output = Result<(), FenceError>>) -> Result<(), FenceError> {
    timeout(ANSWER_WITHIN, order).await.unwrap_or(Err(FenceError::Unanswered(ANSWER_WITHIN)))
}
