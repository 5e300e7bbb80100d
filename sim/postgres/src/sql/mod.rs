//! The SQL that high-availability tools and workloads send. Everything else is refused with 0A000, naming the construct.

mod cast;
pub(crate) mod catalog;
pub(crate) mod eval;
mod functions;
pub(crate) mod output;
pub(crate) mod parse;
pub(crate) mod replication_commands;
pub(crate) mod select;
pub(crate) mod statements;
pub(crate) mod types;
