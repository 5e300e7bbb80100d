//! What must be right on this machine before an agent is of any use: who it runs as, PostgreSQL's programs, the data directory.
//! Everything is only looked at.

use std::{
    env, fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use nix::unistd::{AccessFlags, Uid, User, access};
use pgdrill_agent::{AgentConfig, config::PostgresqlConfig};
use serde_json::Value;

use crate::postgres::Settings;

/// The programs that the agent uses.
const PROGRAMS: &[&str] =
    &["postgres", "initdb", "pg_ctl", "pg_controldata", "pg_basebackup", "pg_rewind", "pg_waldump"];

/// Looks, and says everything that is wrong: which setting, what was found, what would be right.
#[must_use]
pub fn check(config: &AgentConfig) -> Vec<String> {
    let settings = Settings::of(&as_first_known(config));
    let mut problems = Vec::new();
    problems.extend(root(&config.postgresql.data_dir));
    let programs = programs(&settings);
    if programs.is_empty() {
        problems.extend(version(&settings));
    }
    problems.extend(programs);
    problems.extend(data_dir(&settings.data_dir));
    problems.extend(passfile(&settings.passfile));
    problems
}

/// `postgresql` with what is known of the cluster's dynamic configuration before the DCS was asked: what was kept beside the data, or
/// else `bootstrap.dcs`. It may say where PostgreSQL's programs are.
pub(crate) fn as_first_known(config: &AgentConfig) -> PostgresqlConfig {
    let kept = fs::read_to_string(config.postgresql.dynamic_config_cache()).ok();
    let kept = kept.and_then(|text| serde_json::from_str::<Value>(&text).ok()).filter(Value::is_object);
    let dynamic = kept.or_else(|| config.bootstrap.as_ref().map(|bootstrap| bootstrap.dcs.clone()));
    config.postgresql.with_dynamic(&dynamic.unwrap_or_default())
}

fn root(data_dir: &str) -> Option<String> {
    let owner = fs::metadata(data_dir).ok().and_then(|meta| name_of(meta.uid())).filter(|name| name != "root");
    let user = owner.unwrap_or_else(|| "postgres".into());
    Uid::effective().is_root().then(|| {
        format!(
            "the agent runs as root, and PostgreSQL refuses to: start it as the data directory's owner, with \
             `User={user}` in its systemd unit, or as \
             `setpriv --reuid={user} --regid={user} --init-groups pgdrill agent PATRONI.YML`"
        )
    })
}

fn programs(settings: &Settings) -> Vec<String> {
    let missing = |name: &&&str| {
        let program = settings.program(name);
        let found = match &settings.bin_dir {
            Some(_) => Some(program.clone()),
            None => in_path(&program),
        };
        !found.is_some_and(|found| found.is_file() && access(&found, AccessFlags::X_OK).is_ok())
    };
    let told = |name: &&str| {
        let program = settings.program(name);
        match &settings.bin_dir {
            Some(_) => format!(
                "postgresql.bin_dir: {} is not there or cannot be run: name the folder with PostgreSQL's server programs, \
                 such as /usr/lib/postgresql/16/bin",
                program.display()
            ),
            None => format!(
                "postgresql.bin_dir is not given, and {} is not in PATH: name the folder with PostgreSQL's server \
                 programs, such as /usr/lib/postgresql/16/bin",
                program.display()
            ),
        }
    };
    PROGRAMS.iter().filter(missing).map(told).collect()
}

fn in_path(program: &Path) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// The programs' version: one that the agent knows, and the one that the data directory was made by.
fn version(settings: &Settings) -> Option<String> {
    let program = settings.program("postgres");
    let output = match Command::new(&program).arg("--version").output() {
        Ok(output) => output,
        Err(error) => return Some(format!("postgresql.bin_dir: {} cannot be run: {error}", program.display())),
    };
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let Some(major) = major_version(&said) else {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Some(format!("postgresql.bin_dir: `{} --version` says {said:?} {why}", program.display()));
    };
    if major < 13 {
        let program = program.display();
        return Some(format!("postgresql.bin_dir: {program} is PostgreSQL {major}: the agent needs 13 or newer"));
    }
    let made_by = fs::read_to_string(settings.data_dir.join("PG_VERSION")).ok()?;
    let made_by = made_by.trim();
    (made_by != major.to_string()).then(|| {
        format!(
            "postgresql.data_dir: {} was made by PostgreSQL {made_by}, but {} is PostgreSQL {major}: set \
             postgresql.bin_dir to the programs of {made_by}, or upgrade the directory with pg_upgrade",
            settings.data_dir.display(),
            program.display()
        )
    })
}

/// `postgres (PostgreSQL) 16.14 (Debian 16.14-1)`, `17devel`, `17beta1`.
fn major_version(said: &str) -> Option<u32> {
    let number = said.split_whitespace().nth(2)?;
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn data_dir(dir: &Path) -> Option<String> {
    let shown = dir.display();
    let me = Uid::effective();
    let meta = match fs::metadata(dir) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return parent(dir),
        Err(error) => return Some(format!("postgresql.data_dir: {shown}: {error}")),
    };
    if !meta.is_dir() {
        return Some(format!("postgresql.data_dir: {shown} is no directory"));
    }
    if meta.uid() != me.as_raw() && !me.is_root() {
        let (owner, name) = (told(meta.uid()), told(me.as_raw()));
        return Some(format!(
            "postgresql.data_dir: {shown} belongs to {owner}, but the agent runs as {name}: PostgreSQL only starts as the \
             owner; run the agent as {owner}, or give the directory to {name} (chown)"
        ));
    }
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o027 != 0 {
        return Some(format!(
            "postgresql.data_dir: {shown} has permissions {mode:04o}: PostgreSQL only starts with 0700 or 0750 (chmod 0700)"
        ));
    }
    access(dir, AccessFlags::W_OK | AccessFlags::R_OK | AccessFlags::X_OK)
        .err()
        .map(|error| format!("postgresql.data_dir: {shown} cannot be written: {}", error.desc()))
}

/// Of a directory that has to be made first, with all that is missing above it, as `initdb` does.
fn parent(dir: &Path) -> Option<String> {
    let above = dir.ancestors().skip(1).map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above });
    let found = above.map(|above| (above, fs::metadata(above)));
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let (parent, found) = found.into_iter().find(|(_, found)| !found.as_ref().is_err_and(missing))?;
    let why = match found {
        Ok(found) if !found.is_dir() => "it is no directory".to_owned(),
        Ok(_) => access(parent, AccessFlags::W_OK | AccessFlags::X_OK).err()?.desc().to_owned(),
        Err(error) => error.to_string(),
    };
    Some(format!(
        "postgresql.data_dir: {} does not exist and cannot be made: {}: {why}; make it, with {} as its owner and permissions \
         0700",
        dir.display(),
        parent.display(),
        told(Uid::effective().as_raw())
    ))
}

