//! What an error says about a write.

use pgdrill_lab::event::Outcome;
use tokio_postgres::{Error, error::SqlState};

use crate::sql::describe;

/// The outcome of a statement that ended with an error after it was sent.
///
/// Only errors that PostgreSQL raises before it does anything count as refused. Everything else is unknown: a connection
/// that breaks, and also `57P01` (the backend was told to end): a commit that waits for a synchronous standby is already
/// in the WAL then.
pub(super) fn of_error(e: &Error) -> Outcome {
    let before_doing_anything = [
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::DISK_FULL,
        SqlState::UNDEFINED_TABLE,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    let why = describe(e);
    match e.code() {
        Some(code) if before_doing_anything.contains(code) => Outcome::Refused { why },
        _ => Outcome::Unknown { why },
    }
}
