//! The data directory as a whole: what it is, removing it, setting it aside. Links are part of it: `pg_wal` on another disk,
//! and tablespaces.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use pgdrill_agent::ports::{DataDir, PostgresError, PostgresResult};
use tracing::{info, warn};

use super::{durable, rewind, settings::Settings};
use crate::lack;

/// What only a PostgreSQL directory has, whole or not. A directory with files but none of these is somebody else's.
const SIGNS: &[&str] = &["PG_VERSION", "global", "base", "pg_wal", "backup_label", "backup_manifest.tmp"];

/// What is there. `Incomplete` is only what an interrupted copy or rewind of this agent has left: that may be removed.
///
/// # Errors
/// It cannot be looked at (which is not the same as that it is not there), or it is unusable and somebody else's.
pub(super) fn state(settings: &Settings) -> PostgresResult<DataDir> {
    let dir = &settings.data_dir;
    let names = match names(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(DataDir::Missing),
        Err(error) => return Err(inaccessible(dir, error)),
    };
    if names.is_empty() {
        return Ok(DataDir::Empty);
    }
    let there = |name: &str| {
        let path = dir.join(name);
        path.try_exists().map_err(|error| inaccessible(&path, error))
    };
    if rewind::was_interrupted(settings).map_err(|error| inaccessible(dir, error))? {
        return Ok(DataDir::Incomplete);
    }
    let lacks = match (there("PG_VERSION")?, there("global/pg_control")?) {
        (true, true) => None,
        (false, _) => Some("has no PG_VERSION"),
        (_, false) => Some("has no global/pg_control"),
    };
    // pg_basebackup gives the manifest its final name when everything else is there and durable.
    let being_copied = there("backup_manifest.tmp")?.then_some("holds a pg_basebackup that has not ended");
    let lacks = lacks.or(being_copied);
    // A command of the user's own may copy in any order: what looks whole is not, while the mark is there. Only a server that
    // somebody has started in it all the same proves otherwise.
    let own = is_own_copy(settings).map_err(|error| inaccessible(&marker(settings), error))?;
    if own && (lacks.is_some() || !there("postmaster.pid")?) {
        return Ok(DataDir::Incomplete);
    }
    let Some(what) = lacks else { return Ok(DataDir::Valid) };
    Err(PostgresError::Refused(format!(
        "{} {what}, and it was not this agent that began to make it: it is neither started nor removed nor copied over. \
         Restore it; or move it away, and the agent makes it anew; is postgresql.data_dir right?",
        dir.display()
    )))
}

/// The file that says that what is in the data directory is a copy (or a new cluster) which this agent has begun and not ended.
fn marker(settings: &Settings) -> PathBuf {
    settings.beside(".copying")
}

/// What the mark says while there is no directory yet: whatever takes its place is ours.
const NOTHING_YET: &str = "nothing yet\n";

/// Says so before the copy begins. Makes the directory, with its parents as `initdb` makes them: it is what the mark is about, and
/// a directory that somebody puts in its place is another one.
pub(super) fn copy_begins(settings: &Settings) -> PostgresResult<()> {
    make(&settings.data_dir)?;
    mark(settings)
}

/// Says so before a command of the user's own begins to fill the directory, and again while it does. Most of them make it
/// themselves and want it not to be there (pgBackRest, WAL-G, Barman, `cp -r`): only its parents are made.
pub(super) fn own_copy_begins(settings: &Settings) -> PostgresResult<()> {
    if let Some(parent) = settings.data_dir.parent() {
        make(parent)?;
    }
    mark(settings)
}

fn make(dir: &Path) -> PostgresResult<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| failed(dir, error))
}

fn mark(settings: &Settings) -> PostgresResult<()> {
    let identity = match identity(&settings.data_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(NOTHING_YET.to_owned()),
        known => known,
    };
    let marked = identity.and_then(|identity| durable::replace(&marker(settings), &identity, 0o600));
    if let Err(error) = marked {
        if lack::is_lack(&error) {
            return Err(PostgresError::Lacking(error.to_string()));
        }
        // The copy can be made all the same; only an interrupted one will not be told from somebody else's files.
        warn!("an interrupted copy will have to be removed by hand: {error}");
    }
    Ok(())
}

/// The copy has ended well, or is gone.
///
/// # Errors
/// The mark is still there: the directory counts as an unfinished copy.
pub(super) fn copy_ended(settings: &Settings) -> PostgresResult<()> {
    durable::remove(&marker(settings)).map_err(|error| {
        let text = format!("{error}: while this file is there, the data directory counts as an unfinished copy");
        lack::told(&error, text, PostgresError::Failed)
    })
}

