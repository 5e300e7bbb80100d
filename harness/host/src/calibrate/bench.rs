//! The test bench: two servers in a folder of their own, and a clock.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use pgdrill_agent::{
    config::Password,
    ports::{InitdbOptions, Postgres, PostgresError, PrimaryConninfo, Recovery, ServerConfig, StopMode, Upstream},
};
use tokio_postgres::{Client, NoTls};

use super::Plan;
use crate::postgres::{LocalPostgres, ServerOutput, Settings};

/// Nothing on a test bench takes longer.
const PATIENCE: Duration = Duration::from_secs(300);
const SUPERUSER: &str = "postgres";

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// PostgreSQL or one of its programs failed.
    #[error("{what}: {why}")]
    Postgres {
        /// What was being measured.
        what: &'static str,
        /// Why it failed.
        why: PostgresError,
    },
    /// A statement failed.
    #[error("{what}: {why}")]
    Sql {
        /// The statement.
        what: String,
        /// Why it failed.
        why: tokio_postgres::Error,
    },
    /// Something did not happen within five minutes.
    #[error("{0}: it did not happen within five minutes")]
    TimedOut(&'static str),
    /// The folder cannot be used.
    #[error("{}: {why}", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// Why.
        why: io::Error,
    },
}

/// A server of the bench.
pub(super) struct Server {
    pub postgres: LocalPostgres,
    pub dir: PathBuf,
    port: u16,
    password: Password,
}

/// Stops and removes everything when it is dropped, however the measuring ended.
pub(super) struct Bench {
    pub primary: Server,
    pub standby: Server,
    dir: PathBuf,
}

