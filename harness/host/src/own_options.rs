//! Options of PostgreSQL's programs that the agent sets itself: a configuration that gives them is refused when it is read, and for
//! the same reason when a program is to be run. Patroni's lists (`process_user_options`), and what would have another program
//! configure the server or print instead of work.

/// Of `initdb`.
pub(crate) const INITDB: &[&str] =
    &["pgdata", "nosync", "pwfile", "pwprompt", "username", "sync-only", "version", "help", "show"];

/// Of `pg_basebackup`: where the copy comes from, where it goes and what it looks like.
pub(crate) const BASEBACKUP: &[&str] = &[
    "pgdata",
    "format",
    "wal-method",
    "xlog-method",
    "gzip",
    "version",
    "help",
    "dbname",
    "host",
    "port",
    "username",
    "password",
    "no-password",
    "target",
    "write-recovery-conf",
    "no-clean",
];

/// Of `pg_rewind`.
pub(crate) const REWIND: &[&str] = &[
    "target-pgdata",
    "source-pgdata",
    "source-server",
    "write-recovery-conf",
    "dry-run",
    "restore-target-wal",
    "config-file",
    "no-ensure-shutdown",
    "version",
    "help",
];

/// Whether it is a long option without its dashes.
pub(crate) fn is_long(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() > 1 && name.chars().all(legal) && !name.starts_with('-')
}
