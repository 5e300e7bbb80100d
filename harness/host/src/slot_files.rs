//! Logical slots as files: `pg_replslot/<name>/state`, put there whole or not at all, as PostgreSQL does it itself
//! (`CreateSlotOnDisk` in `slot.c`).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::Path,
};

/// Where a state file has the database's number, 0 for a physical slot: after magic, checksum, version, length and name (`slot.c`,
/// `ReplicationSlotOnDisk`).
const DATABASE_AT: usize = 16 + 64;

/// Whether a data directory has a logical slot.
///
/// # Errors
/// When that cannot be looked at, which is not the same as that it has none.
pub(crate) fn has_logical(data_dir: &Path) -> io::Result<bool> {
    let slots = match fs::read_dir(data_dir.join("pg_replslot")) {
        Ok(slots) => slots,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for slot in slots {
        let state = match fs::read(slot?.path().join("state")) {
            Ok(state) => state,
            // What is no slot, or only half of one.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => return Err(error),
        };
        if state.get(DATABASE_AT..DATABASE_AT + 4).is_some_and(|database| database != [0; 4]) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts the states of slots into a data directory whose server does not run.
///
/// # Errors
/// When a file cannot be written; that slot and those after it are then as they were.
pub(crate) fn install(data_dir: &Path, states: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let slots = data_dir.join("pg_replslot");
    // Readable for the group exactly if the data directory is (`initdb --allow-group-access`).
    let group = fs::metadata(data_dir)?.mode() & 0o050;
    for (name, state) in states {
        let (dir, new) = (slots.join(name), slots.join(format!("{name}.tmp")));
        // PostgreSQL removes what ends in `.tmp` at its start: what is left of an interrupted copy is of no use to anybody.
        remove(&new)?;
        fs::DirBuilder::new().mode(0o700 | group).create(&new)?;
        let mut open = fs::OpenOptions::new();
        let mut file = open.write(true).create_new(true).mode(0o600 | group & 0o040).open(new.join("state"))?;
        file.write_all(state)?;
        file.sync_all()?;
        File::open(&new)?.sync_all()?;
        remove(&dir)?;
        fs::rename(&new, &dir)?;
    }
    File::open(&slots)?.sync_all()
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_logical_slot_is_told_from_a_physical_one_by_its_database() {
        let data = tempfile::tempdir().expect("a directory");
        fs::create_dir(data.path().join("pg_replslot")).expect("ours");
        assert!(!has_logical(data.path()).expect("readable"));
        let mut state = vec![1; 200];
        state[DATABASE_AT..DATABASE_AT + 4].fill(0);
        install(data.path(), &BTreeMap::from([("standby".into(), state.clone())])).expect("written");
        assert!(!has_logical(data.path()).expect("readable"));
        state[DATABASE_AT] = 5;
        install(data.path(), &BTreeMap::from([("events".into(), state)])).expect("written");
        assert!(has_logical(data.path()).expect("readable"));
    }

    #[test]
    fn a_slot_replaces_what_was_there_and_has_the_directorys_permissions() {
        let data = tempfile::tempdir().expect("a directory");
        fs::set_permissions(data.path(), fs::Permissions::from_mode(0o750)).expect("ours");
        let dir = data.path().join("pg_replslot/events");
        fs::create_dir_all(dir.with_extension("tmp")).expect("ours");
        fs::create_dir_all(&dir).expect("ours");
        fs::write(dir.join("xid-700-lsn-0-3000000.spill"), "old").expect("ours");
        install(data.path(), &BTreeMap::from([("events".into(), vec![1, 2, 3])])).expect("written");
        let names: Vec<_> = fs::read_dir(&dir).expect("there").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["state"]);
        assert_eq!(fs::read(dir.join("state")).expect("there"), [1, 2, 3]);
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("state"))), (0o750, 0o640));
        assert!(!dir.with_extension("tmp").exists());
    }
}
