//! What people ask of this node through REST: restart, reinitialize, reload. Decisions about the cluster (switchover,
//! failover, configuration) go through the DCS instead.

use std::sync::Arc;

use jiff::Timestamp;
use pgdrill_ha::{
    decision::Upstream,
    view::{Cluster, ClusterView, PostgresView, TaskKind},
};

use super::{
    copy,
    cycle::HaLoop,
    lifecycle,
    parts::Ports,
    shared::{Reply, Request},
};
use crate::rest::Conditions;

impl<T: Ports> HaLoop<T> {
    /// Carries out what was asked since the cycle before.
    pub(super) async fn carry_out_requests(&mut self, view: &ClusterView, postgres: &PostgresView) {
        for request in self.parts.shared.take_requests() {
            match request {
                Request::Restart(reply) => self.restart(Some(reply)),
                Request::Reinitialize { force, from_leader, reply } => {
                    let outcome = self.reinitialize(view, force, from_leader);
                    // Whoever asked may have given up waiting: then nobody needs the answer.
                    let _ = reply.send(outcome);
                }
                Request::Reload => {
                    self.reread().await;
                    self.reload().await;
                }
            }
        }
        self.scheduled_restart(postgres);
    }

    fn restart(&mut self, reply: Option<Reply>) {
        if let Some(busy) = self.busy_with() {
            if let Some(reply) = reply {
                let _ = reply.send(Err(busy));
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
        // Conditions are looked at when the time has come: a replica may lead by now.
        let holds = restart.request.as_object().is_some_and(|wanted| Conditions::new(wanted).hold(&published));
        published.scheduled_restart = None;
        drop(published);
        match (is_void, holds) {
            (true, _) => {}
            (false, true) => self.restart(None),
            (false, false) => self.parts.trouble("rest", "the scheduled restart's conditions are not satisfied"),
        }
    }

    /// `reinitialize already in progress`: what else runs, in the words that `patronictl reinit` looks for.
    fn busy_with(&self) -> Option<String> {
        let kind = self.task.view().filter(|_| self.task.is_busy())?.kind;
        let action = match kind {
            TaskKind::Clone => "reinitialize".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        Some(format!("{action} already in progress"))
    }

    fn reinitialize(&mut self, view: &ClusterView, force: bool, from_leader: bool) -> Result<(), String> {
        let ClusterView::Known(cluster) = view else { return Err("the DCS cannot be reached".into()) };
        let config = self.parts.config();
        let name = &config.name;
        if cluster.is_leader(name) || self.memory.may_lead(self.parts.clock.now()) {
            return Err("I am the leader, can not reinitialize".into());
        }
        let leader = member_upstream(cluster, cluster.leader_name().unwrap_or_default())
            .ok_or("Cluster has no leader, can not reinitialize")?;
        let from = if from_leader { None } else { clone_source(cluster, name) }.unwrap_or(leader);
        if let Some(busy) = self.busy_with() {
            if !force {
                return Err(busy);
            }
            self.task.cancel();
        }
        let parts = Arc::clone(&self.parts);
        self.stopped_on_purpose = true;
        self.task.start(TaskKind::Clone, self.parts.clock.now(), |_| copy::clone(parts, Some(from), from_leader));
        Ok(())
    }
}

/// A running replica that may be copied from (`clonefrom`), so that the leader is spared. The first by name: Patroni takes any.
fn clone_source(cluster: &Cluster, own_name: &str) -> Option<Upstream> {
    let may = |name: &String| name != own_name && !cluster.is_leader(name);
    let offers = |name: &&String| {
        cluster.members.get(*name).is_some_and(|member| member.is_running() && member.tags.clonefrom())
    };
    let name = cluster.members.keys().filter(|name| may(name)).find(offers)?;
    member_upstream(cluster, name)
}

fn member_upstream(cluster: &Cluster, name: &str) -> Option<Upstream> {
    let (host, port) = cluster.members.get(name)?.conn_address()?;
    Some(Upstream::Member { name: name.to_owned(), host, port, slot: None })
}
