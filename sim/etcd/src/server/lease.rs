//! The Lease service, and the leader's answers to other members about leases (`api/v3rpc/lease.go`, `leasehttp`).

use std::{future::Future, pin::Pin, time::Duration};

use etcd_client::proto::{
    PbLeaseGrantRequest, PbLeaseGrantResponse, PbLeaseKeepAliveRequest, PbLeaseKeepAliveResponse, PbLeaseLeasesRequest,
    PbLeaseLeasesResponse, PbLeaseRevokeRequest, PbLeaseRevokeResponse, PbLeaseService, PbLeaseStatus,
    PbLeaseTimeToLiveRequest, PbLeaseTimeToLiveResponse,
};
use futures::{Stream, StreamExt as _};
use pgdrill_net::Net;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Request, Response, Status, Streaming};

use super::{Server, kv::applied, requires_leader};
use crate::{
    config::Peer,
    error::EtcdError,
    lease::Renewal,
    machine::Applied,
    member::Member,
    raft::transport::ask_leader,
    request::{LeaseAnswer, LeaseQuestion, LeaseVerdict, Op},
};

/// Pause between two questions to a leader that does not answer.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Renews a lease as the primary.
///
/// # Errors
/// `NotPrimary`: not (or not surely) the leader. `LeaseNotFound`.
async fn renew_as_primary(member: &Member, id: i64) -> Result<i64, EtcdError> {
    if !member.ensure_leadership().await {
        return Err(EtcdError::NotPrimary);
    }
    loop {
        // Registered before looking, so that a revocation in between is not missed.
        let changed = member.lessor_changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let renewal = member.machine().lessor.renew(id, Instant::now());
        match renewal {
            Renewal::Renewed(ttl) => return Ok(ttl),
            Renewal::NotFound => return Err(EtcdError::LeaseNotFound),
            Renewal::NotPrimary => return Err(EtcdError::NotPrimary),
            Renewal::Expiring => changed.await,
        }
    }
}

/// Answers another member's question. A failure says only "ask again".
pub(crate) async fn answer_peer(member: &Member, question: LeaseQuestion) -> LeaseAnswer {
    if question.renew {
        let verdict = match renew_as_primary(member, question.id).await {
            Ok(ttl) => return LeaseAnswer { verdict: LeaseVerdict::Found.into(), ttl, ..LeaseAnswer::default() },
            Err(EtcdError::LeaseNotFound) => LeaseVerdict::NotFound,
            Err(_) => LeaseVerdict::Failed,
        };
        return LeaseAnswer { verdict: verdict.into(), ..LeaseAnswer::default() };
    }
    if member.is_leader() { time_to_live(member, question.id) } else { LeaseAnswer::default() }
}

fn time_to_live(member: &Member, id: i64) -> LeaseAnswer {
    match member.machine().lessor.time_to_live(id, Instant::now()) {
        Some(found) => LeaseAnswer {
            verdict: LeaseVerdict::Found.into(),
            ttl: found.remaining,
            granted_ttl: found.granted,
            keys: found.keys,
        },
        None => LeaseAnswer { verdict: LeaseVerdict::NotFound.into(), ..LeaseAnswer::default() },
    }
}

impl<N: Net> Server<N> {
    /// Waits until somebody leads (`EtcdServer.waitLeader`).
    async fn wait_leader(&self, deadline: Instant) -> Result<&Peer, EtcdError> {
        loop {
            let leader = self.member.peek.leader();
            if let Some(peer) = self.member.config.peers.iter().find(|p| p.id == leader) {
                return Ok(peer);
            }
            let election = self.member.config.election_timeout();
            if Instant::now() + election > deadline {
                tokio::time::sleep_until(deadline).await;
                return Err(EtcdError::NoLeader);
            }
            sleep(election).await;
        }
    }

    /// Gets an answer from whoever leads, this member included.
    async fn ask(&self, question: LeaseQuestion) -> Result<LeaseAnswer, EtcdError> {
        let deadline = Instant::now() + self.member.config.request_timeout();
        while Instant::now() < deadline {
            let leader = self.wait_leader(deadline).await?;
            let limit = deadline.saturating_duration_since(Instant::now());
            let answer = ask_leader(&self.net, &self.member, leader, question, limit).await.unwrap_or_default();
            match answer.verdict() {
                LeaseVerdict::Found => return Ok(answer),
                LeaseVerdict::NotFound => return Err(EtcdError::LeaseNotFound),
                LeaseVerdict::Failed => sleep(ASK_AGAIN).await,
            }
        }
        Err(EtcdError::Timeout)
    }

