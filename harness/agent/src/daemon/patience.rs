//! Waiting until the machine has what an operation takes: descriptors, memory, processes.
//!
//! Lack of those says nothing about the data directory or the server ([`PostgresError::Lacking`]). An operation that failed for want
//! of them must not end as one that failed: a rewind would be followed by the removal of the data directory, a start by the release
//! of the leader lock.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

use super::parts::{Parts, Ports};
use crate::ports::{PostgresError, PostgresResult, ProgramError};

/// How often it is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// How often that is told.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// An error that may be one of lack.
pub(crate) trait MayLack: ToString {
    /// Whether it is.
    fn lacks(&self) -> bool;
}

impl MayLack for PostgresError {
    fn lacks(&self) -> bool {
        matches!(self, Self::Lacking(_))
    }
}

impl MayLack for ProgramError {
    fn lacks(&self) -> bool {
        matches!(self, Self::Lacking { .. })
    }
}

/// Does it as soon as the machine can, and no later than after `limit`, if there is one.
///
/// # Errors
/// The operation's own.
pub(crate) async fn when_possible<T, R, E, F>(
    parts: &Parts<T>,
    limit: Option<Duration>,
    mut operation: impl FnMut() -> F,
) -> Result<R, E>
where
    T: Ports,
    E: MayLack,
    F: Future<Output = Result<R, E>>,
{
    let began = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        let outcome = operation().await;
        let Err(error) = &outcome else { return outcome };
        if !error.lacks() || limit.is_some_and(|limit| began.elapsed() >= limit) {
            return outcome;
        }
        if told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            told = Some(Instant::now());
            parts.trouble("machine", format!("{}: it is tried again and again", error.to_string()));
        }
        sleep(TRY_AGAIN).await;
    }
}

/// What a look brought.
pub(super) enum Seen<R> {
    /// This.
    Is(R),
    /// Nothing, for want of what a look takes: what was seen last still counts.
    Lacking,
    /// Nothing: it cannot be looked at.
    Wrong,
}

/// The result of a look; why there is none is noted in the log.
pub(super) fn seen<T: Ports, R>(parts: &Parts<T>, result: PostgresResult<R>) -> Seen<R> {
    match result {
        Ok(found) => Seen::Is(found),
        Err(error) => {
            parts.trouble(if error.lacks() { "machine" } else { "postgres" }, &error);
            if error.lacks() { Seen::Lacking } else { Seen::Wrong }
        }
    }
}
