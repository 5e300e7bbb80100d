//! `postmaster.pid`: who says to own the data directory (PostgreSQL's `src/include/utils/pidfile.h`).

use std::time::{Duration, SystemTime};

/// What the file says. Whether that process lives is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PidFile {
    /// The process.
    pub pid: u32,
    /// The file was written by `postgres --single`, not by a server.
    pub single_user: bool,
    /// When the process was started, by its host's wall clock then.
    pub start_time: SystemTime,
}

/// Reads the file; `None` when it is empty or makes no sense: a server that is just writing it.
pub(super) fn parse(text: &str) -> Option<PidFile> {
    let mut lines = text.lines();
    // Single-user mode writes the negative of its process id.
    let pid: i64 = lines.next()?.trim().parse().ok()?;
    let _data_dir = lines.next()?;
    let seconds: u64 = lines.next()?.trim().parse().ok()?;
    Some(PidFile {
        pid: u32::try_from(pid.unsigned_abs()).ok().filter(|pid| *pid > 0)?,
        single_user: pid < 0,
        start_time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_and_a_single_user_process_are_told_apart() {
        let server = "4242\n/data/pg\n1700000000\n5432\n/tmp\n*\n  1234567     12345\nready   \n";
        let found = parse(server).expect("it is whole");
        assert_eq!((found.pid, found.single_user), (4242, false));
        assert_eq!(found.start_time, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        assert!(parse("-77\n/data/pg\n1700000000\n").expect("it is whole").single_user);
    }

    #[test]
    fn half_a_file_names_nobody() {
        for text in ["", "42", "42\n/data", "42\n/data\n", "x\n/data\n1700000000", "0\n/data\n1700000000"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
