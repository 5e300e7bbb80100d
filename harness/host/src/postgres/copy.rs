//! New data directories: `initdb` and `pg_basebackup`.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use pgdrill_agent::{
    config::{HostPort, Password},
    ports::{InitdbOptions, PostgresError, PostgresResult, Upstream},
    postgres::Conninfo,
};
use tracing::info;

use super::{passfile, program, settings::Settings};
use crate::{lack, own_options};

/// `initdb`.
pub(super) async fn initdb(settings: &Settings, options: &InitdbOptions) -> PostgresResult<()> {
    let mut command = program::command(&settings.program("initdb"));
    command.arg("-D").arg(&settings.data_dir).arg(format!("--username={}", options.superuser));
    for option in long_options("bootstrap.initdb", &options.options, own_options::INITDB)? {
        command.arg(option);
    }
    let secret = options.password.as_ref().map(|password| Secret::write(settings, password)).transpose()?;
    if let Some(secret) = &secret {
        command.arg("--pwfile").arg(&secret.file);
    }
    info!("running initdb in {}", settings.data_dir.display());
    program::run(command).await.map(drop)
}

/// A password in a file for as long as a program needs it.
struct Secret {
    file: PathBuf,
}

impl Secret {
    fn write(settings: &Settings, password: &Password) -> PostgresResult<Self> {
        let mut file = settings.passfile.as_os_str().to_owned();
        file.push(".initdb");
        let file = PathBuf::from(file);
        let _ = fs::remove_file(&file);
        let secret = Self { file };
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&secret.file);
        opened.and_then(|mut opened| opened.write_all(password.reveal().as_bytes())).map_err(|error| {
            lack::told(&error, format!("{}: {error}", secret.file.display()), PostgresError::Refused)
        })?;
        Ok(secret)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // Written over before it is tried the next time, whatever the reason now.
        let _ = fs::remove_file(&self.file);
    }
}

/// `pg_basebackup`.
pub(super) async fn basebackup(settings: &Settings, from: &Upstream) -> PostgresResult<()> {
    let refused = |error: std::io::Error| lack::told(&error, format!("pg_basebackup: {error}"), PostgresError::Refused);
    passfile::write(&settings.passfile, &from.host, from.port, &from.user, from.password.as_ref()).map_err(refused)?;
    let mut command = program::command(&settings.program("pg_basebackup"));
    command.arg("--pgdata").arg(&settings.data_dir).args(["--wal-method=stream", "--no-password"]);
    command.arg(format!("--dbname={}", source(settings, from)));
    let own = long_options("postgresql.basebackup", &settings.basebackup, own_options::BASEBACKUP)?;
    if !own.iter().any(|option| option.starts_with("--checkpoint")) {
        // A spread checkpoint lets a new replica wait for minutes.
        command.arg("--checkpoint=fast");
    }
    command.args(own);
    info!("running pg_basebackup from {}", HostPort::new(&from.host, from.port));
    program::run(command).await.map(drop)
}

/// Where to copy from: `pg_basebackup`'s `--dbname`.
fn source(settings: &Settings, from: &Upstream) -> Conninfo {
    source_of(settings, from).with_all(&settings.connection.replication)
}

/// What the programs that copy from another server are told alike.
pub(super) fn source_of(settings: &Settings, from: &Upstream) -> Conninfo {
    let it = Conninfo::default().with("user", &from.user).with("host", &from.host).with("port", from.port);
    let it = it.with("connect_timeout", 10);
    if from.password.is_some() { it.with("passfile", settings.passfile.display()) } else { it }
}

/// Options as a command line has them.
pub(super) fn long_options(
    section: &str,
    options: &[(String, Option<String>)],
    not_allowed: &[&str],
) -> PostgresResult<Vec<String>> {
    let mut all = Vec::new();
    for (name, value) in options {
        if not_allowed.contains(&name.as_str()) {
            return Err(PostgresError::Refused(format!("{section}: {name} is set by the agent and cannot be given")));
        }
        if !own_options::is_long(name) {
            return Err(PostgresError::Refused(format!(
                "{section}: {name:?} is no long option without its dashes, such as \"data-checksums\""
            )));
        }
        all.push(match value {
            Some(value) => format!("--{name}={value}"),
            None => format!("--{name}"),
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_configuration_become_arguments_one_each() {
        let options = [("max-rate".into(), Some("100M; rm -rf".into())), ("verbose".into(), None)];
        let all = long_options("postgresql.basebackup", &options, own_options::BASEBACKUP).expect("they are allowed");
        assert_eq!(all, ["--max-rate=100M; rm -rf", "--verbose"]);
    }

    #[test]
    fn options_that_are_the_agents_own_are_refused_by_name() {
        let refused = |name: &str| {
            let options = [(name.to_owned(), None)];
            long_options("postgresql.basebackup", &options, own_options::BASEBACKUP).expect_err("refused").to_string()
        };
        assert!(refused("pgdata").contains("postgresql.basebackup: pgdata"));
        assert!(refused("-D").contains("no long option"));
        assert!(refused("x y").contains("no long option"));
    }

    #[test]
    fn a_password_for_initdb_is_gone_when_it_is_not_needed() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let settings = Settings::new(dir.path().join("pg"), dir.path().join("pgpass"));
        let secret = Secret::write(&settings, &Password::new("x")).expect("it is written");
        let file = secret.file.clone();
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
        drop(secret);
        assert!(!file.exists());
    }
}