    /// A keepalive that reached this member (`EtcdServer.LeaseRenew`).
    async fn renew(&self, id: i64) -> Result<i64, EtcdError> {
        if self.member.is_leader() {
            if !self.member.ensure_leadership().await {
                return Err(EtcdError::NotPrimary);
            }
            match renew_as_primary(&self.member, id).await {
                // It lost leadership in between: the new leader knows.
                Err(EtcdError::NotPrimary) => {}
                answer => return answer,
            }
        }
        self.ask(LeaseQuestion { id, renew: true }).await.map(|a| a.ttl)
    }

    async fn keep_alive(&self, id: i64) -> Result<PbLeaseKeepAliveResponse, Status> {
        // The header is older than the renewal, so that no client sees a revision at which the lease was revoked together
        // with a successful keepalive.
        let header = self.member.header(0);
        let ttl = match self.renew(id).await {
            Ok(ttl) => ttl,
            Err(EtcdError::LeaseNotFound) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(PbLeaseKeepAliveResponse { header, id, ttl })
    }
}

/// Runs `work` unless this member is without a leader for too long and the client asked not to wait for that.
pub(super) async fn unless_leaderless<T>(
    strict: bool,
    cancelled: &mut tokio::sync::watch::Receiver<u64>,
    work: impl Future<Output = T>,
) -> Result<T, Status> {
    if !strict {
        return Ok(work.await);
    }
    tokio::select! {
        biased;
        done = work => Ok(done),
        _ = cancelled.changed() => Err(EtcdError::NoLeader.into()),
    }
}

#[tonic::async_trait]
impl<N: Net> PbLeaseService for Server<N> {
    type LeaseKeepAliveStream = Pin<Box<dyn Stream<Item = Result<PbLeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_grant(
        &self,
        request: Request<PbLeaseGrantRequest>,
    ) -> Result<Response<PbLeaseGrantResponse>, Status> {
        self.admit(request.metadata())?;
        let mut grant = request.into_inner();
        while grant.id == 0 {
            grant.id =
                i64::try_from(self.member.next_request_id() & (i64::MAX as u64)).expect("the top bit is cleared");
        }
        applied!(self, LeaseGrant(grant))
    }

    async fn lease_revoke(
        &self,
        request: Request<PbLeaseRevokeRequest>,
    ) -> Result<Response<PbLeaseRevokeResponse>, Status> {
        self.admit(request.metadata())?;
        applied!(self, LeaseRevoke(request.into_inner()))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<PbLeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        self.admit(request.metadata())?;
        let strict = requires_leader(request.metadata());
        let state = (self.clone(), request.into_inner(), self.member.no_leader.subscribe());
        // One keepalive after the other; the first error ends the stream.
        let answers = futures::stream::try_unfold(state, move |(server, mut asked, mut cancelled)| async move {
            let Some(asking) = unless_leaderless(strict, &mut cancelled, asked.next()).await? else { return Ok(None) };
            let id = asking?.id;
            let answer = unless_leaderless(strict, &mut cancelled, server.keep_alive(id)).await??;
            Ok(Some((answer, (server, asked, cancelled))))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<PbLeaseTimeToLiveRequest>,
    ) -> Result<Response<PbLeaseTimeToLiveResponse>, Status> {
        self.admit(request.metadata())?;
        let PbLeaseTimeToLiveRequest { id, keys } = request.into_inner();
        let answer = if self.member.is_leader() {
            time_to_live(&self.member, id)
        } else {
            let question = LeaseQuestion { id, renew: false };
            let deadline = Instant::now() + self.member.config.request_timeout();
            match timeout_at(deadline, self.ask(question)).await.unwrap_or(Err(EtcdError::Timeout)) {
                Err(EtcdError::LeaseNotFound) => {
                    LeaseAnswer { verdict: LeaseVerdict::NotFound.into(), ..LeaseAnswer::default() }
                }
                answer => answer?,
            }
        };
        let found = answer.verdict() == LeaseVerdict::Found;
        Ok(Response::new(PbLeaseTimeToLiveResponse {
            header: self.member.header(0),
            id,
            ttl: if found { answer.ttl } else { -1 },
            granted_ttl: answer.granted_ttl,
            keys: if keys { answer.keys } else { Vec::new() },
        }))
    }

    async fn lease_leases(
        &self,
        request: Request<PbLeaseLeasesRequest>,
    ) -> Result<Response<PbLeaseLeasesResponse>, Status> {
        self.admit(request.metadata())?;
        let leases = self.member.machine().lessor.leases().into_iter().map(|id| PbLeaseStatus { id }).collect();
        Ok(Response::new(PbLeaseLeasesResponse { header: self.member.header(0), leases }))
    }
}