fn is_own_copy(settings: &Settings) -> io::Result<bool> {
    match fs::read_to_string(marker(settings)) {
        Ok(marked) => Ok(marked == NOTHING_YET || marked == identity(&settings.data_dir)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Which directory it is. Numbers are given again; together with the time of its making, where it is known, they are not.
fn identity(dir: &Path) -> io::Result<String> {
    let found = fs::metadata(dir).map_err(|error| durable::named(dir, error))?;
    let made = found.created().ok().and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok());
    Ok(format!("{} {}\n", found.ino(), made.map_or(0, |made| made.as_nanos())))
}

/// Removes everything. Of a mount point, and of a directory whose parent is not ours, the empty directory remains.
pub(super) fn remove(settings: &Settings) -> PostgresResult<()> {
    let dir = &settings.data_dir;
    let names = match names(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(dir, error)),
    };
    // What a command of the user's own has left need not look like PostgreSQL's.
    if !is_own_copy(settings).map_err(|error| failed(&marker(settings), error))? {
        refuse_strange(dir, &names)?;
    }
    if !names.is_empty() {
        info!("removing the data directory {}", dir.display());
    }
    // Without this file nothing takes what is left of an interrupted removal for a cluster.
    let control = dir.join("global/pg_control");
    durable::remove(&control).map_err(|error| failed(&control, error))?;
    for link in links(dir).map_err(|error| failed(dir, error))? {
        empty(&link.target, link.only.as_deref()).map_err(|error| failed(&link.target, error))?;
    }
    empty(dir, None).map_err(|error| failed(dir, error))?;
    if let Err(error) = fs::remove_dir(dir) {
        info!("{} stays as an empty directory: {error}", dir.display());
    }
    rewind::forget(settings);
    copy_ended(settings)
}

/// Renames it to `<data_dir>.failed`, and where `pg_wal` points to as well.
pub(super) fn set_aside(settings: &Settings) -> PostgresResult<()> {
    let dir = &settings.data_dir;
    let names = match names(dir) {
        Ok(names) => names,
        // What failed has cleaned up behind itself.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(dir, error)),
    };
    if !is_own_copy(settings).map_err(|error| failed(&marker(settings), error))? {
        refuse_strange(dir, &names)?;
    }
    let links = links(dir).map_err(|error| failed(dir, error))?;
    if links.iter().any(|link| link.only.is_some()) {
        let text = format!("{} has tablespaces: it cannot be set aside; move it yourself", dir.display());
        return Err(PostgresError::Refused(text));
    }
    let aside = settings.beside(".failed");
    remove(&Settings { data_dir: aside.clone(), ..settings.clone() })?;
    if let Some(wal) = links.first() {
        let target = PathBuf::from(format!("{}.failed", wal.target.display()));
        let moved = match fs::remove_dir_all(&target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::rename(&wal.target, &target).and_then(|()| fs::create_dir(&wal.target)),
        };
        moved.map_err(|error| failed(&wal.target, error))?;
        fs::remove_file(&wal.link).map_err(|error| failed(&wal.link, error))?;
        std::os::unix::fs::symlink(&target, &wal.link).map_err(|error| failed(&wal.link, error))?;
    }
    fs::rename(dir, &aside).and_then(|()| durable::sync_parent(dir)).map_err(|error| failed(dir, error))?;
    warn!("the data directory was set aside: {}", aside.display());
    copy_ended(settings)
}

/// Only what looks like PostgreSQL's is ever removed: a wrong `data_dir` must not cost anybody his files.
fn refuse_strange(dir: &Path, names: &[String]) -> PostgresResult<()> {
    if names.is_empty() || names.iter().any(|name| SIGNS.contains(&name.as_str())) {
        return Ok(());
    }
    let some = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    Err(PostgresError::Refused(format!(
        "{} has files ({some}) but nothing of PostgreSQL's: it is not touched; is postgresql.data_dir right?",
        dir.display()
    )))
}

/// The entries that count: neither hidden ones nor `lost+found`, as Patroni has it.
fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && name != "lost+found" {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A place outside the data directory that belongs to it.
struct Outside {
    link: PathBuf,
    target: PathBuf,
    /// Tablespaces: only the folders of PostgreSQL's own (`PG_16_202307071`).
    only: Option<String>,
}

fn links(dir: &Path) -> io::Result<Vec<Outside>> {
    let mut found = Vec::new();
    let wal = dir.join("pg_wal");
    if wal.is_symlink() && wal.is_dir() {
        found.push(Outside { target: fs::canonicalize(&wal)?, link: wal, only: None });
    }
    let tablespaces = match fs::read_dir(dir.join("pg_tblspc")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in tablespaces {
        let link = entry?.path();
        if link.is_symlink() && link.is_dir() {
            found.push(Outside { target: fs::canonicalize(&link)?, link, only: Some("PG_".into()) });
        }
    }
    Ok(found)
}

/// Removes what is in a directory, links themselves and not what they point to.
fn empty(dir: &Path, only: Option<&str>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "lost+found" || only.is_some_and(|prefix| !name.to_string_lossy().starts_with(prefix)) {
            continue;
        }
        let path = entry.path();
        if entry.file_type()?.is_dir() { fs::remove_dir_all(&path)? } else { fs::remove_file(&path)? }
    }
    Ok(())
}

/// Not being able to look is not seeing that nothing is there: whatever is there stays.
fn inaccessible(path: &Path, error: io::Error) -> PostgresError {
    let error = durable::named(path, error);
    if lack::is_lack(&error) {
        return PostgresError::Lacking(format!("{error}: nothing is concluded from that about the data directory"));
    }
    PostgresError::Failed(format!(
        "{error}: the data directory cannot be looked at, so it is neither started nor removed nor copied over; the agent's user \
         must be able to read it (owner, mode, mount, disk)"
    ))
}

fn failed(path: &Path, error: io::Error) -> PostgresError {
    let error = durable::named(path, error);
    lack::told(&error, error.to_string(), PostgresError::Failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn settings() -> (tempfile::TempDir, Settings) {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = Settings::new(dir.path().join("pg"), dir.path().join("pgpass"));
        (dir, settings)
    }

    fn cluster(settings: &Settings) {
        fs::create_dir_all(settings.data_dir.join("global")).expect("it is created");
        fs::write(settings.data_dir.join("PG_VERSION"), "16\n").expect("it is written");
        fs::write(settings.data_dir.join("global/pg_control"), "x").expect("it is written");
    }

    #[test]
    fn a_directory_is_told_from_half_a_directory() {
        let (_dir, settings) = settings();
        let now = || state(&settings).expect("it can be looked at");
        assert_eq!(now(), DataDir::Missing);
        fs::create_dir_all(settings.data_dir.join("lost+found")).expect("it is created");
        assert_eq!(now(), DataDir::Empty);
        copy_begins(&settings).expect("it is marked");
        fs::write(settings.data_dir.join("PG_VERSION"), "16\n").expect("it is written");
        assert_eq!(now(), DataDir::Incomplete);
        cluster(&settings);
        assert_eq!(now(), DataDir::Incomplete, "nobody has said that it has ended");
        copy_ended(&settings).expect("it is said");
        assert_eq!(now(), DataDir::Valid);
        copy_begins(&settings).expect("it is marked");
        fs::write(settings.data_dir.join("postmaster.pid"), "17\n").expect("it is written");
        assert_eq!(now(), DataDir::Valid, "somebody has started it all the same");
        fs::write(settings.data_dir.join("backup_manifest.tmp"), "").expect("it is written");
        assert_eq!(now(), DataDir::Incomplete, "a copy that has not ended");
    }

    /// pgBackRest, WAL-G, Barman and `cp -r` want to make it themselves.
    #[test]
    fn for_a_command_of_the_users_own_the_parents_are_made_and_the_directory_is_not() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, mut settings) = settings();
        settings.data_dir = dir.path().join("a/b/pg");
        own_copy_begins(&settings).expect("it is marked");
        assert_eq!(state(&settings), Ok(DataDir::Missing));
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(
            (mode(&dir.path().join("a")), mode(&dir.path().join("a/b"))),
            (0o700, 0o700),
            "as initdb makes them"
        );
        // The agent dies while the command runs: what it has left is the agent's to remove, whatever it looks like.
        fs::create_dir(&settings.data_dir).expect("the command makes it");
        fs::write(settings.data_dir.join("backup.tar"), "x").expect("it is written");
        assert_eq!(state(&settings), Ok(DataDir::Incomplete));
        own_copy_begins(&settings).expect("it is marked again");
        cluster(&settings);
        assert_eq!(state(&settings), Ok(DataDir::Incomplete), "it may be half of a copy");
        // Kept, so that its number is not given again.
        fs::rename(&settings.data_dir, dir.path().join("copied")).expect("it is moved away");
        fs::create_dir(&settings.data_dir).expect("somebody restores");
        fs::write(settings.data_dir.join("thesis.tex"), "x").expect("it is written");
        assert!(state(&settings).is_err() && remove(&settings).is_err(), "the mark is about another directory");
        fs::remove_dir_all(&settings.data_dir).expect("it is removed");
        fs::create_dir(&settings.data_dir).expect("an empty one");
        remove(&settings).expect("it is removed");
        assert!(!settings.data_dir.exists() && !marker(&settings).exists());
    }

    /// A lost `pg_control`, or a restore that has not ended: what is left may be all that somebody has.
    #[test]
    fn what_the_agent_did_not_begin_is_not_its_to_remove() {
        let (dir, settings) = settings();
        cluster(&settings);
        fs::remove_file(settings.data_dir.join("global/pg_control")).expect("it is removed");
        let refused = state(&settings).expect_err("it is somebody else's").to_string();
        assert!(refused.contains("has no global/pg_control") && refused.contains("move it away"), "{refused}");
        copy_begins(&settings).expect("it is marked");
        assert_eq!(state(&settings), Ok(DataDir::Incomplete));
        copy_ended(&settings).expect("it is said");
        assert!(state(&settings).is_err(), "the copy has ended");
        copy_begins(&settings).expect("it is marked");
        // Kept, so that its number is not given again.
        fs::rename(&settings.data_dir, dir.path().join("copied")).expect("it is moved away");
        fs::create_dir(&settings.data_dir).expect("somebody restores");
        fs::write(settings.data_dir.join("PG_VERSION"), "16\n").expect("it is written");
        assert!(state(&settings).is_err(), "the mark is about another directory");
        remove(&settings).expect("it is removed when that is asked for");
        assert!(!marker(&settings).exists() && set_aside(&settings).is_ok());
    }

    #[test]
    fn a_file_that_cannot_be_looked_at_is_not_a_file_that_is_missing() {
        let (_dir, settings) = settings();
        cluster(&settings);
        copy_begins(&settings).expect("it is marked");
        // As a lost permission or a broken disk would, and for root too: a link that leads to itself.
        fs::remove_dir_all(settings.data_dir.join("global")).expect("it is removed");
        symlink("global", settings.data_dir.join("global")).expect("it is linked");
        let error = state(&settings).expect_err("nobody knows what is there").to_string();
        assert!(error.contains("global/pg_control") && error.contains("cannot be looked at"), "{error}");
    }

    #[test]
    fn files_that_are_not_postgresqls_are_never_removed() {
        let (_dir, settings) = settings();
        fs::create_dir(&settings.data_dir).expect("it is created");
        fs::write(settings.data_dir.join("thesis.tex"), "x").expect("it is written");
        for refused in [remove(&settings), set_aside(&settings)] {
            let error = refused.expect_err("it is not ours");
            assert!(error.to_string().contains("thesis.tex"), "{error}");
        }
        assert!(settings.data_dir.join("thesis.tex").exists());
    }

    #[test]
    fn wal_and_tablespaces_elsewhere_go_with_the_data_directory() {
        let (dir, settings) = settings();
        cluster(&settings);
        let (wal, space) = (dir.path().join("wal"), dir.path().join("space"));
        fs::create_dir_all(wal.join("archive_status")).expect("it is created");
        fs::create_dir_all(space.join("PG_16_202307071/5")).expect("it is created");
        fs::create_dir_all(space.join("mine")).expect("it is created");
        fs::create_dir(settings.data_dir.join("pg_tblspc")).expect("it is created");
        symlink(&wal, settings.data_dir.join("pg_wal")).expect("it is linked");
        symlink(&space, settings.data_dir.join("pg_tblspc/16400")).expect("it is linked");
        assert!(set_aside(&settings).is_err(), "tablespaces cannot be set aside");
        remove(&settings).expect("it is removed");
        assert!(!settings.data_dir.exists());
        assert_eq!(fs::read_dir(&wal).expect("the directory stays").count(), 0);
        assert!(space.join("mine").exists() && !space.join("PG_16_202307071").exists());
    }

    #[test]
    fn a_failed_directory_is_kept_with_its_wal_and_replaces_an_earlier_one() {
        let (dir, settings) = settings();
        let wal = dir.path().join("wal");
        for round in ["first", "second"] {
            cluster(&settings);
            fs::create_dir_all(&wal).expect("it is created");
            symlink(&wal, settings.data_dir.join("pg_wal")).expect("it is linked");
            fs::write(wal.join(round), "").expect("it is written");
            set_aside(&settings).expect("it is set aside");
            assert!(!settings.data_dir.exists());
        }
        let aside = settings.beside(".failed");
        assert!(aside.join("pg_wal/second").exists() && !aside.join("pg_wal/first").exists());
        assert_eq!(fs::read_dir(&wal).expect("it is there for the next").count(), 0);
    }
}
