//! The adapter against small gRPC servers on this machine: members that answer, refuse, hang or live in the past.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use etcd_client::proto::{
    PbCompactionRequest, PbCompactionResponse, PbDeleteRequest, PbDeleteResponse, PbKvServer, PbKvService,
    PbPutRequest, PbPutResponse, PbRangeRequest, PbRangeResponse, PbRangeStreamResponse, PbResponseHeader,
    PbTxnRequest, PbTxnResponse,
};
use futures::{Stream, stream};
use pgdrill_net::TokioNet;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, transport::Server};

use super::*;

/// How a member answers.
#[derive(Clone, Default)]
struct Member {
    raft_term: Arc<AtomicU64>,
    puts: Arc<AtomicU64>,
    hangs: bool,
    refuses: bool,
}

impl Member {
    fn in_term(raft_term: u64) -> Self {
        Self { raft_term: Arc::new(AtomicU64::new(raft_term)), ..Self::default() }
    }

    fn header(&self) -> Option<PbResponseHeader> {
        let raft_term = self.raft_term.load(Ordering::SeqCst);
        Some(PbResponseHeader { cluster_id: 1, member_id: 1, revision: 7, raft_term })
    }

    /// Listens on a port of its own.
    async fn serve(&self) -> HostPort {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let incoming = stream::unfold(listener, |listener| async {
            Some((listener.accept().await.map(|(stream, _)| stream), listener))
        });
        tokio::spawn(
            Server::builder().add_service(PbKvServer::new(self.clone())).serve_with_incoming(Box::pin(incoming)),
        );
        HostPort::new("127.0.0.1", port)
    }
}

#[tonic::async_trait]
impl PbKvService for Member {
    type RangeStreamStream = Pin<Box<dyn Stream<Item = Result<PbRangeStreamResponse, Status>> + Send>>;

    async fn range(&self, _: Request<PbRangeRequest>) -> Result<Response<PbRangeResponse>, Status> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(PbRangeResponse { header: self.header(), ..PbRangeResponse::default() }))
    }

    async fn put(&self, _: Request<PbPutRequest>) -> Result<Response<PbPutResponse>, Status> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if self.refuses {
            return Err(Status::not_found("etcdserver: requested lease not found"));
        }
        Ok(Response::new(PbPutResponse { header: self.header(), ..PbPutResponse::default() }))
    }

    async fn range_stream(&self, _: Request<PbRangeRequest>) -> Result<Response<Self::RangeStreamStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn delete_range(&self, _: Request<PbDeleteRequest>) -> Result<Response<PbDeleteResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn txn(&self, _: Request<PbTxnRequest>) -> Result<Response<PbTxnResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn compact(&self, _: Request<PbCompactionRequest>) -> Result<Response<PbCompactionResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

/// A port that nobody listens on.
async fn nobody() -> HostPort {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    HostPort::new("127.0.0.1", listener.local_addr().unwrap().port())
}

fn client(hosts: Vec<HostPort>) -> Etcd<TokioNet> {
    let second = Duration::from_secs(1);
    let timing = EtcdTiming::new(second * 30, second * 10, second * 2, hosts.len());
    Etcd::new(TokioNet, &EtcdConfig { hosts, ..EtcdConfig::default() }, timing)
}

#[tokio::test]
async fn a_member_that_cannot_be_reached_or_hangs_is_left_for_the_next() {
    let hanging = Member { hangs: true, ..Member::in_term(2) };
    let hosts = vec![nobody().await, hanging.serve().await, Member::in_term(2).serve().await];
    let etcd = client(hosts);
    assert_eq!(etcd.range("/service/demo/").await.unwrap().revision, 7);
    assert_eq!(etcd.state().current, 2, "the one that answered is asked first from now on");
}

#[tokio::test]
async fn an_answer_from_the_past_is_not_believed() {
    let member = Member::in_term(5);
    let etcd = client(vec![member.serve().await]);
    let range = etcd.range("/").await.unwrap();
    assert_eq!((range.cluster_id, range.raft_term), (1, 5));
    member.raft_term.store(4, Ordering::SeqCst);
    assert!(matches!(etcd.range("/").await, Err(KvError::Unknown(text)) if text.contains("stale")));
}

#[tokio::test]
async fn a_write_is_refused_unknown_or_certainly_not_sent() {
    let refusing = Member { refuses: true, ..Member::default() };
    let refused = client(vec![refusing.serve().await]).put("k", "v", 9, Tries::Repeat).await;
    assert!(matches!(refused, Err(KvError::Refused(_))), "{refused:?}");
    assert_eq!(refusing.puts.load(Ordering::SeqCst), 1, "a refusal is an answer");
    let not_sent = client(vec![nobody().await]).put("k", "v", 0, Tries::Once).await;
    assert!(matches!(not_sent, Err(KvError::NotSent(_))), "{not_sent:?}");
}

#[tokio::test]
async fn what_may_not_be_done_twice_is_sent_once_and_then_unknown() {
    let hanging = Member { hangs: true, ..Member::default() };
    let other = Member::default();
    let hosts = vec![nobody().await, hanging.serve().await, other.serve().await];
    let outcome = client(hosts).put("k", "v", 0, Tries::Once).await;
    assert!(matches!(outcome, Err(KvError::Unknown(_))), "{outcome:?}");
    assert_eq!((hanging.puts.load(Ordering::SeqCst), other.puts.load(Ordering::SeqCst)), (1, 0));
}
