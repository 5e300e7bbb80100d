//! The replicated state machine: store, leases and watches of one member, changed only by applied entries.

use std::vec;

use etcd_client::proto::{
    PbCompactionRequest, PbCompactionResponse, PbDeleteRequest, PbDeleteResponse, PbLeaseGrantRequest,
    PbLeaseGrantResponse, PbLeaseRevokeResponse, PbPutRequest, PbPutResponse, PbResponseHeader, PbResponseOp,
    PbTxnOpRequest, PbTxnOpResponse, PbTxnRequest, PbTxnResponse,
};
use prost::Message as _;
use tokio::time::Instant;

use crate::{
    error::EtcdError,
    lease::Lessor,
    request::{Op, SavedLease, SavedMachine},
    store::{Store, Write, branch},
    watch::WatchHub,
};

/// The answer to an applied entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Applied {
    Put(PbPutResponse),
    DeleteRange(PbDeleteResponse),
    Txn(PbTxnResponse),
    Compaction(PbCompactionResponse),
    LeaseGrant(PbLeaseGrantResponse),
    LeaseRevoke(PbLeaseRevokeResponse),
}

/// See the module's description.
#[derive(Debug)]
pub(crate) struct Machine {
    pub store: Store,
    pub lessor: Lessor,
    pub watches: WatchHub,
    /// Index of the last applied entry.
    pub applied: u64,
}

fn header(revision: i64) -> Option<PbResponseHeader> {
    Some(PbResponseHeader { revision, ..PbResponseHeader::default() })
}

impl Machine {
    pub(crate) fn new(min_lease_ttl: i64) -> Self {
        Self { store: Store::default(), lessor: Lessor::new(min_lease_ttl), watches: WatchHub::default(), applied: 0 }
    }

    /// Applies one entry. Every member does exactly the same; only lease times are the primary's own.
    pub(crate) fn apply(&mut self, op: Op, now: Instant) -> Result<Applied, EtcdError> {
        match op {
            Op::Put(put) => self.put(put).map(Applied::Put),
            Op::DeleteRange(delete) => Ok(Applied::DeleteRange(self.delete_range(&delete))),
            Op::Txn(txn) => self.txn(&txn).map(Applied::Txn),
            Op::Compaction(compaction) => self.compact(compaction).map(Applied::Compaction),
            Op::LeaseGrant(grant) => self.lease_grant(grant, now).map(Applied::LeaseGrant),
            Op::LeaseRevoke(revoke) => self.lease_revoke(revoke.id).map(Applied::LeaseRevoke),
        }
    }

