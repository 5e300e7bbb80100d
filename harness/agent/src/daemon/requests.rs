//! What people ask of this node through REST: restart, reinitialize, reload. Decisions about the cluster (switchover,
//! failover, configuration) go through the DCS instead.

use std::sync::Arc;

use jiff::Timestamp;
use pgdrill_ha::{
    decision::Upstream,
    view::{Cluster, ClusterView, PostgresView, TaskKind},
};

use super::{
    cycle::HaLoop,
    lifecycle,
    parts::Ports,
    shared::{Reply, Request},
};

impl<T: Ports> HaLoop<T> {
    /// Carries out what was asked since the cycle before.
    pub(super) async fn carry_out_requests(&mut self, view: &ClusterView, postgres: &PostgresView) {
        for request in self.parts.shared.take_requests() {
            match request {
                Request::Restart(reply) => self.restart(Some(reply)),
                Request::Reinitialize { force, reply } => {
                    let outcome = self.reinitialize(view, force);
                    // Whoever asked may have given up waiting: then nobody needs the answer.
                    let _ = reply.send(outcome);
                }
                Request::Reload => self.reload().await,
            }
        }
        self.scheduled_restart(postgres);
    }

    fn restart(&mut self, reply: Option<Reply>) {
        if self.task.is_busy() {
            if let Some(reply) = reply {
                let _ = reply.send(Err("another task is running".into()));
            }
            return;
        }
        let parts = Arc::clone(&self.parts);
        self.stopped_on_purpose = false;
        self.task.start(TaskKind::Restart, self.parts.clock.now(), |_| async move {
            let outcome = lifecycle::restart(parts).await;
            if let Some(reply) = reply {
                let _ = reply.send(outcome.clone());
            }
            outcome
        });
    }

    /// A restart whose time has come; void if PostgreSQL was restarted since it was asked for.
    fn scheduled_restart(&mut self, postgres: &PostgresView) {
        let mut published = self.parts.shared.published();
        let Some(restart) = &published.scheduled_restart else { return };
        let started = self.observed.server.as_ref().map(|server| server.postmaster_start_time.as_str());
        let is_void = started.is_some_and(|started| started != restart.postmaster_start_time);
        if !is_void && (restart.at > Timestamp::now() || !postgres.is_running() || self.config.paused) {
            return;
        }
        published.scheduled_restart = None;
        drop(published);
        if !is_void {
            self.restart(None);
        }
    }

    fn reinitialize(&mut self, view: &ClusterView, force: bool) -> Result<(), String> {
        let ClusterView::Known(cluster) = view else { return Err("the DCS cannot be reached".into()) };
        let name = &self.parts.config.name;
        if cluster.is_leader(name) || self.memory.may_lead(self.parts.clock.now()) {
            return Err("I am the leader, can not reinitialize".into());
        }
        let from = leader_upstream(cluster).ok_or("Cluster has no leader, can not reinitialize")?;
        if self.task.is_busy() {
            if !force {
                return Err("another task is running".into());
            }
            self.task.cancel();
        }
        let parts = Arc::clone(&self.parts);
        self.stopped_on_purpose = true;
        self.task.start(TaskKind::Clone, self.parts.clock.now(), |_| lifecycle::clone(parts, Some(from)));
        Ok(())
    }
}

fn leader_upstream(cluster: &Cluster) -> Option<Upstream> {
    let (host, port) = cluster.leader_record()?.conn_address()?;
    Some(Upstream::Member { name: cluster.leader_name()?.to_owned(), host, port, slot: None })
}
