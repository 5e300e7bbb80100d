//! The data directory as a whole: what it is, removing it, setting it aside. Links are part of it: `pg_wal` on another disk,
//! and tablespaces.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use pgdrill_agent::ports::{DataDir, PostgresError, PostgresResult};
use tracing::{info, warn};

use super::{durable, rewind, settings::Settings};

/// What only a PostgreSQL directory has, whole or not. A directory with files but none of these is somebody else's.
const SIGNS: &[&str] = &["PG_VERSION", "global", "base", "pg_wal", "backup_label", "backup_manifest.tmp"];

/// What is there.
pub(super) fn state(settings: &Settings) -> PostgresResult<DataDir> {
    let dir = &settings.data_dir;
    let names = match names(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(DataDir::Missing),
        Err(error) => return Err(failed(dir, &error)),
    };
    if names.is_empty() {
        return Ok(DataDir::Empty);
    }
    let whole = dir.join("PG_VERSION").exists() && dir.join("global/pg_control").exists();
    // pg_basebackup gives the manifest its final name when everything else is there and durable.
    let being_copied = dir.join("backup_manifest.tmp").exists();
    Ok(if whole && !being_copied && !rewind::was_interrupted(settings) { DataDir::Valid } else { DataDir::Incomplete })
}

/// Removes everything. Of a mount point, and of a directory whose parent is not ours, the empty directory remains.
pub(super) fn remove(settings: &Settings) -> PostgresResult<()> {
    let dir = &settings.data_dir;
    let names = match names(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(dir, &error)),
    };
    refuse_strange(dir, &names)?;
    info!("removing the data directory {}", dir.display());
    // Without this file nothing takes what is left of an interrupted removal for a cluster.
    let control = dir.join("global/pg_control");
    durable::remove(&control).map_err(|error| failed(&control, &error))?;
    for link in links(dir).map_err(|error| failed(dir, &error))? {
        empty(&link.target, link.only.as_deref()).map_err(|error| failed(&link.target, &error))?;
    }
    empty(dir, None).map_err(|error| failed(dir, &error))?;
    if let Err(error) = fs::remove_dir(dir) {
        info!("{} stays as an empty directory: {error}", dir.display());
    }
    rewind::forget(settings);
    Ok(())
}

/// Renames it to `<data_dir>.failed`, and where `pg_wal` points to as well.
pub(super) fn set_aside(settings: &Settings) -> PostgresResult<()> {
    let dir = &settings.data_dir;
    let names = names(dir).map_err(|error| failed(dir, &error))?;
    refuse_strange(dir, &names)?;
    let links = links(dir).map_err(|error| failed(dir, &error))?;
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
        moved.map_err(|error| failed(&wal.target, &error))?;
        fs::remove_file(&wal.link).map_err(|error| failed(&wal.link, &error))?;
        std::os::unix::fs::symlink(&target, &wal.link).map_err(|error| failed(&wal.link, &error))?;
    }
    fs::rename(dir, &aside).and_then(|()| durable::sync_parent(dir)).map_err(|error| failed(dir, &error))?;
    warn!("the data directory was set aside: {}", aside.display());
    Ok(())
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

fn failed(path: &Path, error: &io::Error) -> PostgresError {
    PostgresError::Failed(durable::named(path, error).to_string())
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
        fs::write(settings.data_dir.join("PG_VERSION"), "16\n").expect("it is written");
        assert_eq!(now(), DataDir::Incomplete);
        cluster(&settings);
        assert_eq!(now(), DataDir::Valid);
        fs::write(settings.data_dir.join("backup_manifest.tmp"), "").expect("it is written");
        assert_eq!(now(), DataDir::Incomplete, "a copy that has not ended");
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