    /// Runs one transaction and tells the watches.
    fn write<R>(&mut self, body: impl FnOnce(&mut Write<'_>, &mut Lessor) -> R) -> R {
        let mut write = self.store.write();
        let result = body(&mut write, &mut self.lessor);
        let events = write.end();
        if !events.is_empty() {
            self.watches.notify(&self.store, self.store.revision(), &events);
        }
        result
    }

    fn put(&mut self, request: PbPutRequest) -> Result<PbPutResponse, EtcdError> {
        if request.lease != 0 && !self.lessor.exists(request.lease) {
            return Err(EtcdError::LeaseNotFound);
        }
        self.write(|write, lessor| put(write, lessor, request))
    }

    fn delete_range(&mut self, request: &PbDeleteRequest) -> PbDeleteResponse {
        self.write(|write, lessor| delete_range(write, lessor, request))
    }

    fn txn(&mut self, request: &PbTxnRequest) -> Result<PbTxnResponse, EtcdError> {
        let path = self.store.path(request);
        let lessor = &self.lessor;
        self.store.check_path(request, &mut path.iter().copied(), &|id| lessor.exists(id))?;
        let mut response = self.write(|write, lessor| txn(write, lessor, request, &mut path.into_iter()))?;
        response.header = header(self.store.revision());
        Ok(response)
    }

    fn compact(&mut self, request: PbCompactionRequest) -> Result<PbCompactionResponse, EtcdError> {
        self.store.compact(request.revision)?;
        Ok(PbCompactionResponse { header: header(self.store.revision()) })
    }

    fn lease_grant(&mut self, request: PbLeaseGrantRequest, now: Instant) -> Result<PbLeaseGrantResponse, EtcdError> {
        let ttl = self.lessor.grant(request.id, request.ttl, now)?;
        let header = header(self.store.revision());
        Ok(PbLeaseGrantResponse { header, id: request.id, ttl, error: String::new() })
    }

    fn lease_revoke(&mut self, id: i64) -> Result<PbLeaseRevokeResponse, EtcdError> {
        // Keys in order, so that every member gives every deletion the same sub-revision.
        let keys = self.lessor.revoke(id)?;
        self.write(|write, _| {
            for key in &keys {
                write.delete_range((key, b""));
            }
        });
        Ok(PbLeaseRevokeResponse { header: header(self.store.revision()) })
    }

    /// Everything a member without a log needs.
    pub(crate) fn save(&self) -> Vec<u8> {
        let leases = self.lessor.save().map(|(id, ttl)| SavedLease { id, ttl }).collect();
        SavedMachine { store: Some(self.store.save()), leases }.encode_to_vec()
    }

    /// Replaces the state by a snapshot's. Watches stay; they are told what they have missed.
    ///
    /// # Errors
    /// When the bytes are not a snapshot.
    pub(crate) fn restore(&mut self, data: &[u8], applied: u64, min_lease_ttl: i64) -> Result<(), prost::DecodeError> {
        let saved = SavedMachine::decode(data)?;
        self.store = Store::restore(saved.store.unwrap_or_default());
        self.lessor = Lessor::new(min_lease_ttl);
        let now = Instant::now();
        for SavedLease { id, ttl } in saved.leases {
            // The saved TTL passed these checks when it was granted.
            let _ = self.lessor.grant(id, ttl, now);
        }
        for (key, lease) in self.store.leased_keys() {
            self.lessor.attach(&key, lease);
        }
        self.applied = applied;
        self.watches.restart(&self.store);
        Ok(())
    }
}

fn put(write: &mut Write<'_>, lessor: &mut Lessor, request: PbPutRequest) -> Result<PbPutResponse, EtcdError> {
    let previous = (request.ignore_value || request.ignore_lease || request.prev_kv)
        .then(|| write.get(&request.key).cloned())
        .flatten();
    let (mut value, mut lease) = (request.value, request.lease);
    if request.ignore_value || request.ignore_lease {
        let previous = previous.as_ref().ok_or(EtcdError::KeyNotFound)?;
        if request.ignore_value {
            value.clone_from(&previous.value);
        }
        if request.ignore_lease {
            lease = previous.lease;
        }
    }
    let revision = write.put(&request.key, value, lease);
    lessor.attach(&request.key, lease);
    Ok(PbPutResponse { header: header(revision), prev_kv: previous.filter(|_| request.prev_kv) })
}

fn delete_range(write: &mut Write<'_>, lessor: &mut Lessor, request: &PbDeleteRequest) -> PbDeleteResponse {
    let range = (request.key.as_slice(), request.range_end.as_slice());
    let prev_kvs = if request.prev_kv { write.kvs(range) } else { Vec::new() };
    let keys = write.delete_range(range);
    for key in &keys {
        lessor.detach(key);
    }
    let deleted = i64::try_from(keys.len()).expect("fewer keys than i64 can count");
    PbDeleteResponse { header: header(write.revision()), deleted, prev_kvs }
}

fn txn(
    write: &mut Write<'_>,
    lessor: &mut Lessor,
    request: &PbTxnRequest,
    path: &mut vec::IntoIter<bool>,
) -> Result<PbTxnResponse, EtcdError> {
    let succeeded = path.next().unwrap_or(false);
    let mut responses = Vec::new();
    for op in branch(request, succeeded) {
        let response = match &op.request {
            Some(PbTxnOpRequest::RequestRange(r)) => Some(PbTxnOpResponse::ResponseRange(write.range(r)?)),
            Some(PbTxnOpRequest::RequestPut(r)) => Some(PbTxnOpResponse::ResponsePut(put(write, lessor, r.clone())?)),
            Some(PbTxnOpRequest::RequestDeleteRange(r)) => {
                Some(PbTxnOpResponse::ResponseDeleteRange(delete_range(write, lessor, r)))
            }
            Some(PbTxnOpRequest::RequestTxn(r)) => Some(PbTxnOpResponse::ResponseTxn(txn(write, lessor, r, path)?)),
            None => None,
        };
        responses.push(PbResponseOp { response });
    }
    Ok(PbTxnResponse { header: header(0), succeeded, responses })
}
