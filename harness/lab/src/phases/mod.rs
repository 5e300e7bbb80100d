//! How a failover or a switchover came about, step by step: when each phase was reached, read from the recorded events alone,
//! so that a simulated and a real run can be laid side by side.
//!
//! A run may have several [`Incident`]s. Each is named by the line of the timeline that led to it and by its place among
//! those of that line, because the hosts differ from run to run. The phases of an incident are counted from the moment when
//! that line was carried out.
//!
//! What is not measured here: whether anything was *right*. That is the oracles' business.

mod incident;
mod order;

pub use incident::{Incident, IncidentKey, Phase, incidents};
pub use order::{Order, order_of};

#[cfg(test)]
mod tests;
