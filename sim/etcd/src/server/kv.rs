//! The KV service (`api/v3rpc/key.go`, `EtcdServer.Range`, `Put`, `DeleteRange`, `Txn`, `Compact`).

use std::pin::Pin;

use etcd_client::proto::{
    PbCompactionRequest, PbCompactionResponse, PbDeleteRequest, PbDeleteResponse, PbKvService, PbPutRequest,
    PbPutResponse, PbRangeRequest, PbRangeResponse, PbRangeStreamResponse, PbTxnRequest, PbTxnResponse,
};
use futures::Stream;
use pgdrill_net::Net;
use tonic::{Request, Response, Status};

use super::Server;
use crate::{
    error::EtcdError,
    machine::Applied,
    request::Op,
    store::{check_delete, check_put, check_range, check_txn, is_readonly, is_serializable},
};

/// An entry's answer is of the kind of its request.
macro_rules! applied {
    ($self:ident, $op:ident($request:expr)) => {
        match $self.member.propose(Op::$op($request)).await? {
            Applied::$op(mut response) => {
                $self.member.fill(&mut response.header);
                Ok(Response::new(response))
            }
            other => unreachable!("the state machine answered a request with {other:?}"),
        }
    };
}
pub(super) use applied;

#[tonic::async_trait]
impl<N: Net> PbKvService for Server<N> {
    type RangeStreamStream = Pin<Box<dyn Stream<Item = Result<PbRangeStreamResponse, Status>> + Send>>;

    async fn range(&self, request: Request<PbRangeRequest>) -> Result<Response<PbRangeResponse>, Status> {
        self.admit(request.metadata())?;
        let request = request.into_inner();
        check_range(&request)?;
        if !request.serializable {
            self.member.linearizable_read().await?;
        }
        let mut response = self.member.machine().store.range(&request)?;
        self.member.fill(&mut response.header);
        Ok(Response::new(response))
    }

    async fn range_stream(&self, _: Request<PbRangeRequest>) -> Result<Response<Self::RangeStreamStream>, Status> {
        // New in etcd 3.7; a 3.5 server does not know the method.
        Err(EtcdError::Unimplemented("unknown method RangeStream for service etcdserverpb.KV").into())
    }

    async fn put(&self, request: Request<PbPutRequest>) -> Result<Response<PbPutResponse>, Status> {
        self.admit(request.metadata())?;
        check_put(request.get_ref())?;
        applied!(self, Put(request.into_inner()))
    }

    async fn delete_range(&self, request: Request<PbDeleteRequest>) -> Result<Response<PbDeleteResponse>, Status> {
        self.admit(request.metadata())?;
        check_delete(request.get_ref())?;
        applied!(self, DeleteRange(request.into_inner()))
    }

    async fn txn(&self, request: Request<PbTxnRequest>) -> Result<Response<PbTxnResponse>, Status> {
        self.admit(request.metadata())?;
        let txn = request.into_inner();
        check_txn(&txn, self.member.config.max_txn_ops)?;
        if !is_readonly(&txn) {
            return applied!(self, Txn(txn));
        }
        if !is_serializable(&txn) {
            self.member.linearizable_read().await?;
        }
        let mut response = self.member.machine().store.read_txn(&txn)?;
        self.member.fill(&mut response.header);
        Ok(Response::new(response))
    }

    async fn compact(&self, request: Request<PbCompactionRequest>) -> Result<Response<PbCompactionResponse>, Status> {
        self.admit(request.metadata())?;
        applied!(self, Compaction(request.into_inner()))
    }
}
