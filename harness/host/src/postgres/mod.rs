//! The agent's [`Postgres`](pgdrill_agent::ports::Postgres) port on a real machine: one data directory, PostgreSQL's own
//! programs, and the processes that `/proc` shows.
//!
//! | file | what |
//! |---|---|
//! | `settings` | which programs, which directories |
//! | `port` | the port, one method after the other |
//! | `program` | running PostgreSQL's programs so that they end with whoever waits for them |
//! | `pidfile`, `process`, `signal` | which process owns the data directory, waiting for its end, signals to it |
//! | `server` | starting, stopping and killing the server |
//! | `listen` | whether the server will get its port |
//! | `controldata`, `wal` | what `pg_controldata` and `pg_waldump` say |
//! | `fitting` | which parameters the server at hand takes |
//! | `conf`, `managed`, `passfile` | the configuration files |
//! | `durable` | files that are whole or not there, even after a power loss |
//! | `directory` | the data directory as a whole: what it is, removing it, setting it aside |
//! | `copy`, `rewind`, `archive` | `pg_basebackup`, `pg_rewind`, `postgres --single`, unarchived WAL |

mod archive;
mod conf;
mod controldata;
mod copy;
mod directory;
mod durable;
mod fitting;
mod kept;
mod listen;
mod managed;
mod passfile;
mod pidfile;
mod port;
mod process;
mod program;
mod rewind;
mod server;
mod settings;
mod signal;
mod wal;

pub use port::LocalPostgres;
pub use settings::{ServerOutput, Settings};
