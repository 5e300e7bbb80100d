//! Functions that answer text: of files and of other text.

use super::arguments::text_argument;
use crate::{
    PgError,
    disk::history::Timeline,
    server::state::Server,
    sql::{
        eval::Typed,
        types::{Datum, PgType},
    },
};

/// Only timeline history files can be read.
pub(super) fn read_file(server: &Server, name: &str, arguments: &[Typed]) -> Result<Typed, PgError> {
    let path = text_argument(arguments, 0)?;
    // (name, missing_ok) or (name, offset, length, missing_ok)
    if arguments.len() == 2 && !server.state().settings.version.reads_files_that_may_be_missing() {
        return Err(PgError::error("42883", format!("function {name}(unknown, boolean) does not exist")));
    }
    let missing_ok = arguments.last().is_some_and(|argument| argument.datum == Datum::Bool(true));
    let tli = path.strip_prefix("pg_wal/").and_then(|file| file.strip_suffix(".history"));
    let tli = tli.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let text = tli.and_then(|tli| server.dir.with(|cluster| cluster.histories.get(&tli).map(Timeline::to_file)));
    match text {
        Some(text) => Ok(Typed::text(text)),
        None if missing_ok => Ok(Typed::null(PgType::Text)),
        None => {
            let message = format!("could not open file \"{path}\" for reading: No such file or directory");
            Err(PgError::error("58P01", message))
        }
    }
}

pub(super) fn substr(arguments: &[Typed]) -> Result<Typed, PgError> {
    let text = match &arguments.first().map(|argument| &argument.datum) {
        Some(Datum::Null) => return Ok(Typed::null(PgType::Text)),
        _ => text_argument(arguments, 0)?,
    };
    let number = |index: usize| match arguments.get(index).map(|argument| &argument.datum) {
        Some(Datum::Int(number)) => Some(*number),
        _ => None,
    };
    let from = number(1).unwrap_or(1);
    let end = number(2).map_or(i64::MAX, |length| from.saturating_add(length));
    let inside = |(index, _): &(usize, char)| {
        let position = i64::try_from(*index).unwrap_or(i64::MAX) + 1;
        position >= from && position < end
    };
    Ok(Typed::text(text.chars().enumerate().filter(inside).map(|(_, c)| c).collect::<String>()))
}
