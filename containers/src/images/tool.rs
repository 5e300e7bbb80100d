//! Programs of this machine that are run to build images, and never outlive the build.

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use nix::{
    sys::{
        signal::{Signal, killpg},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
};

use super::{ImageError, Step, Watch, proxy};

/// So many lines of a tool that failed are shown.
const TAIL: usize = 12;

/// How long a tool has to clean up after itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Finds a program in `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A program that must be there.
pub(super) fn need(tool: &'static str, install: &'static str) -> Result<PathBuf, ImageError> {
    find(tool).ok_or(ImageError::MissingTool { tool, install })
}

/// Runs a program to its end; its standard output is the result, the lines of its standard error are told.
///
/// Dropped before its end, it is asked to end with all its children, then killed.
pub(super) async fn run(mut command: Command, what: &str, watch: Watch<'_>) -> Result<Vec<u8>, ImageError> {
    let doing = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(ImageError::io(format!("cannot run {doing}")))?;
    let mut group = Group(child.id());
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let mut output = Vec::new();
    let mut tail = std::collections::VecDeque::new();
    let errors = async {
        // What is no UTF-8 ends the telling, not the tool.
        while let Ok(Some(line)) = lines.next_line().await {
            watch(Step { what, says: &line, begins: false });
            tail.push_back(format!("  {line}"));
            if tail.len() > TAIL {
                tail.pop_front();
            }
        }
    };
    let (read, ()) = tokio::join!(stdout.read_to_end(&mut output), errors);
    read.map_err(ImageError::io(format!("cannot read the output of {doing}")))?;
    let status = child.wait().await.map_err(ImageError::io(format!("cannot wait for {doing}")))?;
    group.0 = None;
    if status.success() {
        return Ok(output);
    }
    let tail = Vec::from(tail).join("\n");
    Err(ImageError::Tool { what: format!("{doing} ({what})"), status: status.to_string(), tail })
}

/// A command that speaks English, asks nobody anything, and knows the proxies of this machine in the spelling that it reads.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C.UTF-8").env("DEBIAN_FRONTEND", "noninteractive").envs(proxy::of_the_environment());
    command
}

/// The processes of a tool, ended with it. The number of its first process while that one was not waited for.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let Some(leader) = self.0.and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw) else { return };
        // An error means that nobody is left.
        let _ = killpg(leader, Signal::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            // Waited for here: a process that has ended would count as one that is left.
            let _ = waitpid(leader, Some(WaitPidFlag::WNOHANG));
            if killpg(leader, None).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = killpg(leader, Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = command("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_tool_that_fails_shows_its_last_lines() {
        let run = run(shell("echo out; for i in $(seq 30); do echo line $i >&2; done; exit 3"), "a test", &|_| {});
        let error = run.await.expect_err("it exits with 3").to_string();
        assert!(
            error.contains("exit status: 3") && error.contains("line 30") && !error.contains("line 9\n"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_tool_ends_with_whoever_waited_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mark = folder.path().join("child");
        let script = format!("sleep 600 & echo $! > {}; wait", mark.display());
        let running = run(shell(&script), "a test", &|_| {});
        assert!(tokio::time::timeout(Duration::from_millis(700), running).await.is_err(), "it waits for its child");
        let child: i32 = std::fs::read_to_string(&mark).expect("written").trim().parse().expect("a number");
        assert!(nix::sys::signal::kill(Pid::from_raw(child), None).is_err(), "the child of the child is gone too");
    }

    #[test]
    fn a_missing_tool_says_what_to_install() {
        let error = need("no-such-tool", "install the package `nothing`").expect_err("there is none").to_string();
        assert_eq!(error, "`no-such-tool` is missing: install the package `nothing`");
    }
}
