//! Refuses malformed requests before they reach the log (etcd's `api/v3rpc/key.go`).

use std::collections::BTreeSet;

use etcd_client::proto::{PbDeleteRequest, PbPutRequest, PbRangeRequest, PbTxnOpRequest, PbTxnRequest, PbTxnRequestOp};

use super::contains;
use crate::error::EtcdError;

/// # Errors
/// `EmptyKey`.
pub fn check_range(r: &PbRangeRequest) -> Result<(), EtcdError> {
    if r.key.is_empty() { Err(EtcdError::EmptyKey) } else { Ok(()) }
}

/// # Errors
/// `EmptyKey`; `ValueProvided` or `LeaseProvided` together with the flag that says to ignore it.
pub fn check_put(r: &PbPutRequest) -> Result<(), EtcdError> {
    if r.key.is_empty() {
        return Err(EtcdError::EmptyKey);
    }
    if r.ignore_value && !r.value.is_empty() {
        return Err(EtcdError::ValueProvided);
    }
    if r.ignore_lease && r.lease != 0 {
        return Err(EtcdError::LeaseProvided);
    }
    Ok(())
}

/// # Errors
/// `EmptyKey`.
pub fn check_delete(r: &PbDeleteRequest) -> Result<(), EtcdError> {
    if r.key.is_empty() { Err(EtcdError::EmptyKey) } else { Ok(()) }
}

/// # Errors
/// `TooManyOps`; `DuplicateKey` when the transaction would write a key twice; what the single requests can raise.
pub fn check_txn(txn: &PbTxnRequest, max_ops: usize) -> Result<(), EtcdError> {
    check_shape(txn, max_ops)?;
    // Which branch runs is not known yet, so both must be free of overlaps.
    check_overlaps(&txn.success)?;
    check_overlaps(&txn.failure)?;
    Ok(())
}

fn check_shape(txn: &PbTxnRequest, max_ops: usize) -> Result<(), EtcdError> {
    let ops = txn.compare.len().max(txn.success.len()).max(txn.failure.len());
    if ops > max_ops {
        return Err(EtcdError::TooManyOps);
    }
    if txn.compare.iter().any(|c| c.key.is_empty()) {
        return Err(EtcdError::EmptyKey);
    }
    txn.success.iter().chain(&txn.failure).try_for_each(|op| match &op.request {
        Some(PbTxnOpRequest::RequestRange(r)) => check_range(r),
        Some(PbTxnOpRequest::RequestPut(r)) => check_put(r),
        Some(PbTxnOpRequest::RequestDeleteRange(r)) => check_delete(r),
        Some(PbTxnOpRequest::RequestTxn(r)) => check_shape(r, max_ops - ops),
        None => Err(EtcdError::KeyNotFound),
    })
}

type Puts = BTreeSet<Vec<u8>>;
type Deletes = Vec<(Vec<u8>, Vec<u8>)>;

/// The keys put and the ranges deleted by a list of operations, nested ones included.
fn check_overlaps(ops: &[PbTxnRequestOp]) -> Result<(Puts, Deletes), EtcdError> {
    let mut deletes: Deletes = ops
        .iter()
        .filter_map(|op| match &op.request {
            Some(PbTxnOpRequest::RequestDeleteRange(d)) => Some((d.key.clone(), d.range_end.clone())),
            _ => None,
        })
        .collect();
    let mut puts = Puts::new();
    for op in ops {
        let Some(PbTxnOpRequest::RequestTxn(nested)) = &op.request else { continue };
        let (then_puts, then_deletes) = check_overlaps(&nested.success)?;
        let (else_puts, else_deletes) = check_overlaps(&nested.failure)?;
        // Only one of the two branches will run, so they may overlap with each other.
        let both: Puts = then_puts.union(&else_puts).cloned().collect();
        for key in both {
            add(&mut puts, &deletes, key)?;
        }
        deletes.extend(then_deletes);
        deletes.extend(else_deletes);
    }
    for op in ops {
        if let Some(PbTxnOpRequest::RequestPut(put)) = &op.request {
            add(&mut puts, &deletes, put.key.clone())?;
        }
    }
    Ok((puts, deletes))
}

fn add(puts: &mut Puts, deletes: &Deletes, key: Vec<u8>) -> Result<(), EtcdError> {
    if deletes.iter().any(|(from, end)| contains((from, end), &key)) || !puts.insert(key) {
        return Err(EtcdError::DuplicateKey);
    }
    Ok(())
}
