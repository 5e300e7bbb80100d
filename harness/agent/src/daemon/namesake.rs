//! Two agents of one name would share a member key, and take the leader lock of either for their own. So an agent that starts
//! looks for another one that is alive (Patroni's `ensure_unique_name`), by its REST API and, where that cannot be asked, by its
//! lease; and one whose member key another agent has written after it ends.

use std::time::Duration;

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pgdrill_ha::view::{Cluster, ClusterView, PostgresRole, Process};
use pgdrill_net::{Net, Socket, SocketOptions};
use tokio::time::{Instant, sleep};

use super::{
    cycle::HaLoop,
    demote, lifecycle,
    parts::{Parts, Ports},
};
use crate::{
    dcs::{Kv, LeaseId},
    ports::StopMode,
    rest::{
        STARTS,
        client::{endpoint, host_and_port},
    },
    tls,
};

/// How long somebody with our name has to answer (Patroni's limit).
const LIMIT: Duration = Duration::from_secs(3);
/// How long a connection to ourselves may wait to be accepted.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(1);
/// How often the lease of another agent is looked at.
const POLL: Duration = Duration::from_secs(1);
/// An agent that is alive renews its lease once a `loop_wait`; this much later than that it does not.
const GRACE: Duration = Duration::from_secs(2);

/// What is known of another agent of our name.
#[derive(Debug, Default)]
pub(crate) enum Name {
    /// Nothing: the DCS was not read yet.
    #[default]
    Unknown,
    /// Whoever wrote the member key cannot be asked: its lease tells.
    Watched {
        /// The lease.
        lease: LeaseId,
        /// How long it had, in seconds, when it was last looked at.
        left_s: i64,
        /// An agent that is alive has renewed it by then.
        until: Instant,
        /// Why it cannot be asked.
        why: String,
    },
    /// None ran when we began.
    Ours,
}

/// What follows for this cycle.
pub(crate) enum Verdict {
    /// It goes on.
    GoOn,
    /// It has to wait.
    Wait(Duration),
    /// The agent must end, for this reason.
    Taken(String),
}

/// What came of asking.
enum Asked {
    /// Nobody else is there.
    Nobody,
    /// Somebody else answers.
    Answers(String),
    /// Somebody may be there.
    Unclear(String),
}

impl<T: Ports> HaLoop<T> {
    /// Looks as soon as the DCS can be read, and afterwards whether somebody has come.
    pub(super) async fn namesake(&mut self, view: &ClusterView) -> Verdict {
        let ClusterView::Known(cluster) = view else { return Verdict::GoOn };
        match &self.name {
            Name::Ours if self.parts.dcs.is_taken_over() => self.yield_name(cluster).await,
            Name::Ours => Verdict::GoOn,
            Name::Watched { .. } => self.watch_lease().await,
            Name::Unknown => match ask(&self.parts, cluster).await {
                Asked::Answers(text) => Verdict::Taken(text),
                Asked::Unclear(why) => self.begin_to_watch(why).await,
                Asked::Nobody => self.is_ours(),
            },
        }
    }

    fn is_ours(&mut self) -> Verdict {
        self.name = Name::Ours;
        self.parts.shared.forget_accepted();
        Verdict::GoOn
    }

    async fn begin_to_watch(&mut self, why: String) -> Verdict {
        let Some(lease) = self.parts.dcs.member_lease() else { return self.is_ours() };
        let patience = self.config.loop_wait + GRACE;
        self.parts
            .trouble("dcs", format!("{why}: this agent waits for up to {patience:?}, whether its lease is renewed"));
        self.name = Name::Watched { lease, left_s: i64::MAX, until: Instant::now() + patience, why };
        self.watch_lease().await
    }

