//! Which processes work on a data directory, by `/proc`.
//!
//! A PostgreSQL process has the data directory as its working directory. That tells a live postmaster from an unrelated
//! process that was given the same number after a crash, and it holds when somebody steps the wall clock (Patroni compares
//! start times by the wall clock, and loses sight of a running server when that is stepped by more than 3 s).

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A directory, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirId {
    device: u64,
    inode: u64,
}

impl DirId {
    /// Of a path, links followed; `None` when there is nothing or it cannot be looked at.
    pub fn of(path: &Path) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self { device: meta.dev(), inode: meta.ino() })
    }
}

/// Whether that process lives and is a PostgreSQL process in that directory. A zombie is not alive.
pub(super) fn works_in(pid: u32, dir: DirId) -> bool {
    is_alive(pid) && is_postgres(pid) && DirId::of(&proc(pid).join("cwd")) == Some(dir)
}

/// All live PostgreSQL processes in that directory.
pub(super) fn all_in(dir: DirId) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found: Vec<u32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id() && works_in(*pid, dir))
        .collect();
    found.sort_unstable();
    found
}

/// Live children of a process.
pub(super) fn children_of(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(state, ppid)| ppid == parent && state != 'Z')).collect()
}

/// Whether there is such a process and it has not ended.
pub(super) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

/// Whether that process has ended and nobody has taken note of it yet: its number is still taken.
pub(super) fn is_unburied(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| matches!(state, 'Z' | 'X'))
}

fn proc(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn is_postgres(pid: u32) -> bool {
    // After an upgrade of the package the link reads "/usr/.../postgres (deleted)".
    let exe = fs::read_link(proc(pid).join("exe")).ok();
    exe.as_deref().and_then(Path::file_name).and_then(OsStr::to_str).is_some_and(|name| name.contains("postgres"))
}

/// State and parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    parse_stat(&fs::read_to_string(proc(pid).join("stat")).ok()?)
}

/// The second field is the program's name in parentheses, and may hold anything, parentheses and spaces included.
fn parse_stat(text: &str) -> Option<(char, u32)> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_cannot_confuse_the_reading() {
        assert_eq!(parse_stat("12 (a) R 99 (x) S 7 12 12"), Some(('S', 7)));
        assert_eq!(parse_stat("12 (postgres) Z 1 12"), Some(('Z', 1)));
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn a_process_in_the_directory_that_is_not_postgresql_is_not_its_server() {
        let here = DirId::of(Path::new(".")).expect("there is a working directory");
        let me = std::process::id();
        assert!(is_alive(me));
        assert!(!works_in(me, here), "the number may have been PostgreSQL's before it was ours");
    }
}
