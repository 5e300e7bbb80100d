//! Files that are either the old ones or the new ones, never half of either, whatever happens to the machine: written beside,
//! made durable, and put in place by a rename.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Permissions of a file: what PostgreSQL gives its own, as far as the data directory lets its group read.
pub(super) fn mode_below(data_dir: &Path) -> u32 {
    let group_reads = fs::metadata(data_dir).is_ok_and(|meta| meta.permissions().mode() & 0o040 != 0);
    if group_reads { 0o640 } else { 0o600 }
}

/// Gives the file this content unless it has it already; tells whether it had to be written. A symbolic link stays one: what
/// it points to is replaced.
///
/// # Errors
/// The operating system's, with the file's name. The old file is then still there.
pub(super) fn replace(file: &Path, content: &str, mode: u32) -> io::Result<bool> {
    let file = &resolve(file);
    let same_mode = |meta: fs::Metadata| meta.mode() & 0o7777 == mode;
    let same = fs::read(file).is_ok_and(|old| old == content.as_bytes());
    if same && fs::metadata(file).is_ok_and(same_mode) {
        return Ok(false);
    }
    let new = suffixed(file, ".new");
    write(&new, content, mode).and_then(|()| fs::rename(&new, file)).map_err(|error| {
        // What cannot be removed is overwritten the next time.
        let _ = fs::remove_file(&new);
        named(file, error)
    })?;
    sync_parent(file)?;
    Ok(true)
}

/// Makes an empty file; nothing happens when there is one.
pub(super) fn touch(file: &Path, mode: u32) -> io::Result<()> {
    if file.exists() {
        return Ok(());
    }
    write(file, "", mode).map_err(|error| named(file, error))?;
    sync_parent(file)
}

/// Removes a file for good; nothing happens when there is none.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Ok(()) => sync_parent(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(named(file, error)),
    }
}

pub(super) use crate::lack::named;

fn write(file: &Path, content: &str, mode: u32) -> io::Result<()> {
    // An older file of this name may have had wider permissions: a secret must not be written into that.
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(file)?;
    // The umask may have taken more than it should.
    opened.set_permissions(fs::Permissions::from_mode(mode))?;
    opened.write_all(content.as_bytes())?;
    opened.sync_all()
}

pub(super) fn sync_parent(file: &Path) -> io::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(|error| named(parent, error))
}

fn resolve(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

fn suffixed(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(file: &Path) -> u32 {
        fs::metadata(file).expect("it is there").mode() & 0o7777
    }

    #[test]
    fn a_file_is_written_only_when_it_changes() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("postgresql.conf");
        assert!(replace(&file, "a", 0o600).expect("it is written"));
        let before = fs::metadata(&file).expect("it is there").ino();
        assert!(!replace(&file, "a", 0o600).expect("it is the same"));
        assert_eq!(fs::metadata(&file).expect("it is there").ino(), before);
        assert!(replace(&file, "b", 0o600).expect("it is written"));
        assert_eq!(fs::read_to_string(&file).expect("it is read"), "b");
        assert_eq!(fs::read_dir(dir.path()).expect("it is listed").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn permissions_that_are_too_wide_are_a_change() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("pgpass");
        fs::write(&file, "secret").expect("it is written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("it is allowed");
        assert!(replace(&file, "secret", 0o600).expect("it is written"));
        assert_eq!(mode(&file), 0o600);
    }

    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&file, "old").expect("it is written");
        std::os::unix::fs::symlink(&file, &link).expect("it is linked");
        replace(&link, "new", 0o600).expect("it is written");
        assert!(fs::symlink_metadata(&link).expect("it is there").is_symlink());
        assert_eq!(fs::read_to_string(&file).expect("it is read"), "new");
    }
}
