//! A server model of PostgreSQL 15 to 18 that speaks the real wire protocol.
//!
//! Clients such as `tokio-postgres` connect to it as to any server; standbys stream from it, are promoted and rewound.
//! Every socket goes through [`pgdrill_net::Net`] and time is tokio's, so the same code runs on real sockets and in a
//! simulation. What survives the end of a process, or of the power supply, lies in a [`DataDir`].
//!
//! - [`disk`]: `pg_control`, WAL, timelines, slots, configuration, tables;
//! - [`server`]: postmaster, recovery, backends, checkpoints, shutdown;
//! - `replication`: walsender, walreceiver, synchronous replication;
//! - `sql`: what can be asked; everything else is error 0A000;
//! - [`conformance`]: what the model and real servers must both do;
//! - [`tools`]: `initdb`, `pg_controldata`, `pg_basebackup`, `pg_rewind`, single-user recovery.
//!
//! # What is simpler than PostgreSQL
//! - A transaction is one WAL record. Sizes leave out page headers and full page images.
//! - The payload of WAL messages is a list of records, not raw pages; base backups travel as a snapshot.
//! - A full disk refuses every row, not only those that need a new page. WAL fails when it needs a new segment.
//! - A standby makes a restartpoint for every checkpoint record it replays.
//! - Authentication is `trust`. Logical replication, WAL archives and `restore_command` do not exist.

pub mod conformance;
pub mod disk;
mod error;
mod lsn;
mod replication;
pub mod server;
mod sql;
mod timings;
pub mod tools;
mod version;

pub use disk::DataDir;
pub use error::PgError;
pub use lsn::{Lsn, SEGMENT_BYTES};
pub use server::{
    inspect::Inspection,
    postmaster::{ExitStatus, run},
    signals::{Signal, SignalSender, Signals, signals},
};
pub use timings::Timings;
pub use version::Version;
