//! `/failover`: a switchover or failover somebody asked for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The content of `/failover`. A record with `leader` asks for a switchover, one without for a failover.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverRecord {
    /// The node that is to stop being the leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// The node that is to become the leader (`Failover.candidate` in Patroni).
    #[serde(default, rename = "member", alias = "candidate", skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
    /// When; absent means at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_at: Option<Timestamp>,
}

impl FailoverRecord {
    /// Parses JSON or the old `leader:candidate`; `{}` and nonsense are no request.
    pub fn parse(text: &str) -> Option<Self> {
        let record = serde_json::from_str(text).ok().or_else(|| Self::parse_legacy(text))?;
        Self::without_empty_names(record)
    }

    fn parse_legacy(text: &str) -> Option<Self> {
        let (leader, candidate) = text.trim().split_once(':')?;
        // A broken JSON object contains colons too.
        let plain = |name: &str| !name.contains(['{', '"', ' ']);
        (plain(leader) && plain(candidate)).then(|| FailoverRecord {
            leader: Some(leader.to_owned()),
            candidate: Some(candidate.to_owned()),
            scheduled_at: None,
        })
    }

    fn without_empty_names(mut self) -> Option<Self> {
        self.leader = self.leader.filter(|name| !name.is_empty());
        self.candidate = self.candidate.filter(|name| !name.is_empty());
        (self.leader.is_some() || self.candidate.is_some()).then_some(self)
    }

    /// The JSON Patroni writes.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and a timestamp are always JSON")
    }

    /// Whether this asks for a switchover rather than a failover.
    pub fn is_switchover(&self) -> bool {
        self.leader.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switchover_round_trips() {
        let text = r#"{"leader":"pg1","member":"pg2","scheduled_at":"2026-03-01T10:00:00Z"}"#;
        let record = FailoverRecord::parse(text).unwrap();
        assert!(record.is_switchover());
        assert_eq!(record.to_json(), text);
    }

    #[test]
    fn patronis_offset_times_are_understood() {
        let record = FailoverRecord::parse(r#"{"leader":"a","scheduled_at":"2026-03-01T12:00:00+02:00"}"#).unwrap();
        assert_eq!(record.scheduled_at, Some("2026-03-01T10:00:00Z".parse().unwrap()));
    }

    #[test]
    fn the_legacy_form_and_the_cleared_form_are_understood() {
        let legacy = FailoverRecord::parse("pg1:pg2").unwrap();
        assert_eq!((legacy.leader.as_deref(), legacy.candidate.as_deref()), (Some("pg1"), Some("pg2")));
        for cleared in ["{}", "", ":", "{\"leader\": 3", "null"] {
            assert_eq!(FailoverRecord::parse(cleared), None, "{cleared}");
        }
    }
}
