//! Which processes work on a data directory, by `/proc`.
//!
//! A PostgreSQL process has the data directory as its working directory. That tells a live postmaster from an unrelated
//! process that was given the same number after a crash, and it holds when somebody steps the wall clock (Patroni compares
//! start times by the wall clock, and loses sight of a running server when that is stepped by more than 3 s).

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::lack;

/// A directory, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirId {
    device: u64,
    inode: u64,
}

impl DirId {
    /// Of a path, links followed; `None` when there is nothing.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let meta = present(fs::metadata(path))?;
        Ok(meta.map(|meta| Self { device: meta.dev(), inode: meta.ino() }))
    }
}

/// What is there, as far as it is: a process that has ended, or is somebody else's, has no files that could be read. Everything
/// else, above all the lack of descriptors, is an error: who cannot look must not say that nobody is there.
fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if lack::is_lack(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Whether that process lives and is a PostgreSQL process in that directory. A zombie is not alive.
///
/// # Errors
/// As of [`is_alive`].
pub(super) fn works_in(pid: u32, dir: DirId) -> io::Result<bool> {
    Ok(is_alive(pid)? && is_postgres(pid)? && DirId::of(&proc(pid).join("cwd"))? == Some(dir))
}

/// All live PostgreSQL processes in that directory.
///
/// # Errors
/// As of [`is_alive`].
pub(super) fn all_in(dir: DirId) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for pid in all()? {
        if pid != std::process::id() && works_in(pid, dir)? {
            found.push(pid);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Live children of a process.
///
/// # Errors
/// As of [`is_alive`].
pub(super) fn children_of(parent: u32) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for pid in all()? {
        if stat(pid)?.is_some_and(|(state, ppid)| ppid == parent && state != 'Z') {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Whether there is such a process and it has not ended.
///
/// # Errors
/// The machine lacks what a look takes.
pub(super) fn is_alive(pid: u32) -> io::Result<bool> {
    Ok(stat(pid)?.is_some_and(|(state, _)| !matches!(state, 'Z' | 'X')))
}

/// Whether that process has ended and nobody has taken note of it yet: its number is still taken.
///
/// # Errors
/// As of [`is_alive`].
pub(super) fn is_unburied(pid: u32) -> io::Result<bool> {
    Ok(stat(pid)?.is_some_and(|(state, _)| matches!(state, 'Z' | 'X')))
}

fn proc(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

fn all() -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        found.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(found)
}

fn is_postgres(pid: u32) -> io::Result<bool> {
    // After an upgrade of the package the link reads "/usr/.../postgres (deleted)".
    let exe = present(fs::read_link(proc(pid).join("exe")))?;
    let name = exe.as_deref().and_then(Path::file_name).and_then(OsStr::to_str);
    Ok(name.is_some_and(|name| name.contains("postgres")))
}

/// State and parent.
fn stat(pid: u32) -> io::Result<Option<(char, u32)>> {
    Ok(present(fs::read_to_string(proc(pid).join("stat")))?.as_deref().and_then(parse_stat))
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
        let here = DirId::of(Path::new(".")).expect("readable").expect("there is a working directory");
        let me = std::process::id();
        assert!(is_alive(me).expect("readable"));
        assert!(!works_in(me, here).expect("readable"), "the number may have been PostgreSQL's before it was ours");
    }
}
