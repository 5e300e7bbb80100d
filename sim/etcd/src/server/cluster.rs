//! The Cluster service: who the members are. Membership is fixed by the configuration.

use etcd_client::proto::{
    PbClusterService, PbMember, PbMemberAddRequest, PbMemberAddResponse, PbMemberListRequest, PbMemberListResponse,
    PbMemberPromoteRequest, PbMemberPromoteResponse, PbMemberRemoveRequest, PbMemberRemoveResponse,
    PbMemberUpdateRequest, PbMemberUpdateResponse,
};
use pgdrill_net::Net;
use tonic::{Request, Response, Status};

use super::Server;
use crate::error::EtcdError;

fn fixed() -> Status {
    EtcdError::Unimplemented("pgdrill's etcd members cannot be added, removed or changed while they run").into()
}

#[tonic::async_trait]
impl<N: Net> PbClusterService for Server<N> {
    async fn member_list(
        &self,
        request: Request<PbMemberListRequest>,
    ) -> Result<Response<PbMemberListResponse>, Status> {
        self.admit(request.metadata())?;
        if request.get_ref().linearizable {
            self.member.linearizable_read().await?;
        }
        let members = self.member.config.peers.iter().map(|p| PbMember {
            id: p.id,
            name: p.name.clone(),
            peer_ur_ls: vec![format!("http://{}:{}", p.host, p.port)],
            client_ur_ls: vec![format!("http://{}:{}", p.host, p.client_port)],
            is_learner: false,
        });
        Ok(Response::new(PbMemberListResponse { header: self.member.header(0), members: members.collect() }))
    }

    async fn member_add(&self, _: Request<PbMemberAddRequest>) -> Result<Response<PbMemberAddResponse>, Status> {
        Err(fixed())
    }

    async fn member_remove(
        &self,
        _: Request<PbMemberRemoveRequest>,
    ) -> Result<Response<PbMemberRemoveResponse>, Status> {
        Err(fixed())
    }

    async fn member_update(
        &self,
        _: Request<PbMemberUpdateRequest>,
    ) -> Result<Response<PbMemberUpdateResponse>, Status> {
        Err(fixed())
    }

    async fn member_promote(
        &self,
        _: Request<PbMemberPromoteRequest>,
    ) -> Result<Response<PbMemberPromoteResponse>, Status> {
        Err(fixed())
    }
}
