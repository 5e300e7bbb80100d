//! Writing the configuration files. The user's own `postgresql.conf` becomes `postgresql.base.conf` once, and ours includes
//! it, as Patroni does; what we do not say is then as the user said it.

use std::{fs, io, path::Path};

use pgdrill_agent::ports::{PostgresError, PostgresResult, ServerConfig};

use super::{conf, durable, passfile, settings::Settings};
use crate::lack;

const BASE: &str = "postgresql.base.conf";

/// Makes the files what the configuration says. The order matters when the machine dies in between: passwords are there
/// before a file refers to them, and `standby.signal` goes last when it is taken away.
pub(super) fn write(settings: &Settings, config: &ServerConfig) -> PostgresResult<()> {
    write_files(settings, config).map_err(|problem| match problem {
        Problem::Content(text) => PostgresError::Refused(text),
        Problem::Io(error) => lack::told(&error, format!("writing the configuration: {error}"), PostgresError::Failed),
    })
}

enum Problem {
    Content(String),
    Io(io::Error),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn write_files(settings: &Settings, config: &ServerConfig) -> Result<(), Problem> {
    let mode = durable::mode_below(&settings.data_dir);
    let dir = settings.config_dir();
    if let Some(to) = config.recovery.as_ref().and_then(|recovery| recovery.primary_conninfo.as_ref()) {
        passfile::write(&settings.passfile, &to.host, to.port, &to.user, to.password.as_ref())?;
    }
    let standby_signal = settings.data_dir.join("standby.signal");
    // Point-in-time recovery ends by itself; a standby does not.
    let recovery_signal = settings.data_dir.join("recovery.signal");
    let signals = [&standby_signal, &recovery_signal];
    let wanted = config.recovery.as_ref().map(|recovery| if recovery.ends_at_target { signals[1] } else { signals[0] });
    if let Some(wanted) = wanted {
        durable::touch(wanted, mode)?;
    }
    let own = keep_own(&dir.join("postgresql.conf"), &dir.join(BASE), mode)?;
    let custom = settings.custom_conf.as_ref().map(|file| file.to_string_lossy().into_owned());
    let base = custom.or_else(|| own.then(|| BASE.to_owned()));
    let text = conf::postgresql_conf(config, base.as_deref(), settings).map_err(Problem::Content)?;
    for (file, lines) in [("pg_hba.conf", &config.hba), ("pg_ident.conf", &config.ident)] {
        match lines {
            Some(lines) => {
                keep_own(&dir.join(file), &dir.join(file.replace(".conf", ".base.conf")), mode)?;
                durable::replace(&dir.join(file), &conf::lines(lines), mode)?;
            }
            // We name these files, and PostgreSQL does not start without them.
            None => durable::touch(&dir.join(file), mode)?,
        }
    }
    durable::replace(&dir.join("postgresql.conf"), &text, mode)?;
    let auto = settings.data_dir.join("postgresql.auto.conf");
    let sane = match fs::read_to_string(&auto) {
        Ok(text) => conf::sane_auto_conf(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // What it says about recovery would overrule ours.
        Err(error) => return Err(durable::named(&auto, error).into()),
    };
    // What a restore wrote there is how it is to be recovered.
    if let Some(sane) = sane.filter(|_| !config.keep_recovery) {
        durable::replace(&auto, &sane, mode)?;
    }
    if !config.keep_recovery {
        // A point-in-time recovery that somebody left behind would turn a primary into a standby.
        for other in signals.into_iter().filter(|signal| Some(*signal) != wanted) {
            durable::remove(other)?;
        }
    }
    Ok(())
}

/// Copies a file of the user's own aside before it is overwritten for the first time; tells whether there is such a copy.
fn keep_own(file: &Path, base: &Path, mode: u32) -> io::Result<bool> {
    if base.try_exists().map_err(|error| durable::named(base, error))? {
        return Ok(true);
    }
    match fs::read_to_string(file) {
        Ok(text) if conf::is_managed(&text) => Ok(false),
        Ok(text) => durable::replace(base, &text, mode).map(|_| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(durable::named(file, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pgdrill_agent::ports::Recovery;

    use super::*;

    fn data_dir() -> (tempfile::TempDir, Settings) {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("pg");
        fs::create_dir(&data).expect("it is created");
        let settings = Settings::new(&data, dir.path().join("pgpass"));
        (dir, settings)
    }

    fn read(settings: &Settings, file: &str) -> String {
        fs::read_to_string(settings.data_dir.join(file)).expect("it is read")
    }

    #[test]
    fn the_users_own_files_are_kept_and_included() {
        let (_dir, settings) = data_dir();
        fs::write(settings.data_dir.join("postgresql.conf"), "work_mem = 64MB\n").expect("it is written");
        fs::write(settings.data_dir.join("pg_hba.conf"), "local all all peer\n").expect("it is written");
        let parameters = BTreeMap::from([("port".to_owned(), "5433".to_owned())]);
        let hba = Some(vec!["host all all all scram-sha-256".to_owned()]);
        let mut config = ServerConfig { parameters, hba, ..ServerConfig::default() };
        for _ in 0..2 {
            write(&settings, &config).expect("it is written");
            assert_eq!(read(&settings, "postgresql.base.conf"), "work_mem = 64MB\n");
            assert_eq!(read(&settings, "pg_hba.base.conf"), "local all all peer\n");
            assert!(read(&settings, "postgresql.conf").contains("include 'postgresql.base.conf'"));
        }
        config.hba = None;
        write(&settings, &config).expect("it is written");
        assert!(read(&settings, "pg_hba.conf").contains("scram-sha-256"), "without lines the file is left as it is");
    }

    #[test]
    fn standby_signal_is_there_exactly_for_a_standby() {
        let (_dir, settings) = data_dir();
        let signal = settings.data_dir.join("standby.signal");
        let standby = ServerConfig { recovery: Some(Recovery::default()), ..ServerConfig::default() };
        write(&settings, &standby).expect("it is written");
        assert!(signal.exists());
        assert!(!read(&settings, "postgresql.conf").contains("include"), "there was no file to keep");
        write(&settings, &ServerConfig::default()).expect("it is written");
        assert!(!signal.exists());
        let recovery = Recovery { ends_at_target: true, ..Recovery::default() };
        write(&settings, &ServerConfig { recovery: Some(recovery), ..ServerConfig::default() }).expect("it is written");
        let restored = settings.data_dir.join("recovery.signal");
        assert!(restored.exists() && !signal.exists(), "it ends at its target");
        write(&settings, &ServerConfig { keep_recovery: true, ..ServerConfig::default() }).expect("it is written");
        assert!(restored.exists(), "what a restore has made is kept");
        write(&settings, &ServerConfig::default()).expect("it is written");
        assert!(!restored.exists());
    }
}
