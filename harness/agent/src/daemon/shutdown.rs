//! The agent's graceful end, as Patroni's on SIGTERM: stop PostgreSQL, give the lock away with the last position. In pause,
//! PostgreSQL and the lock are left as they are.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use pgdrill_ha::{
    Lsn,
    decision::{EarlyRelease, StopMode, StopRequest},
    view::LockOutcome,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{act::unfenced, cycle::HaLoop, demote, lifecycle, member, namesake::Name, nosync, parts::Ports};
use crate::ports::{AgentEvent, ClusterState, Observer, Postgres, Watchdog};

/// How long the callback that tells of the stop may still run.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Asks an agent to end gracefully. Clones are the same request.
#[derive(Clone, Debug)]
pub struct Shutdown {
    requested: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// Not requested yet.
    #[must_use]
    pub fn new() -> Self {
        Self { requested: Arc::new(watch::Sender::new(false)) }
    }

    /// Requests it. Once is enough.
    pub fn request(&self) {
        self.requested.send_replace(true);
    }

    /// Completes as soon as it is requested.
    pub async fn requested(&self) {
        let mut receiver = self.requested.subscribe();
        // The sender lives in `self`: waiting can only end with the request.
        let _ = receiver.wait_for(|requested| *requested).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Ports> HaLoop<T> {
    /// Ends gracefully.
    pub(super) async fn shut_down(&mut self) {
        let parts = Arc::clone(&self.parts);
        if self.config.paused {
            parts.observer.event(AgentEvent::Stopped { reason: "paused: PostgreSQL and the lock stay".into() });
            return;
        }
        if !self.dynamic_known {
            // Perhaps the cluster is paused. Whatever runs here was not started by this agent, which has decided nothing yet.
            let reason = "the dynamic configuration was never read: PostgreSQL is left as it is".into();
            parts.observer.event(AgentEvent::Stopped { reason });
            return;
        }
        self.task.cancel();
        let now = parts.clock.now();
        let leads = self.memory.may_lead(now);
        let leaving = nosync::announce(&parts).filter(|_| !leads);
        if let Some(leaving) = &leaving
            && self.write_member().await
        {
            leaving.released().await;
        }
        let request = StopRequest {
            mode: StopMode::Fast,
            checkpoint_first: leads,
            escalate_at: None,
            // Whoever has everything may take over.
            early_release: leads.then(|| EarlyRelease { candidates: BTreeSet::new() }),
            watchdog_off_at_safepoint: true,
        };
        // A long shutdown checkpoint is no reason to lose the lock, and with it what standbys have not yet received.
        let stopped = tokio::select! {
            biased;
            stopped = demote::stop(Arc::clone(&parts), request) => stopped,
            () = self.lead_until_lost(leads) => {
                // The order to stop stands; a primary whose lock has ended must be gone at once.
                lifecycle::stop(&parts, crate::ports::StopMode::Immediate, None).await
            }
        };
        if let Err(reason) = stopped {
            // A primary that may still be running keeps its lock: it ends by itself, and nobody is told a lie.
            parts.trouble("postgres", format!("shutdown: {reason}"));
            return;
        }
        if leads {
            let control = parts.postgres.controldata().await.ok();
            let clean = control.filter(|control| control.state == ClusterState::ShutDown);
            let _ = demote::release_lock(&parts, clean.map(|control| Lsn(control.checkpoint_lsn))).await;
        }
        drop(leaving);
        self.stopped_on_purpose = true;
        self.last_member_record().await;
        parts.callbacks.finish(LAST_WORDS).await;
        parts.observer.event(AgentEvent::Stopped { reason: "asked to".into() });
    }

    /// Renews the lock until it is lost, and with it what would stop a primary that nobody renews: the watchdog and the
    /// dead-man process. Never completes if there is no lock, or once it was given away.
    async fn lead_until_lost(&self, leads: bool) {
        let parts = &self.parts;
        let (ttl, pause) = (self.config.ttl, self.config.loop_wait.min(self.config.ttl / 3));
        let mut deadline = self.memory.leadership_deadline().filter(|_| leads);
        // At once: the loop's last renewal may be a whole `loop_wait` old.
        let mut wait = Duration::ZERO;
        while let Some(until) = deadline {
            sleep(wait.min(until.since(parts.clock.now()))).await;
            wait = pause;
            if parts.shared.published().leadership_deadline.is_none() {
                // Given to somebody who has everything: what still runs is no primary any more.
                break;
            }
            let left = until.since(parts.clock.now());
            match timeout(left, parts.dcs.renew_lock(ttl, &[])).await {
                Ok(LockOutcome::Held { requested_at, ttl, .. }) => {
                    let until = requested_at + ttl;
                    deadline = Some(until);
                    parts.shared.published().leadership_deadline = deadline;
                    // A watchdog that is not there need not be kept quiet.
                    let _ = parts.watchdog.keepalive(until.since(parts.clock.now()));
                    if let Err(error) = parts.fencing.extend(parts.clock.instant(until)).await {
                        parts.trouble("fencing", unfenced(&error));
                    }
                }
                _ if parts.shared.published().leadership_deadline.is_none() => break,
                Ok(LockOutcome::Lost) => return,
                Ok(LockOutcome::Unknown { .. }) | Err(_) if parts.clock.now() >= until => return,
                Ok(LockOutcome::Unknown { .. }) | Err(_) => {}
            }
        }
        std::future::pending().await
    }

    async fn last_member_record(&mut self) {
        let postgres = self.observed.look(&self.parts, true).await;
        {
            let mut published = self.parts.shared.published();
            let making = member::Making::of(&self.parts.config());
            published.state = Some(member::StateWord::default().tell(&postgres, None, making, false));
            // What the node was last, as Patroni's `Ha.shutdown` leaves it: with the state everybody knows that it is so no more.
            published.postgres = postgres;
        }
        self.write_member().await;
    }

    /// Writes the member key as we are published; tells whether it was written.
    async fn write_member(&self) -> bool {
        if matches!(self.name, Name::Watched { .. }) {
            // It may be somebody else's.
            return false;
        }
        let record = member::record(&self.parts.config(), &self.parts.shared.published(), false);
        let started = tokio::time::Instant::now();
        let written = self.parts.dcs.touch_member(&record, self.config.ttl, started, true).await;
        if let Err(error) = &written {
            self.parts.trouble("dcs", format!("writing the member key: {error}"));
        }
        written.is_ok()
    }
}

#[cfg(test)]
#[path = "shutdown_tests.rs"]
mod tests;
