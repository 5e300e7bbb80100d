//! The Maintenance service: the state of one member, and handing leadership over (`api/v3rpc/maintenance.go`).

use std::{pin::Pin, time::Duration};

use etcd_client::proto::{
    PbAlarmRequest, PbAlarmResponse, PbDefragmentRequest, PbDefragmentResponse, PbDowngradeRequest,
    PbDowngradeResponse, PbHashKvRequest, PbHashKvResponse, PbHashRequest, PbHashResponse, PbMaintenanceService,
    PbMoveLeaderRequest, PbMoveLeaderResponse, PbSnapshotRequest, PbSnapshotResponse, PbStatusRequest,
    PbStatusResponse,
};
use futures::Stream;
use pgdrill_net::Net;
use tokio::time::{Instant, sleep};
use tonic::{Request, Response, Status};

use super::Server;
use crate::{error::EtcdError, raft::Input};

/// The version whose behaviour is modelled.
pub const VERSION: &str = "3.5.33";

fn missing(what: &'static str) -> Status {
    EtcdError::Unimplemented(what).into()
}

#[tonic::async_trait]
impl<N: Net> PbMaintenanceService for Server<N> {
    type SnapshotStream = Pin<Box<dyn Stream<Item = Result<PbSnapshotResponse, Status>> + Send>>;

    async fn status(&self, request: Request<PbStatusRequest>) -> Result<Response<PbStatusResponse>, Status> {
        self.admit(request.metadata())?;
        let peek = &self.member.peek;
        let size = i64::try_from(self.member.machine().store.size_bytes()).unwrap_or(i64::MAX);
        let errors = if peek.leader() == 0 { vec![EtcdError::NoLeader.to_string()] } else { Vec::new() };
        Ok(Response::new(PbStatusResponse {
            header: self.member.header(0),
            version: VERSION.to_owned(),
            db_size: size,
            db_size_in_use: size,
            leader: peek.leader(),
            raft_index: peek.committed_index(),
            raft_applied_index: peek.applied_index(),
            raft_term: peek.term(),
            errors,
            ..PbStatusResponse::default()
        }))
    }

    async fn move_leader(
        &self,
        request: Request<PbMoveLeaderRequest>,
    ) -> Result<Response<PbMoveLeaderResponse>, Status> {
        self.admit(request.metadata())?;
        let to = request.get_ref().target_id;
        let config = &self.member.config;
        if !config.peers.iter().any(|p| p.id == to) {
            return Err(EtcdError::BadLeaderTransferee.into());
        }
        if !self.member.is_leader() {
            return Err(EtcdError::NotLeader.into());
        }
        self.member.node.send(Input::MoveLeader { to }).map_err(|_| Status::from(EtcdError::Stopped))?;
        let deadline = Instant::now() + config.request_timeout();
        // Looks once per heartbeat, as `EtcdServer.moveLeader` does.
        while self.member.peek.leader() != to {
            if Instant::now() >= deadline {
                return Err(EtcdError::TimeoutDueToLeaderFail.into());
            }
            sleep(Duration::from_millis(config.heartbeat_ms)).await;
        }
        Ok(Response::new(PbMoveLeaderResponse { header: self.member.header(0) }))
    }

    async fn alarm(&self, request: Request<PbAlarmRequest>) -> Result<Response<PbAlarmResponse>, Status> {
        self.admit(request.metadata())?;
        if request.get_ref().action != 0 {
            return Err(missing("pgdrill's etcd has no alarms that could be raised or disarmed"));
        }
        Ok(Response::new(PbAlarmResponse { header: self.member.header(0), alarms: Vec::new() }))
    }

    async fn defragment(&self, _: Request<PbDefragmentRequest>) -> Result<Response<PbDefragmentResponse>, Status> {
        Err(missing("pgdrill's etcd has no file to defragment"))
    }

    async fn hash(&self, _: Request<PbHashRequest>) -> Result<Response<PbHashResponse>, Status> {
        Err(missing("pgdrill's etcd does not hash its backend"))
    }

    async fn hash_kv(&self, _: Request<PbHashKvRequest>) -> Result<Response<PbHashKvResponse>, Status> {
        Err(missing("pgdrill's etcd does not hash its backend"))
    }

    async fn snapshot(&self, _: Request<PbSnapshotRequest>) -> Result<Response<Self::SnapshotStream>, Status> {
        Err(missing("pgdrill's etcd has no file that could be downloaded"))
    }

    async fn downgrade(&self, _: Request<PbDowngradeRequest>) -> Result<Response<PbDowngradeResponse>, Status> {
        Err(missing("pgdrill's etcd has only one version"))
    }
}
