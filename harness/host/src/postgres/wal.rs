//! What the write-ahead log says: where a shutdown checkpoint ended, and the history of a timeline.

use std::{fs, io};

use pgdrill_agent::ports::{Lsn, PostgresError, PostgresResult};

use super::{controldata::lsn, durable, program, settings::Settings};
use crate::lack;

/// End of the shutdown checkpoint at `at` if it is the last record: two records are asked for, and the second must be
/// missing. Its size depends on version and platform, so `pg_waldump` must find its end (Patroni's `rewind.py`,
/// `_get_checkpoint_end`).
pub(super) async fn checkpoint_end(settings: &Settings, timeline: u32, at: Lsn) -> PostgresResult<Option<Lsn>> {
    let mut command = program::command(&settings.program("pg_waldump"));
    command.arg("--path").arg(settings.wal_dir()).args(["--limit", "2"]);
    command.args(["--timeline", &timeline.to_string(), "--start", &short(at)]);
    let output = program::output(command).await?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok(end_of_last_checkpoint(at, &out, &err))
}

fn end_of_last_checkpoint(at: Lsn, out: &str, err: &str) -> Option<Lsn> {
    let mut records = out.lines().filter(|line| !line.trim().is_empty());
    let (record, None) = (records.next()?, records.next()) else { return None };
    if !record.contains(&format!(" lsn: {}, ", padded(at))) || !record.contains("CHECKPOINT_SHUTDOWN") {
        return None;
    }
    let (_, found) = err.split_once(&format!("error in WAL record at {}: invalid record length at ", short(at)))?;
    lsn(found.split(':').next()?.trim())
}

fn short(at: Lsn) -> String {
    format!("{:X}/{:X}", at >> 32, at & 0xFFFF_FFFF)
}

fn padded(at: Lsn) -> String {
    format!("{:X}/{:08X}", at >> 32, at & 0xFFFF_FFFF)
}

/// The history file of a timeline.
pub(super) fn read_history(settings: &Settings, timeline: u32) -> PostgresResult<Option<String>> {
    let file = settings.wal_dir().join(format!("{timeline:08X}.history"));
    match fs::read_to_string(&file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let error = durable::named(&file, error);
            Err(lack::told(&error, error.to_string(), PostgresError::Failed))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "rmgr: XLOG        len (rec/tot):    114/   114, tx:          0, lsn: 0/0182E220, prev 0/0182E1E8, \
        desc: CHECKPOINT_SHUTDOWN redo 0/182E220; tli 1; prev tli 1\n";
    const END: &str = "pg_waldump: error: error in WAL record at 0/182E220: invalid record length at 0/182E298: expected at \
        least 24, got 0\n";

    #[test]
    fn the_end_of_the_last_record_is_where_the_next_one_is_missing() {
        assert_eq!(end_of_last_checkpoint(0x182_E220, RECORD, END), Some(0x182_E298));
    }

    #[test]
    fn anything_else_leaves_the_question_open() {
        let two = format!("{RECORD}{}", RECORD.replace("0182E220", "0182E298"));
        assert_eq!(end_of_last_checkpoint(0x182_E220, &two, ""), None, "a record follows");
        let online = RECORD.replace("SHUTDOWN", "ONLINE");
        assert_eq!(end_of_last_checkpoint(0x182_E220, &online, END), None, "no shutdown");
        assert_eq!(end_of_last_checkpoint(0x182_E220, "", "could not find file"), None);
        assert_eq!(end_of_last_checkpoint(0x182_E228, RECORD, END), None, "another record");
    }
}
