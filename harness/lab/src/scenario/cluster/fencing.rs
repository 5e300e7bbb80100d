//! The dead-man process of the nodes: pgdrill's own fencing, which Patroni does not have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a tiny process beside pgdrill's agent stops PostgreSQL when the leadership ends unrenewed: `pgdrill.fencing.mode`
/// of every node. The real Patroni has no such process: where it plays the file, `automatic` is not applied, so that one file
/// shows the hazard of plain Patroni and what fencing does about it, and `required` is unsupported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fencing {
    /// There is none.
    Off,
    /// There is one; a node whose dead-man does not work leads without it.
    #[default]
    Automatic,
    /// A node whose dead-man does not work does not lead.
    Required,
}
