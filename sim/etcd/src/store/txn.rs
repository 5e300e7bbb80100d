//! Transactions: comparisons first, for the whole tree of nested transactions, then the chosen branches
//! (etcd's `applierV3backend.Txn`).

use etcd_client::proto::{
    PbCompare, PbKeyValue, PbRangeRequest, PbResponseHeader, PbResponseOp, PbTargetUnion, PbTxnOpRequest, PbTxnRequest,
    PbTxnRequestOp, PbTxnResponse,
};

use super::{Store, Write};
use crate::error::EtcdError;

/// `CompareTarget`'s and `CompareResult`'s numbers in `rpc.proto`.
const VERSION: i32 = 0;
const CREATE: i32 = 1;
const MOD: i32 = 2;
const VALUE: i32 = 3;
const LEASE: i32 = 4;

/// A header that carries only the revision.
pub(super) fn revision_header(revision: i64) -> PbResponseHeader {
    PbResponseHeader { revision, ..PbResponseHeader::default() }
}

fn ranges(ops: &[PbTxnRequestOp]) -> impl Iterator<Item = Option<&PbRangeRequest>> {
    ops.iter().map(|op| match &op.request {
        Some(PbTxnOpRequest::RequestRange(range)) => Some(range),
        _ => None,
    })
}

/// Whether both branches only read: such a transaction does not go through the log. A nested transaction counts as a
/// write, even if it only reads, as in etcd 3.5.
#[must_use]
pub fn is_readonly(txn: &PbTxnRequest) -> bool {
    ranges(&txn.success).chain(ranges(&txn.failure)).all(|r| r.is_some())
}

/// Whether all its reads allow stale answers.
#[must_use]
pub fn is_serializable(txn: &PbTxnRequest) -> bool {
    ranges(&txn.success).chain(ranges(&txn.failure)).all(|r| r.is_some_and(|r| r.serializable))
}

/// The branch taken at each transaction of the tree, in the order in which they are applied.
pub(crate) type Path = Vec<bool>;

impl Store {
    /// Evaluates all comparisons of the tree against the state before the transaction.
    pub(crate) fn path(&self, txn: &PbTxnRequest) -> Path {
        let mut path = Vec::new();
        self.extend_path(txn, &mut path);
        path
    }

    fn extend_path(&self, txn: &PbTxnRequest, path: &mut Path) {
        let succeeded = txn.compare.iter().all(|c| self.compare(c));
        path.push(succeeded);
        for op in branch(txn, succeeded) {
            if let Some(PbTxnOpRequest::RequestTxn(nested)) = &op.request {
                self.extend_path(nested, path);
            }
        }
    }

    fn compare(&self, c: &PbCompare) -> bool {
        let mut found = self.scan((&c.key, &c.range_end), self.revision).peekable();
        if found.peek().is_none() {
            // No value can be told from the empty value on the wire, so comparing the value of a missing key always fails;
            // its numbers are 0.
            return c.target != VALUE && holds(c, &PbKeyValue::default());
        }
        found.all(|kv| holds(c, kv))
    }

    /// What would fail half-way is refused before anything is written: unknown leases, missing keys for `ignore_value` and
    /// `ignore_lease`, impossible revisions.
    pub(crate) fn check_path(
        &self,
        txn: &PbTxnRequest,
        path: &mut impl Iterator<Item = bool>,
        lease_exists: &dyn Fn(i64) -> bool,
    ) -> Result<(), EtcdError> {
        let succeeded = path.next().unwrap_or(false);
        for op in branch(txn, succeeded) {
            match &op.request {
                Some(PbTxnOpRequest::RequestPut(put)) => {
                    if (put.ignore_value || put.ignore_lease) && self.get_at(&put.key, self.revision).is_none() {
                        return Err(EtcdError::KeyNotFound);
                    }
                    if put.lease != 0 && !lease_exists(put.lease) {
                        return Err(EtcdError::LeaseNotFound);
                    }
                }
                Some(PbTxnOpRequest::RequestRange(range)) => self.check_revision(range.revision)?,
                Some(PbTxnOpRequest::RequestTxn(nested)) => self.check_path(nested, path, lease_exists)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn check_revision(&self, revision: i64) -> Result<(), EtcdError> {
        match revision {
            0 => Ok(()),
            r if r > self.revision => Err(EtcdError::FutureRev),
            r if r < self.compacted => Err(EtcdError::Compacted),
            _ => Ok(()),
        }
    }

    /// Answers a transaction that only reads.
    ///
    /// # Errors
    /// As [`Store::range`].
    pub fn read_txn(&self, txn: &PbTxnRequest) -> Result<PbTxnResponse, EtcdError> {
        let succeeded = txn.compare.iter().all(|c| self.compare(c));
        let responses = ranges(branch(txn, succeeded)).flatten().map(|range| {
            let response = etcd_client::proto::PbTxnOpResponse::ResponseRange(self.range(range)?);
            Ok(PbResponseOp { response: Some(response) })
        });
        let responses = responses.collect::<Result<_, EtcdError>>()?;
        Ok(PbTxnResponse { header: Some(revision_header(self.revision)), succeeded, responses })
    }
}

/// The operations of the branch that was chosen.
pub(crate) fn branch(txn: &PbTxnRequest, succeeded: bool) -> &[PbTxnRequestOp] {
    if succeeded { &txn.success } else { &txn.failure }
}

fn holds(c: &PbCompare, kv: &PbKeyValue) -> bool {
    // A target union that does not fit the target counts as absent, that is 0 or empty.
    let number = |found: i64, wanted: Option<i64>| found.cmp(&wanted.unwrap_or(0));
    let union = c.target_union.as_ref();
    let ordering = match (c.target, union) {
        (VALUE, Some(PbTargetUnion::Value(v))) => kv.value.cmp(v),
        (VALUE, _) => kv.value.as_slice().cmp(&[]),
        (VERSION, Some(PbTargetUnion::Version(n))) => number(kv.version, Some(*n)),
        (VERSION, _) => number(kv.version, None),
        (CREATE, Some(PbTargetUnion::CreateRevision(n))) => number(kv.create_revision, Some(*n)),
        (CREATE, _) => number(kv.create_revision, None),
        (MOD, Some(PbTargetUnion::ModRevision(n))) => number(kv.mod_revision, Some(*n)),
        (MOD, _) => number(kv.mod_revision, None),
        (LEASE, Some(PbTargetUnion::Lease(n))) => number(kv.lease, Some(*n)),
        (LEASE, _) => number(kv.lease, None),
        _ => std::cmp::Ordering::Equal,
    };
    match c.result {
        0 => ordering.is_eq(),
        1 => ordering.is_gt(),
        2 => ordering.is_lt(),
        3 => ordering.is_ne(),
        _ => true,
    }
}

impl Write<'_> {
    /// Answers a range request as seen inside this transaction.
    ///
    /// # Errors
    /// As [`Store::range_at`].
    pub fn range(&self, request: &PbRangeRequest) -> Result<etcd_client::proto::PbRangeResponse, EtcdError> {
        self.store.range_at(request, self.revision())
    }
}
