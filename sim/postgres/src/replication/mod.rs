//! Physical streaming replication: walsender, walreceiver, and the commits that wait for them.

pub(crate) mod backup;
pub(crate) mod client;
pub(crate) mod commands;
pub(crate) mod protocol;
pub(crate) mod syncrep;
pub(crate) mod walreceiver;
pub(crate) mod walsender;
