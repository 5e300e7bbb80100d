//! Answers a `RangeRequest` (etcd's `applierV3backend.Range`).

use etcd_client::proto::{PbKeyValue, PbRangeRequest, PbRangeResponse};

use super::Store;
use crate::error::EtcdError;

/// `SortOrder` and `SortTarget` by their numbers in `rpc.proto`: the generated enums are not public.
const SORT_NONE: i32 = 0;
const SORT_DESCEND: i32 = 2;
const TARGET_KEY: i32 = 0;

impl Store {
    /// Answers a range request for a reader that sees `current` as the newest revision. The header carries only the
    /// revision; the server fills in the rest.
    ///
    /// # Errors
    /// `FutureRev` and `Compacted`, by the requested revision.
    pub fn range_at(&self, request: &PbRangeRequest, current: i64) -> Result<PbRangeResponse, EtcdError> {
        if request.revision > current {
            return Err(EtcdError::FutureRev);
        }
        let at = if request.revision <= 0 { current } else { request.revision };
        if at < self.compacted {
            return Err(EtcdError::Compacted);
        }
        let found = self.scan((&request.key, &request.range_end), at);
        let header = Some(super::txn::revision_header(current));
        if request.count_only {
            return Ok(PbRangeResponse { header, count: count(found.count()), ..PbRangeResponse::default() });
        }
        let found: Vec<_> = found.collect();
        // The count is of the whole range, before limit and revision filters.
        let total = count(found.len());
        let mut kept: Vec<_> = found.into_iter().filter(|kv| passes(request, kv)).collect();
        sort(&mut kept, request.sort_order, request.sort_target);
        let limit = usize::try_from(request.limit).unwrap_or(0);
        let more = limit > 0 && kept.len() > limit;
        if more {
            kept.truncate(limit);
        }
        let kvs = kept.into_iter().map(|kv| answer(kv, request.keys_only)).collect();
        Ok(PbRangeResponse { header, kvs, more, count: total })
    }

    /// Answers a range request outside any transaction.
    ///
    /// # Errors
    /// As [`Store::range_at`].
    pub fn range(&self, request: &PbRangeRequest) -> Result<PbRangeResponse, EtcdError> {
        self.range_at(request, self.revision)
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).expect("a store in memory has fewer keys than i64 can count")
}

fn passes(request: &PbRangeRequest, kv: &PbKeyValue) -> bool {
    (request.max_mod_revision == 0 || kv.mod_revision <= request.max_mod_revision)
        && (request.min_mod_revision == 0 || kv.mod_revision >= request.min_mod_revision)
        && (request.max_create_revision == 0 || kv.create_revision <= request.max_create_revision)
        && (request.min_create_revision == 0 || kv.create_revision >= request.min_create_revision)
}

fn sort(kvs: &mut [&PbKeyValue], order: i32, target: i32) {
    // The scan is in key order; sorting by another field without naming an order means ascending. Ties keep key order
    // (etcd's sort is unstable there, so no client can rely on anything else).
    if order == SORT_NONE && target == TARGET_KEY {
        return;
    }
    kvs.sort_by(|a, b| {
        let ascending = match target {
            1 => a.version.cmp(&b.version),
            2 => a.create_revision.cmp(&b.create_revision),
            3 => a.mod_revision.cmp(&b.mod_revision),
            4 => a.value.cmp(&b.value),
            _ => a.key.cmp(&b.key),
        };
        if order == SORT_DESCEND { ascending.reverse() } else { ascending }
    });
}

fn answer(kv: &PbKeyValue, keys_only: bool) -> PbKeyValue {
    if !keys_only {
        return kv.clone();
    }
    PbKeyValue { key: kv.key.clone(), value: Vec::new(), ..*kv }
}
