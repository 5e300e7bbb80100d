//! A node's tags: what it may become and whom it follows.

use pgdrill_settings::value::{integer, switch};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The tags of one node, as in `patroni.yml` and in its member record (documentation: "Tags").
///
/// The raw document is kept, since users may add tags of their own; the getters know Patroni's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(pub Map<String, Value>);

impl Tags {
    /// Whether no tag is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tags that are told to others: without Patroni's own where they are at their defaults. `nofailover: false` stays
    /// beside a `failover_priority`, which it overrules (`Tags._filter_tags`).
    #[must_use]
    pub fn shown(&self) -> Tags {
        const FLAGS: [&str; 5] = ["clonefrom", "nofailover", "noloadbalance", "nosync", "nostream"];
        let overrules = |name: &str| match name {
            "nofailover" => self.0.contains_key("failover_priority"),
            "nosync" => self.0.contains_key("sync_priority"),
            _ => false,
        };
        let is_set = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            _ => true,
        };
        let shown =
            |(name, value): &(&String, &Value)| !FLAGS.contains(&name.as_str()) || is_set(value) || overrules(name);
        Tags(self.0.iter().filter(shown).map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(switch)
    }

    fn number(&self, name: &str) -> Option<i64> {
        let number = integer(self.0.get(name)?, None)?;
        Some(number.clamp(i64::MIN.into(), i64::MAX.into()).try_into().expect("it is within"))
    }

    /// Whether the node must never become the leader: `nofailover`, or `failover_priority` of 0 or less.
    /// If both are given, the flag wins (`Tags.nofailover`).
    pub fn nofailover(&self) -> bool {
        self.flag("nofailover").unwrap_or_else(|| self.number("failover_priority").is_some_and(|p| p <= 0))
    }

    /// Who is preferred among nodes of the same WAL position; 0 for a node that must not become the leader.
    pub fn failover_priority(&self) -> i64 {
        if self.nofailover() { 0 } else { self.number("failover_priority").filter(|p| *p > 0).unwrap_or(1) }
    }

    /// Whether the node must not be a synchronous standby: `nosync`, or `sync_priority` of 0 or less.
    pub fn nosync(&self) -> bool {
        self.flag("nosync").unwrap_or_else(|| self.number("sync_priority").is_some_and(|p| p <= 0))
    }

    /// Who is preferred as synchronous standby; higher wins, 0 is never.
    pub fn sync_priority(&self) -> i64 {
        if self.nosync() { 0 } else { self.number("sync_priority").filter(|p| *p > 0).unwrap_or(1) }
    }

    /// Whether load balancers should leave the node out.
    pub fn noloadbalance(&self) -> bool {
        self.flag("noloadbalance").unwrap_or(false)
    }

    /// Whether new replicas may be copied from the node.
    pub fn clonefrom(&self) -> bool {
        self.flag("clonefrom").unwrap_or(false)
    }

    /// The node to follow instead of the leader (cascading replication).
    pub fn replicatefrom(&self) -> Option<&str> {
        self.0.get("replicatefrom")?.as_str().filter(|name| !name.is_empty())
    }

    /// Whether the node takes its WAL from the archive alone.
    pub fn nostream(&self) -> bool {
        self.flag("nostream").unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tags(value: Value) -> Tags {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_flag_wins_over_the_priority() {
        assert!(tags(json!({"failover_priority": 0})).nofailover());
        assert!(!tags(json!({"nofailover": false, "failover_priority": 0})).nofailover());
        assert!(tags(json!({"nofailover": "yes", "failover_priority": 7})).nofailover());
        assert_eq!(tags(json!({"failover_priority": "7"})).failover_priority(), 7);
        assert!(
            tags(json!({"failover_priority": "0"})).nofailover() && tags(json!({"sync_priority": "-0x1"})).nosync()
        );
        assert!(tags(json!({"nofailover": "Off", "failover_priority": "0"})).failover_priority() == 1);
        assert_eq!(tags(json!({"nofailover": true, "failover_priority": 7})).failover_priority(), 0);
    }

    #[test]
    fn others_are_told_what_differs_from_the_defaults() {
        let all =
            tags(json!({"nofailover": false, "noloadbalance": false, "clonefrom": true, "nosync": false, "zone": "a"}));
        assert_eq!(all.shown(), tags(json!({"clonefrom": true, "zone": "a"})));
        let overruled = tags(json!({"nofailover": false, "failover_priority": 0, "nosync": false}));
        assert_eq!(overruled.shown(), tags(json!({"nofailover": false, "failover_priority": 0})));
    }

    #[test]
    fn no_tags_mean_an_ordinary_member() {
        let none = Tags::default();
        assert!(!none.nofailover() && !none.nosync() && !none.nostream() && !none.clonefrom());
        assert_eq!((none.failover_priority(), none.sync_priority(), none.replicatefrom()), (1, 1, None));
    }
}
