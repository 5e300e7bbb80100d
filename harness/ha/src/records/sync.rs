//! `/sync`: which standbys hold every acknowledged commit, and so may be promoted without loss.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// The content of `/sync` (`SyncState` in Patroni).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncRecord {
    /// The primary that wrote the record. `None` means that the record says nothing.
    pub leader: Option<String>,
    /// The synchronous standbys; in quorum mode the voters. Never holds the leader.
    pub standbys: BTreeSet<String>,
    /// Quorum mode: how many *other* voters must be no further ahead before a node may be promoted. 0 in priority mode.
    pub quorum: u32,
}

impl SyncRecord {
    /// A record of `leader` alone: only it may be promoted.
    pub fn only(leader: impl Into<String>) -> Self {
        SyncRecord { leader: Some(leader.into()), ..Self::default() }
    }

    /// Parses the key's value; nonsense reads as an empty record.
    pub fn parse(text: &str) -> Self {
        let Ok(value) = serde_json::from_str::<Value>(text) else { return Self::default() };
        let leader = value.get("leader").and_then(Value::as_str).filter(|name| !name.is_empty()).map(str::to_owned);
        let Some(leader) = leader else { return Self::default() };
        let listed = value.get("sync_standby").and_then(Value::as_str).unwrap_or_default();
        let standbys = listed.split(',').map(str::trim).filter(|name| !name.is_empty());
        SyncRecord {
            // A leader that lists itself comes from a standby using its primary's name (Patroni issue 3111).
            standbys: standbys.filter(|name| *name != leader).map(str::to_owned).collect(),
            leader: Some(leader),
            quorum: value.get("quorum").and_then(Value::as_u64).and_then(|q| u32::try_from(q).ok()).unwrap_or(0),
        }
    }

    /// The JSON Patroni writes; absent parts are `null`.
    pub fn to_json(&self) -> String {
        let names: Vec<&str> = self.standbys.iter().map(String::as_str).collect();
        let standbys = (!names.is_empty()).then(|| names.join(","));
        json!({ "leader": self.leader, "quorum": self.quorum, "sync_standby": standbys }).to_string()
    }

    /// Whether the record says nothing (absent key, mode off).
    pub fn is_empty(&self) -> bool {
        self.leader.is_none()
    }

    /// Whether `name` is the record's leader or one of its standbys (`SyncState.matches(name, True)`).
    /// Names compare as PostgreSQL compares `application_name`: without case.
    pub fn names(&self, name: &str) -> bool {
        self.is_leader(name) || self.is_standby(name)
    }

    /// Whether `name` wrote the record.
    pub fn is_leader(&self, name: &str) -> bool {
        self.leader.as_deref().is_some_and(|leader| leader.eq_ignore_ascii_case(name))
    }

    /// Whether `name` is one of the standbys (in quorum mode: a voter).
    pub fn is_standby(&self, name: &str) -> bool {
        self.standbys.iter().any(|standby| standby.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_round_trips_with_its_standbys_sorted() {
        let text = r#"{"leader":"pg1","quorum":1,"sync_standby":"pg2,pg3"}"#;
        assert_eq!(SyncRecord::parse(text).to_json(), text);
        let alone = r#"{"leader":"pg1","quorum":0,"sync_standby":null}"#;
        assert_eq!(SyncRecord::parse(alone).to_json(), alone);
        let unsorted = SyncRecord::parse(r#"{"leader":"pg1","quorum":null,"sync_standby":"pg3,pg2"}"#);
        assert_eq!(unsorted.to_json(), r#"{"leader":"pg1","quorum":0,"sync_standby":"pg2,pg3"}"#);
    }

    #[test]
    fn a_leader_is_never_its_own_synchronous_standby() {
        let record = SyncRecord::parse(r#"{"leader":"pg1","sync_standby":"pg1,pg2"}"#);
        assert!(!record.is_standby("pg1"));
        assert!(record.is_standby("PG2"));
    }

    #[test]
    fn nonsense_names_nobody() {
        for text in ["", "{}", "[]", r#"{"leader":null,"sync_standby":"a"}"#] {
            assert!(SyncRecord::parse(text).is_empty(), "{text}");
        }
    }
}
