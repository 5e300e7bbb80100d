//! Between the port's plain types and etcd-client's.

use etcd_client::{
    Compare as EtcdCompare, CompareOp, KeyValue as EtcdKeyValue, PutOptions, Txn as EtcdTxn, TxnOp, TxnOpResponse,
    TxnResponse,
};

use super::{Compare, KeyValue, LeaseId, Op, Txn, TxnOutcome};

pub(super) fn key_value(kv: &EtcdKeyValue) -> (String, KeyValue) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value = KeyValue { value: text(kv.value()), mod_revision: kv.mod_revision(), lease: kv.lease() };
    (text(kv.key()), value)
}

pub(super) fn put_options(lease: LeaseId) -> Option<PutOptions> {
    (lease != 0).then(|| PutOptions::new().with_lease(lease))
}

pub(super) fn txn(txn: &Txn) -> EtcdTxn {
    EtcdTxn::new()
        .when(txn.compare.iter().map(compare).collect::<Vec<_>>())
        .and_then(txn.success.iter().map(op).collect::<Vec<_>>())
        .or_else(txn.failure.iter().map(op).collect::<Vec<_>>())
}

fn compare(compare: &Compare) -> EtcdCompare {
    match compare {
        Compare::Absent(key) => EtcdCompare::create_revision(key.as_str(), CompareOp::Equal, 0),
        Compare::ModRevision(key, revision) => EtcdCompare::mod_revision(key.as_str(), CompareOp::Equal, *revision),
        Compare::Value(key, value) => EtcdCompare::value(key.as_str(), CompareOp::Equal, value.as_str()),
        Compare::Lease(key, lease) => EtcdCompare::lease(key.as_str(), CompareOp::Equal, *lease),
    }
}

fn op(op: &Op) -> TxnOp {
    match op {
        Op::Put(key, value, lease) => TxnOp::put(key.as_str(), value.as_str(), put_options(*lease)),
        Op::Delete(key) => TxnOp::delete(key.as_str(), None),
        Op::Get(key) => TxnOp::get(key.as_str(), None),
        Op::Txn(inner) => TxnOp::txn(txn(inner)),
    }
}

pub(super) fn outcome(response: &TxnResponse) -> TxnOutcome {
    let mut outcome = TxnOutcome {
        succeeded: response.succeeded(),
        revision: response.header().map_or(0, etcd_client::ResponseHeader::revision),
        ..TxnOutcome::default()
    };
    for response in response.op_responses() {
        match response {
            TxnOpResponse::Get(got) => outcome.found.extend(got.kvs().iter().map(key_value)),
            TxnOpResponse::Txn(inner) => {
                let inner = self::outcome(&inner);
                outcome.inner_succeeded = Some(inner.succeeded);
                outcome.found.extend(inner.found);
            }
            TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) => {}
        }
    }
    outcome
}
