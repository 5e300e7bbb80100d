//! The content of the database cluster: a function of the WAL that was replayed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::record::{Body, Change, Record};
use crate::Lsn;

/// A column's type, named as PostgreSQL names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ColumnType {
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `text`, `varchar`.
    Text,
    /// `boolean`.
    Bool,
    /// `timestamp with time zone`.
    Timestamptz,
}

/// A table's column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, folded to lower case.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// Value of a row that does not name it: the transaction's time when true, else null.
    pub default_now: bool,
    /// `NOT NULL` or part of the primary key.
    pub not_null: bool,
}

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Value {
    /// SQL null.
    Null,
    /// `boolean`.
    Bool(bool),
    /// Any integer type.
    Int(i64),
    /// `text`.
    Text(String),
    /// Microseconds since the Unix epoch.
    Timestamp(i64),
}

impl Value {
    /// Bytes it takes in a heap tuple.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) | Self::Timestamp(_) => 8,
            Self::Text(text) => 1 + text.len() as u64,
        }
    }
}

/// A row with the position of the transaction that wrote it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// End of the writing transaction's WAL: what visibility is decided by.
    pub written: Lsn,
    /// As wide as the table.
    pub values: Arc<Vec<Value>>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Index of the primary key column.
    pub primary_key: Option<usize>,
    /// Its rows, in the order they were written.
    pub rows: Vec<Row>,
    /// Values of the primary key.
    pub keys: BTreeSet<Value>,
    /// Heap size in bytes.
    pub bytes: u64,
}

/// Tables and roles. Cloning is cheap: tables are shared until one side writes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Database {
    /// Tables by name.
    pub tables: BTreeMap<String, Arc<Table>>,
    /// Roles by name, with their password.
    pub roles: BTreeMap<String, Option<String>>,
}

impl Database {
    /// Replays one record.
    pub fn apply(&mut self, record: &Record) {
        if let Body::Transaction { changes, .. } = &record.body {
            for change in changes {
                self.apply_change(change, record.end);
            }
        }
    }

    fn apply_change(&mut self, change: &Change, written: Lsn) {
        match change {
            Change::CreateTable { table, columns, primary_key } => {
                let empty = Table { columns: columns.clone(), primary_key: *primary_key, ..Table::default() };
                self.tables.insert(table.clone(), Arc::new(empty));
            }
            Change::DropTable { table } => {
                self.tables.remove(table);
            }
            Change::Insert { table, rows } => {
                // A record of a table that does not exist means replay from a wrong starting point: a bug of the lab.
                let table = self.tables.get_mut(table).expect("WAL inserts only into tables that exist");
                Arc::make_mut(table).insert(rows, written);
            }
            Change::Role { name, password } => {
                let role = self.roles.entry(name.clone()).or_default();
                if password.is_some() {
                    role.clone_from(password);
                }
            }
        }
    }

    /// Size of all tables in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tables.values().map(|table| table.bytes).sum()
    }
}

impl Table {
    fn insert(&mut self, rows: &[Vec<Value>], written: Lsn) {
        for row in rows {
            if let Some(key) = self.primary_key {
                self.keys.insert(row[key].clone());
            }
            self.bytes += 28 + row.iter().map(Value::stored_bytes).sum::<u64>();
            self.rows.push(Row { written, values: Arc::new(row.clone()) });
        }
    }
}
