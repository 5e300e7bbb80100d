//! Patroni's records in the DCS: same keys, same JSON, so that Patroni, `patronictl` and pgdrill can share one etcd.
//!
//! Every record has `to_json` (no spaces, fields ordered and omitted as Patroni does, see `AbstractDCS` and the
//! dataclasses in `patroni/dcs/__init__.py`) and `parse`, which never fails on what an older Patroni or an operator may
//! have left behind: what cannot be understood reads as Patroni reads it, as if it were absent.

mod failover;
mod history;
mod initialize;
mod keys;
mod member;
mod status;
mod sync;

pub use failover::FailoverRecord;
pub use history::{HistoryLine, HistoryRecord};
pub use initialize::Initialize;
pub use keys::{Key, Keys};
pub use member::{MemberRecord, MemberRole, MemberState, ReplicationState, parse_conn_url};
pub use status::StatusRecord;
pub use sync::SyncRecord;

use std::collections::BTreeMap;

/// `/failsafe`: the REST address of every member that must agree before a leader without DCS may go on.
pub type FailsafeRecord = BTreeMap<String, String>;

/// `/failsafe` as JSON. Patroni compares the text to decide whether to write, hence the fixed order.
pub fn failsafe_to_json(record: &FailsafeRecord) -> String {
    serde_json::to_string(record).expect("a map of strings is always JSON")
}

/// Parses `/failsafe`; anything but an object of strings is as good as absent.
pub fn parse_failsafe(text: &str) -> Option<FailsafeRecord> {
    serde_json::from_str(text).ok()
}