impl Drop for Bench {
    fn drop(&mut self) {
        for server in [&self.primary, &self.standby] {
            let pid = fs::read_to_string(server.dir.join("postmaster.pid")).ok();
            let pid = pid.and_then(|text| text.lines().next()?.parse::<i32>().ok());
            if let Some(pid) = pid.filter(|pid| *pid > 1) {
                // Only of this bench: the folder was made for it. One that is gone already needs nothing.
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGQUIT);
                while Path::new(&format!("/proc/{pid}/exe")).exists() {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
        end_programs_of(&self.dir);
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Ends what PostgreSQL's programs still do in this folder: a server that was just started has no `postmaster.pid` yet, and an
/// interrupted `initdb` or `pg_basebackup` has children.
fn end_programs_of(dir: &Path) {
    let Some(name) = dir.file_name().and_then(|name| name.to_str()) else { return };
    for _ in 0..100 {
        let left = programs_of(name);
        if left.is_empty() {
            return;
        }
        for pid in left {
            // One that has ended meanwhile needs nothing.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// PostgreSQL's programs whose command lines name this folder, which is no one else's.
fn programs_of(folder: &str) -> Vec<i32> {
    let is_of_it = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        let program = command.split('\0').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        (program == "postgres" || program == "initdb" || program.starts_with("pg_")) && command.contains(folder)
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_of_it).collect()
}

impl Bench {
    pub fn set_up(plan: &Plan) -> Result<Self, CalibrationError> {
        let dir = plan.dir.join(format!("pgdrill-calibrate-{}", std::process::id()));
        let folder = |why| CalibrationError::Folder { dir: dir.clone(), why };
        fs::create_dir(&dir).map_err(folder)?;
        let password = Password::new(format!("{:x}", std::process::id()));
        let server = |name: &str, port| -> io::Result<Server> {
            let data = dir.join(name);
            let mut settings = Settings::new(&data, dir.join(format!("{name}.pgpass")));
            settings.bin_dir.clone_from(&plan.bin_dir);
            settings.server_output = ServerOutput::File(dir.join(format!("{name}.log")));
            let postgres = LocalPostgres::new(settings)?;
            Ok(Server { postgres, dir: data, port, password: password.clone() })
        };
        let primary = server("primary", plan.ports[0]).map_err(folder)?;
        let standby = server("standby", plan.ports[1]).map_err(folder)?;
        Ok(Self { primary, standby, dir: dir.clone() })
    }
}

/// Names what was being done.
pub(super) trait During<T> {
    fn during(self, what: &'static str) -> Result<T, CalibrationError>;
}

impl<T> During<T> for Result<T, PostgresError> {
    fn during(self, what: &'static str) -> Result<T, CalibrationError> {
        self.map_err(|why| CalibrationError::Postgres { what, why })
    }
}

impl Server {
    pub async fn initdb(&self) -> Result<Duration, CalibrationError> {
        let value = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let flag = |name: &str| (name.to_owned(), None);
        let options = InitdbOptions {
            options: vec![
                value("encoding", "UTF8"),
                value("locale", "C.UTF-8"),
                value("auth-host", "scram-sha-256"),
                flag("data-checksums"),
                flag("no-sync"),
            ],
            superuser: SUPERUSER.into(),
            password: Some(self.password.clone()),
        };
        let began = Instant::now();
        self.postgres.initdb(&options).await.during("initdb")?;
        Ok(began.elapsed())
    }

    /// Where others copy, rewind or stream from.
    pub fn upstream(&self) -> Upstream {
        Upstream {
            host: "127.0.0.1".into(),
            port: self.port,
            user: SUPERUSER.into(),
            password: Some(self.password.clone()),
            dbname: "postgres".into(),
        }
    }

    /// Writes the configuration: a standby of `upstream`, or a primary.
    pub async fn configure(&self, upstream: Option<&Server>) -> Result<(), CalibrationError> {
        let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let recovery = upstream.map(|server| Recovery {
            primary_conninfo: Some(PrimaryConninfo {
                host: "127.0.0.1".into(),
                port: server.port,
                user: SUPERUSER.into(),
                password: Some(server.password.clone()),
                application_name: "standby".into(),
                connect_timeout: Duration::from_secs(3),
            }),
            ..Recovery::default()
        });
        let config = ServerConfig {
            parameters: [
                parameter("listen_addresses", "127.0.0.1"),
                parameter("port", &self.port.to_string()),
                parameter("unix_socket_directories", ""),
                parameter("wal_level", "replica"),
                parameter("wal_keep_size", "2GB"),
                parameter("max_wal_size", "4GB"),
                parameter("checkpoint_timeout", "1h"),
                parameter("hot_standby", "on"),
            ]
            .into(),
            hba: Some(vec![
                "host all all 127.0.0.1/32 scram-sha-256".into(),
                "host replication all 127.0.0.1/32 scram-sha-256".into(),
            ]),
            ident: None,
            recovery,
            ..ServerConfig::default()
        };
        self.postgres.write_config(&config).await.during("writing the configuration")
    }

    /// Starts it and waits until it accepts connections.
    pub async fn start(&self) -> Result<Duration, CalibrationError> {
        let began = Instant::now();
        self.postgres.start().await.during("starting")?;
        while self.connect().await.is_err() {
            if began.elapsed() > PATIENCE {
                return Err(CalibrationError::TimedOut("accepting connections"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(began.elapsed())
    }

    pub async fn stop(&self, mode: StopMode) -> Result<(), CalibrationError> {
        self.postgres.stop(mode, PATIENCE).await.during("stopping")
    }

    pub async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(SUPERUSER).dbname("postgres").password(self.password.reveal());
        let (client, connection) = config.connect(NoTls).await?;
        // An error of the connection shows as the error of the statement that waits for it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }

    /// A session that must be had.
    pub async fn session(&self) -> Result<Client, CalibrationError> {
        self.connect().await.map_err(|why| CalibrationError::Sql { what: "connecting".into(), why })
    }
}

/// Runs statements; the first value of the last row.
pub(super) async fn sql(client: &Client, statement: &str) -> Result<String, CalibrationError> {
    let messages = client.simple_query(statement).await;
    let messages = messages.map_err(|why| CalibrationError::Sql { what: statement.to_owned(), why })?;
    let value = messages.iter().rev().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    });
    Ok(value.unwrap_or_default())
}

/// Asks until the answer is `wanted`; how long that took.
pub(super) async fn until(
    client: &Client,
    statement: &str,
    wanted: &str,
    what: &'static str,
) -> Result<Duration, CalibrationError> {
    let began = Instant::now();
    while sql(client, statement).await? != wanted {
        if began.elapsed() > PATIENCE {
            return Err(CalibrationError::TimedOut(what));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_has_no_pid_file_yet_ends_with_the_bench_and_others_do_not() {
        let place = tempfile::tempdir().expect("a folder");
        let (ours, other) = (place.path().join("pgdrill-calibrate-1"), place.path().join("pgdrill-calibrate-2"));
        let program = place.path().join("postgres");
        // Not a copy: a program that was just written cannot be started while another test's child has inherited the file.
        std::os::unix::fs::symlink("/bin/sh", &program).expect("the folder is writable");
        let start = |dir: &Path| {
            let mut command = std::process::Command::new(&program);
            command.args(["-c", "while :; do sleep 1; done", "sh", "-D"]).arg(dir).spawn().expect("it starts")
        };
        let (mut first, mut second) = (start(&ours), start(&other));
        end_programs_of(&ours);
        let killed = first.wait().expect("it is a child of ours").success();
        let lives = second.try_wait().expect("it is a child of ours").is_none();
        second.kill().and_then(|()| second.wait()).expect("it can be ended");
        assert!(!killed && lives);
    }
}
