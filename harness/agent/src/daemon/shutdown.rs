//! The agent's graceful end, as Patroni's on SIGTERM: stop PostgreSQL, give the lock away with the last position. In pause,
//! PostgreSQL and the lock are left as they are.

use std::{collections::BTreeSet, sync::Arc};

use pgdrill_ha::{
    Lsn,
    decision::{EarlyRelease, StopMode, StopRequest},
};
use tokio::sync::watch;

use super::{cycle::HaLoop, demote, member, parts::Ports};
use crate::ports::{AgentEvent, ClusterState, Observer, Postgres};

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
        self.task.cancel();
        let now = parts.clock.now();
        let leads = self.memory.may_lead(now);
        let request = StopRequest {
            mode: StopMode::Fast,
            checkpoint_first: leads,
            // Nothing renews the lock meanwhile: a shutdown that takes longer than the lock must not go on as primary.
            escalate_at: self.memory.leadership_deadline().filter(|_| leads),
            // Whoever has everything may take over.
            early_release: leads.then(|| EarlyRelease { candidates: BTreeSet::new() }),
            watchdog_off_at_safepoint: true,
        };
        if let Err(reason) = demote::stop(Arc::clone(&parts), request).await {
            // A primary that may still be running keeps its lock: it ends by itself, and nobody is told a lie.
            parts.trouble("postgres", format!("shutdown: {reason}"));
            return;
        }
        if leads {
            let control = parts.postgres.controldata().await.ok();
            let clean = control.filter(|control| control.state == ClusterState::ShutDown);
            let _ = demote::release_lock(&parts, clean.map(|control| Lsn(control.checkpoint_lsn))).await;
        }
        self.stopped_on_purpose = true;
        self.last_member_record().await;
        parts.observer.event(AgentEvent::Stopped { reason: "asked to".into() });
    }

    async fn last_member_record(&mut self) {
        let postgres = self.observed.look(&self.parts, true).await;
        let record = {
            let mut published = self.parts.shared.published();
            published.state = Some(member::state(&postgres, None));
            published.role = Some(member::role(&postgres, None, false, true));
            published.postgres = postgres;
            member::record(&self.parts.config, &published, false)
        };
        let started = tokio::time::Instant::now();
        if let Err(error) = self.parts.dcs.touch_member(&record, self.config.ttl, started, true).await {
            self.parts.trouble("dcs", format!("writing the member key: {error}"));
        }
    }
}
