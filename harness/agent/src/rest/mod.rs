//! Patroni's REST API: what the agent answers, and how it asks other members.

pub mod client;
