//! What the clients do during a scenario.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::quantity::{Rate, Span};

/// The clients: hosts `client1`, `client2`..., writers first, then readers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Workload {
    /// Clients that write, each one write at a time; 0 to 64.
    #[schemars(schema_with = "crate::scenario::schema::clients")]
    pub writers: u16,
    /// Writes per second of all writers together.
    pub rate: Rate,
    /// Clients that read from the primary, each one read at a time; 0 to 64.
    #[schemars(schema_with = "crate::scenario::schema::clients")]
    pub readers: u16,
    /// Reads per second of all readers together.
    pub read_rate: Rate,
    /// How many keys the writes are spread over; at least 1.
    #[schemars(schema_with = "crate::scenario::schema::keys")]
    pub keys: u32,
    /// How long a client waits for a connection.
    #[schemars(schema_with = "crate::scenario::schema::positive")]
    pub connect_timeout: Span,
    /// How long a client waits for an answer before it gives up; the write's outcome is unknown then.
    #[schemars(schema_with = "crate::scenario::schema::positive")]
    pub statement_timeout: Span,
    /// How long a client waits before it connects again.
    #[schemars(schema_with = "crate::scenario::schema::positive")]
    pub reconnect_delay: Span,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            writers: 4,
            rate: Rate::per_second(5.0),
            readers: 1,
            read_rate: Rate::per_second(2.0),
            keys: 16,
            connect_timeout: Span::from_secs(2),
            statement_timeout: Span::from_secs(5),
            reconnect_delay: Span::from_millis(500),
        }
    }
}

impl Workload {
    /// How many client hosts there are.
    #[must_use]
    pub const fn clients(&self) -> usize {
        self.writers as usize + self.readers as usize
    }
}
