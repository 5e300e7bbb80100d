//! Running PostgreSQL's programs: in English, without the agent's secrets in their environment, and never longer than
//! somebody waits for them.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Output, Stdio},
};

use pgdrill_agent::ports::{PostgresError, PostgresResult};
use tokio::process::Command;

use crate::{descriptors, lack};

/// Variables that would change what PostgreSQL's programs do, or that hold passwords or the agent's own business.
const NOT_INHERITED: &[&str] = &["PG", "PATRONI_", "NOTIFY_SOCKET", "WATCHDOG_"];

/// A command with an environment fit for PostgreSQL.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if NOT_INHERITED.iter().any(|prefix| starts_with(&name, prefix)) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    // SAFETY: between fork and exec only one system call is made, which allocates nothing.
    unsafe { command.pre_exec(descriptors::hand_on) };
    command
}

fn starts_with(name: &OsString, prefix: &str) -> bool {
    AsRef::<OsStr>::as_ref(name).as_encoded_bytes().starts_with(prefix.as_bytes())
}

/// Runs a program to its end and returns what it printed, in the C locale. When the returned future is dropped, or the agent
/// dies, the program is killed.
///
/// # Errors
/// `Refused` when it cannot be started.
pub(super) async fn output(command: Command) -> PostgresResult<Output> {
    output_to(command, Stdio::piped()).await
}

/// Like [`output`], with its standard error going elsewhere.
///
/// # Errors
/// `Refused` when it cannot be started.
pub(super) async fn output_to(mut command: Command, stderr: Stdio) -> PostgresResult<Output> {
    command.env("LC_ALL", "C").stdout(Stdio::piped()).stderr(stderr);
    end_with_us(&mut command);
    let child = command.spawn().map_err(|error| cannot_start(&command, &error))?;
    let group = Group(child.id());
    let output = child.wait_with_output().await;
    group.ended();
    output.map_err(|error| PostgresError::Unknown(format!("{}: {error}", name(&command))))
}

/// Like [`output`], but an exit status other than 0 is an error with the program's own words; returns its standard output.
///
/// # Errors
/// `Failed` when it ends otherwise than well.
pub(super) async fn run(command: Command) -> PostgresResult<String> {
    let name = name(&command);
    let output = output(command).await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
    Err(PostgresError::Failed(told(&name, output.status, said)))
}

/// How a program failed, in a sentence: what it is, how it ended, what it said last.
pub(super) fn told(name: &str, status: ExitStatus, said: &[u8]) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    };
    let said = String::from_utf8_lossy(said);
    let lines: Vec<_> = said.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(6)..].join("; ");
    format!("{name} ended with {how}: {last}")
}

/// The file name of a command's program.
pub(super) fn name(command: &Command) -> String {
    let program = Path::new(command.as_std().get_program());
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

pub(super) fn cannot_start(command: &Command, error: &io::Error) -> PostgresError {
    let program = Path::new(command.as_std().get_program()).display();
    if lack::is_lack(error) {
        return PostgresError::Lacking(format!("cannot run {program}: {error}"));
    }
    PostgresError::Refused(format!("cannot run {program}: {error} (postgresql.bin_dir)"))
}

/// The program gets a process group of its own, which is killed with it, and dies with the thread that started it: a copy
/// that goes on while the next agent begins its own would mix two of them.
fn end_with_us(command: &mut Command) {
    command.process_group(0).kill_on_drop(true);
    // SAFETY: between fork and exec only one system call is made, which allocates nothing.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
}

/// A process group that is killed unless it has ended: `pg_basebackup` has a child that receives the WAL.
struct Group(Option<u32>);

impl Group {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0.and_then(|pid| libc::pid_t::try_from(pid).ok()) {
            // SAFETY: takes two integers. The group's first process has not been waited for: its number is still its own.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::postgres::process;

    fn shell(script: &str) -> Command {
        let mut command = command(Path::new("/bin/sh"));
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_failure_says_what_the_program_said() {
        let error = run(shell("echo 'pg_x: error: no such thing' >&2; exit 3")).await.expect_err("it fails");
        assert_eq!(error.to_string(), "failed: sh ended with exit code 3: pg_x: error: no such thing");
        let error = run(command(Path::new("/nowhere/initdb"))).await.expect_err("it is not there");
        assert!(error.to_string().starts_with("refused: cannot run /nowhere/initdb"), "{error}");
    }

    #[tokio::test]
    async fn a_dropped_wait_ends_the_program_and_its_children() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("child");
        let script = format!("sleep 60 & echo $! > {0}.new && mv {0}.new {0}; wait", file.display());
        let waiting = run(shell(&script));
        let child = async {
            loop {
                tokio::time::sleep(Duration::from_millis(10)).await;
                if let Ok(pid) = std::fs::read_to_string(&file) {
                    return pid.trim().parse::<u32>().expect("a number");
                }
            }
        };
        let child = tokio::select! {
            ended = waiting => panic!("it ended: {ended:?}"),
            child = child => child,
        };
        for _ in 0..500 {
            if !process::is_alive(child).expect("readable") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the program's child lives on");
    }

    #[tokio::test]
    async fn neither_secrets_nor_libpq_variables_are_handed_on() {
        // Set before any other thread of this test reads the environment would be unsafe: what cargo sets is enough.
        assert!(NOT_INHERITED.iter().any(|prefix| starts_with(&"PATRONI_SUPERUSER_PASSWORD".into(), prefix)));
        assert!(NOT_INHERITED.iter().any(|prefix| starts_with(&"PGPASSWORD".into(), prefix)));
        assert!(!NOT_INHERITED.iter().any(|prefix| starts_with(&"PATH".into(), prefix)));
    }
}