fn passfile(file: &Path) -> Option<String> {
    if file.is_dir() {
        return Some(format!("postgresql.pgpass: {} is a directory: name a file", file.display()));
    }
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    access(parent, AccessFlags::W_OK | AccessFlags::X_OK).err().map(|error| {
        format!(
            "postgresql.pgpass: {} cannot be written: {}: {}; name a file in a folder of the agent's user",
            file.display(),
            parent.display(),
            error.desc()
        )
    })
}

fn name_of(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

fn told(uid: u32) -> String {
    name_of(uid).unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play_program::play_program;

    #[test]
    fn a_version_is_read_from_what_postgres_says() {
        assert_eq!(major_version("postgres (PostgreSQL) 16.14"), Some(16));
        assert_eq!(major_version("postgres (PostgreSQL) 17beta1 (Debian 17~beta1-1)"), Some(17));
        assert_eq!(major_version("nonsense"), None);
    }

    #[test]
    fn a_missing_program_is_named_with_its_folder() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut settings = Settings::new(dir.path().join("pg"), dir.path().join("pgpass"));
        settings.bin_dir = Some(dir.path().into());
        let problems = programs(&settings);
        assert_eq!(problems.len(), PROGRAMS.len());
        let initdb = dir.path().join("initdb").display().to_string();
        assert!(problems.iter().any(|problem| problem.contains(&initdb)), "{problems:?}");
    }

    #[test]
    fn permissions_that_postgresql_refuses_are_told_with_what_would_be_right() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("it is allowed");
        let problem = data_dir(dir.path()).expect("it is wrong");
        assert!(problem.contains("0755") && problem.contains("chmod 0700"), "{problem}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).expect("it is allowed");
        assert_eq!(data_dir(dir.path()), None);
    }

    #[test]
    fn a_directory_is_made_with_its_parents_unless_something_is_in_the_way() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(data_dir(&dir.path().join("a/b/c/pg")), None);
        fs::write(dir.path().join("a"), "").expect("it is written");
        let problem = data_dir(&dir.path().join("a/b/c/pg")).expect("a file is in the way");
        assert!(problem.contains("/a/b/c/pg") && problem.contains("/a"), "{problem}");
        assert!(data_dir(Path::new("made/here")).is_none(), "below the working directory");
    }

    #[test]
    fn a_directory_of_another_major_version_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let bin = dir.path().join("postgres");
        play_program(&bin, "#!/bin/sh\necho 'postgres (PostgreSQL) 16.14'\n");
        let mut settings = Settings::new(dir.path().join("pg"), dir.path().join("pgpass"));
        settings.bin_dir = Some(dir.path().into());
        fs::create_dir(&settings.data_dir).expect("it is created");
        assert_eq!(version(&settings), None);
        fs::write(settings.data_dir.join("PG_VERSION"), "15\n").expect("it is written");
        let problem = version(&settings).expect("it is wrong");
        assert!(problem.contains("was made by PostgreSQL 15") && problem.contains("pg_upgrade"), "{problem}");
        fs::write(settings.data_dir.join("PG_VERSION"), "16\n").expect("it is written");
        assert_eq!(version(&settings), None);
    }
}
