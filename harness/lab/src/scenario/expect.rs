//! What a scenario expects to be seen: bounds that the verdict checks, and the violations it is known to show.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::quantity::Span;

/// What must be true of a run. What is not given is not checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// The longest time without an acknowledged write (RTO). A single time means exactly that long; nobody wants that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outage: Option<Bounds<Span>>,
    /// Acknowledged writes that are gone at the end (RPO), in rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_writes: Option<Bounds<u64>>,
    /// How often the holder of the leader lock became another node, after the first one was elected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_changes: Option<Bounds<u64>>,
    /// The state of the cluster at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// Codes of the violations that this scenario is known to show (`two_writers`): the run fails when one of them is *not*
    /// seen, and when any other is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::scenario::schema::codes")]
    pub shows: Vec<String>,
}

/// The violations that a scenario can be known to show: codes of [`crate::oracle`]. Budgets are not among them: a scenario that
/// knows its outage writes it down.
pub const SHOWABLE: [&str; 18] = [
    "two_writers",
    "fencing_margin",
    "lost_writes",
    "loss_beyond_bound",
    "duplicate_write",
    "phantom_write",
    "refused_write_applied",
    "diverged_replica",
    "not_linearizable",
    "ineligible_promoted",
    "timeline_fork",
    "streamed_across_fork",
    "history_mismatch",
    "rest_lied",
    "not_recovered",
    "wrong_slots",
    "wrong_sync",
    "stale_key",
];

/// A lower and an upper bound, both included; written `{ min: 1, max: 3 }`, or as one value that is both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds<T> {
    /// At least this.
    pub min: Option<T>,
    /// At most this.
    pub max: Option<T>,
}

impl<T: Copy + PartialOrd> Bounds<T> {
    /// Exactly this.
    #[must_use]
    pub const fn exactly(value: T) -> Self {
        Self { min: Some(value), max: Some(value) }
    }

    /// At most this.
    #[must_use]
    pub const fn at_most(value: T) -> Self {
        Self { min: None, max: Some(value) }
    }

    /// Whether the value is within both bounds.
    #[must_use]
    pub fn contains(&self, value: T) -> bool {
        self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

/// The two spellings of bounds.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Spelled<T> {
    Exactly(T),
    Between {
        #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
        min: Option<T>,
        #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
        max: Option<T>,
    },
}

impl<T: Serialize + Copy + PartialEq> Serialize for Bounds<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => Spelled::Exactly(min),
            (min, max) => Spelled::Between { min, max },
        }
        .serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de> + Copy> Deserialize<'de> for Bounds<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Spelled::deserialize(deserializer)? {
            Spelled::Exactly(value) => Self { min: Some(value), max: Some(value) },
            Spelled::Between { min, max } => Self { min, max },
        })
    }
}

impl<T: JsonSchema> JsonSchema for Bounds<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("BoundsOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({
            "description": "A single value, or a lower and an upper bound (both included)",
            "if": { "type": "object" },
            "then": {
                "properties": { "min": value, "max": value },
                "minProperties": 1,
                "additionalProperties": false
            },
            "else": value
        })
    }
}

/// The state of the cluster when the scenario is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// One leader takes writes and every other node streams from it on its timeline.
    Healthy,
    /// One leader takes writes, but not every node is back.
    Writable,
    /// As healthy, in maintenance mode (`pause`).
    Paused,
    /// Reads are answered, writes are not.
    ReadOnly,
    /// Nobody holds the leader lock.
    NoLeader,
    /// No PostgreSQL answers at all.
    Unavailable,
}
