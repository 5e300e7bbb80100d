//! An operator's scripts as programs of this machine: each in a process group of its own, so that ending one ends everything it
//! has started, and with a password file that lives no longer than its call.

use std::{
    ffi::OsStr,
    fs, io,
    io::Write,
    os::unix::{fs::OpenOptionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use pgdrill_agent::ports::{Program, ProgramError, ProgramExit, Programs};
use tokio::process::Command;

use crate::{descriptors, lack};

/// Variables of the agent that are no script's business: they hold passwords, or make it speak in the agent's name.
const NOT_INHERITED: &[&str] = &["PATRONI_", "NOTIFY_SOCKET", "WATCHDOG_"];

/// Runs scripts on this machine.
#[derive(Debug)]
pub(crate) struct HostPrograms {
    dir: PathBuf,
    count: AtomicU64,
}

impl HostPrograms {
    /// Password files are written to `dir`, which must be the agent's own: a name in it must not be somebody else's to take.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), count: AtomicU64::new(0) }
    }

    fn pgpass(&self, program: &Program) -> io::Result<Option<Passfile>> {
        let Some(entry) = &program.pgpass else { return Ok(None) };
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        Passfile::write(self.dir.join(format!(".pgpass.{}.{number}", std::process::id())), &entry.lines()).map(Some)
    }

    async fn call(&self, program: Program) -> Result<ProgramExit, ProgramError> {
        let name = program.name().to_owned();
        let not_started = |error: io::Error| match (name.clone(), error.to_string()) {
            (program, reason) if lack::is_lack(&error) => ProgramError::Lacking { program, reason },
            (program, reason) => ProgramError::NotStarted { program, reason },
        };
        let passfile = self.pgpass(&program).map_err(not_started)?;
        let mut command = Command::new(program.name());
        command.args(&program.argv[1..]).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        // SAFETY: between fork and exec only one system call is made, which allocates nothing.
        unsafe { command.pre_exec(descriptors::hand_on) };
        for (variable, _) in std::env::vars_os().filter(|(variable, _)| is_secret(variable)) {
            command.env_remove(variable);
        }
        command.envs(&program.env);
        if let Some(passfile) = &passfile {
            command.env("PGPASSFILE", &passfile.0);
        }
        let mut child = command.spawn().map_err(not_started)?;
        // What it has started goes with it, whether it ends or is ended.
        let group = Group(child.id());
        let ended = child.wait().await;
        drop(group);
        let unknown = |reason: String| ProgramError::Unknown { program: name.clone(), reason };
        exit(ended.map_err(|error| unknown(error.to_string()))?).ok_or_else(|| unknown("no exit code".into()))
    }
}

impl Programs for HostPrograms {
    fn run(
        &self,
        program: Program,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<ProgramExit, ProgramError>> + Send + '_>> {
        Box::pin(self.call(program))
    }
}

fn is_secret(variable: &OsStr) -> bool {
    NOT_INHERITED.iter().any(|prefix| variable.as_encoded_bytes().starts_with(prefix.as_bytes()))
}

fn exit(status: ExitStatus) -> Option<ProgramExit> {
    status.code().map(ProgramExit::Code).or(status.signal().map(ProgramExit::Signal))
}

/// A password file that is removed with this value.
struct Passfile(PathBuf);

impl Passfile {
    fn write(path: PathBuf, lines: &str) -> io::Result<Self> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let passfile = Self(path);
        file.write_all(lines.as_bytes())?;
        Ok(passfile)
    }
}

impl Drop for Passfile {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!("{}: {error}: it holds a password and should be removed by hand", path.display());
    }
}

/// A process group that is killed with this value.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            // Nobody left in it is as good as killed.
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pgdrill_agent::{config::Password, ports::PgpassEntry};
    use tokio::time::{sleep, timeout};

    use super::*;

    fn shell(script: &str) -> Program {
        Program::parse("sh -c").expect("words").arg(script)
    }

    #[tokio::test]
    async fn how_a_program_ended_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let programs = HostPrograms::new(dir.path());
        assert_eq!(programs.run(shell("exit 0")).await, Ok(ProgramExit::Code(0)));
        assert_eq!(programs.run(shell("exit 7")).await, Ok(ProgramExit::Code(7)));
        assert_eq!(programs.run(shell("kill -TERM $$")).await, Ok(ProgramExit::Signal(15)));
        let missing = programs.run(Program::parse("/no/such/script").expect("words")).await;
        assert!(matches!(missing, Err(ProgramError::NotStarted { .. })), "{missing:?}");
    }

    #[tokio::test]
    async fn a_password_is_in_a_private_file_for_the_time_of_the_call() {
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("out");
        let mut program = shell("stat -c %a \"$PGPASSFILE\" > $0; cat \"$PGPASSFILE\" >> $0; echo $PGOPTIONS >> $0");
        program = program.arg(out.display().to_string());
        program.env.insert("PGOPTIONS".into(), "-c x=y".into());
        program.pgpass = Some(PgpassEntry {
            hosts: vec!["localhost".into()],
            port: 5432,
            user: "postgres".into(),
            password: Password::new("secret"),
        });
        assert_eq!(HostPrograms::new(dir.path()).run(program).await, Ok(ProgramExit::Code(0)));
        let said = fs::read_to_string(&out).expect("it was written");
        assert_eq!(said, "600\nlocalhost:5432:*:postgres:secret\n-c x=y\n");
        let left: Vec<_> = fs::read_dir(dir.path()).expect("readable").flatten().map(|file| file.file_name()).collect();
        assert_eq!(left, ["out"], "the password file is gone");
    }

    #[tokio::test]
    async fn a_dropped_call_ends_the_program_and_what_it_has_started() {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = dir.path().join("pid");
        let program = shell("sleep 300 & echo $! > $0.new; mv $0.new $0; wait").arg(mark.display().to_string());
        let programs = HostPrograms::new(dir.path());
        let started = async {
            while !mark.exists() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            ended = programs.run(program) => panic!("it ended: {ended:?}"),
            started = timeout(Duration::from_secs(60), started) => started.expect("it starts"),
        }
        let child: i32 = fs::read_to_string(&mark).expect("readable").trim().parse().expect("a pid");
        let gone = async {
            // Killed, and waiting for its parent at most.
            while fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(60), gone).await.expect("the script's child is ended too");
    }
}
