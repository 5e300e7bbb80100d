//! WAL records and what they do to the tables.

use serde::{Deserialize, Serialize};

use super::tables::{Column, Value};
use crate::Lsn;

/// One WAL record. `end - start` is a realistic size; the next record begins at `end`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Where it begins.
    pub start: Lsn,
    /// Where it ends.
    pub end: Lsn,
    /// The timeline it was written on.
    pub tli: u32,
    /// What it says.
    pub body: Body,
}

/// The kinds of WAL record the model knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Body {
    /// Changes of one transaction with its commit: the model writes them as one unit, so recovery never sees half.
    Transaction {
        /// What it changed, in order.
        changes: Vec<Change>,
        /// Commit time, microseconds since the Unix epoch by the primary's wall clock.
        commit_us: i64,
    },
    /// `CHECKPOINT_SHUTDOWN`; also written at the end of crash recovery.
    CheckpointShutdown,
    /// `CHECKPOINT_ONLINE` with its redo pointer.
    CheckpointOnline {
        /// Where recovery from this checkpoint begins.
        redo: Lsn,
    },
    /// `END_OF_RECOVERY`: the first record of a promoted server's timeline.
    EndOfRecovery {
        /// The timeline that was left.
        previous_tli: u32,
    },
    /// `SWITCH`: the rest of the segment is empty.
    Switch,
}

/// A change to the database cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// `CREATE TABLE`.
    CreateTable {
        /// Its name.
        table: String,
        /// Its columns, in order.
        columns: Vec<Column>,
        /// Index of the primary key column.
        primary_key: Option<usize>,
    },
    /// `DROP TABLE`.
    DropTable {
        /// Its name.
        table: String,
    },
    /// `INSERT`, one or more rows.
    Insert {
        /// The table's name.
        table: String,
        /// The rows, each as wide as the table.
        rows: Vec<Vec<Value>>,
    },
    /// `CREATE ROLE` / `ALTER ROLE`.
    Role {
        /// Its name.
        name: String,
        /// The clear text password, where one was given.
        password: Option<String>,
    },
}

/// Header of an XLOG record (`SizeOfXLogRecord`).
const RECORD_HEADER_BYTES: u64 = 24;
/// A commit record: header, block of commit data, padding.
const COMMIT_BYTES: u64 = 40;

impl Body {
    /// Size in the WAL: the sum of the records PostgreSQL would write, without page headers and full page images.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Transaction { changes, .. } => COMMIT_BYTES + changes.iter().map(Change::bytes).sum::<u64>(),
            // A checkpoint record is 114 bytes; an online one follows a 50 byte RUNNING_XACTS record.
            Self::CheckpointShutdown => 120,
            Self::CheckpointOnline { .. } => 176,
            Self::EndOfRecovery { .. } => 48,
            Self::Switch => RECORD_HEADER_BYTES,
        }
    }
}

impl Change {
    fn bytes(&self) -> u64 {
        let aligned = |bytes: u64| bytes.div_ceil(8) * 8;
        match self {
            // Catalogue rows and their index entries; measured order of magnitude, not exact.
            Self::CreateTable { columns, .. } => 6_000 + 400 * columns.len() as u64,
            Self::DropTable { .. } => 2_000,
            Self::Role { .. } => 600,
            Self::Insert { rows, .. } => rows
                .iter()
                .map(|row| {
                    let data: u64 = row.iter().map(Value::stored_bytes).sum();
                    // Record header, block reference, tuple header.
                    aligned(RECORD_HEADER_BYTES + 23 + 8 + data)
                })
                .sum(),
        }
    }
}