    async fn watch_lease(&mut self) -> Verdict {
        let Name::Watched { lease, left_s, until, why } = &mut self.name else { return Verdict::GoOn };
        match self.parts.dcs.kv().0.lease_time_to_live(*lease).await {
            Ok(Some(now_s)) if now_s > *left_s => {
                let config = self.parts.config();
                return Verdict::Taken(format!(
                    "name: there is already a node named {} running in {}: its lease in etcd is being renewed, although {why}; \
                     give this node a name of its own, or stop the other one",
                    config.name, config.scope
                ));
            }
            Ok(Some(now_s)) if Instant::now() < *until => *left_s = now_s,
            // Patroni does not look at all.
            Err(error) if Instant::now() < *until => {
                self.parts.trouble("dcs", error);
            }
            Ok(_) | Err(_) => return self.is_ours(),
        }
        Verdict::Wait(POLL)
    }

    /// Ends, and not beside a primary that nobody would fence any more: the lock in our name is the other's by now.
    async fn yield_name(&mut self, cluster: &Cluster) -> Verdict {
        let config = self.parts.config();
        let other =
            cluster.members.get(&config.name).and_then(|record| record.api_url.as_deref()).unwrap_or("no api_url");
        let why = format!(
            "name: another node named {} has joined {} ({other}) and written the member key after this one: give each a name of \
             its own",
            config.name, config.scope
        );
        let postgres = self.look().await;
        let is_replica = (postgres.process, postgres.role) == (Process::Running, PostgresRole::Replica);
        if !self.config.paused && !is_replica && !postgres.is_absent() {
            self.task.cancel();
            let stopped = lifecycle::stop_for_long(&self.parts, StopMode::Immediate, None).await;
            let disarmed = match stopped {
                Ok(()) => demote::disarm(&self.parts).await,
                failed => failed,
            };
            if let Err(error) = disarmed {
                self.parts.trouble("postgres", error);
            }
        }
        Verdict::Taken(why)
    }
}

/// Asks who has written the member key of our name.
///
/// That may be our own record, of a life before this one. Then it is this agent itself that is asked, and its REST API notices that.
async fn ask<T: Ports>(parts: &Parts<T>, cluster: &Cluster) -> Asked {
    let config = parts.config();
    let Some(api_url) = cluster.members.get(&config.name).and_then(|record| record.api_url.clone()) else {
        return Asked::Nobody;
    };
    let name = utf8_percent_encode(&config.name, NON_ALPHANUMERIC);
    let url = format!("{}?{STARTS}={name}", endpoint(&api_url, "liveness"));
    let error = match parts.members.request(Method::GET, &url, None, LIMIT).await {
        Ok(_) if parts.shared.has_heard_itself() => return Asked::Nobody,
        Ok(_) => {
            return Asked::Answers(format!(
                "name: there is already a node named {} running in {}, which answers at {api_url}: give this node a name of its own, \
                 or stop the other one",
                config.name, config.scope
            ));
        }
        Err(error) => error,
    };
    if is_ourselves(parts, &url).await {
        // No other member can, either.
        parts.trouble("rest", format!("this node's own REST API at {api_url} cannot be asked: {error}"));
        return Asked::Nobody;
    }
    // Where nobody listens at our own address there is nobody but us.
    if api_url == config.api_url() && !tls::is_of_tls(&error) {
        return Asked::Nobody;
    }
    Asked::Unclear(format!(
        "the node named {} at {api_url} cannot be asked whether it is another one ({error})",
        config.name
    ))
}

/// Whether it is this agent that listens there: it has accepted the very connection.
async fn is_ourselves<T: Ports>(parts: &Parts<T>, url: &str) -> bool {
    let Some((host, port)) = host_and_port(url) else { return false };
    let options = SocketOptions::within(LIMIT);
    let Ok(stream) = parts.net.connect(&host, port, &options).await else { return false };
    let Ok(address) = stream.local_addr() else { return false };
    let deadline = Instant::now() + ACCEPTED_WITHIN;
    while Instant::now() < deadline {
        if parts.shared.has_accepted(address) {
            return true;
        }
        sleep(ACCEPTED_WITHIN / 20).await;
    }
    false
}

#[cfg(test)]
#[path = "namesake_tests.rs"]
mod tests;
