//! The Patroni-compatible HA agent: an observe, decide, act loop around the pure state machine of `pgdrill-ha`.
//!
//! | folder | what it holds |
//! |---|---|
//! | [`ports`] | what the agent needs from its world, as traits |
//! | [`config`] | what it is told at its start |
//! | [`dcs`] | etcd's API, its client, and Patroni's keys on top |
//! | `postgres` | the SQL it sends |
//! | `daemon` | the loop |
//! | `rest` | the REST API and its client |
//! | [`tls`] | TLS for all of them |

pub mod clock;
pub mod config;
pub mod daemon;
pub mod dcs;
pub mod ports;
pub mod postgres;
pub mod rest;
pub mod tls;

#[cfg(test)]
mod fixtures;

pub use config::AgentConfig;
pub use daemon::{Agent, AgentError, Shutdown};
