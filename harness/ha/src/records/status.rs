//! `/status`: how far the leader's WAL is, and where its slots stand.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Lsn;

/// The content of `/status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusRecord {
    /// The leader's last known WAL position; `None` if no leader ever published one.
    pub optime: Option<Lsn>,
    /// Slot name to confirmed position, and the leader's own name to its position. Empty: not published.
    pub slots: BTreeMap<String, Lsn>,
    /// Member slots kept although the member's key is gone (`member_slots_ttl`).
    pub retain_slots: Vec<String>,
}

impl StatusRecord {
    /// Parses the JSON form, and the bare number that `optime/leader` holds.
    pub fn parse(text: &str) -> Self {
        let Ok(value) = serde_json::from_str::<Value>(text) else { return Self::default() };
        if let Some(optime) = position(&value) {
            return StatusRecord { optime: Some(optime), ..Self::default() };
        }
        let slots = value.get("slots").and_then(Value::as_object);
        let retained = value.get("retain_slots").and_then(Value::as_array);
        StatusRecord {
            optime: value.get("optime").and_then(position),
            slots: slots.into_iter().flatten().filter_map(|(name, lsn)| Some((name.clone(), position(lsn)?))).collect(),
            retain_slots: retained.into_iter().flatten().filter_map(|s| s.as_str().map(str::to_owned)).collect(),
        }
    }

    /// The JSON Patroni writes: `optime` always, the others only if there are any.
    pub fn to_json(&self) -> String {
        let mut object = serde_json::Map::new();
        object.insert("optime".into(), self.optime.map_or(0, |lsn| lsn.0).into());
        if !self.slots.is_empty() {
            let slots = self.slots.iter().map(|(name, lsn)| (name.clone(), lsn.0.into())).collect();
            object.insert("slots".into(), Value::Object(slots));
        }
        if !self.retain_slots.is_empty() {
            object.insert("retain_slots".into(), self.retain_slots.clone().into());
        }
        Value::Object(object).to_string()
    }
}

/// A position as a number or as a decimal string; zero is Patroni's word for "unknown".
fn position(value: &Value) -> Option<Lsn> {
    let bytes = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    (bytes > 0).then_some(Lsn(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_round_trips() {
        let text = r#"{"optime":67108960,"slots":{"pg1":67108960,"pg2":67108864},"retain_slots":["pg3"]}"#;
        assert_eq!(StatusRecord::parse(text).to_json(), text);
        assert_eq!(StatusRecord::parse(r#"{"optime":5}"#).to_json(), r#"{"optime":5}"#);
    }

    #[test]
    fn the_legacy_optime_is_a_bare_number() {
        assert_eq!(StatusRecord::parse("67108960").optime, Some(Lsn(67_108_960)));
        assert_eq!(StatusRecord::parse("nonsense"), StatusRecord::default());
    }
}
