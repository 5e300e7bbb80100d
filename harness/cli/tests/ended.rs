//! A real run that is ended early, by Ctrl-C, by SIGTERM and by SIGKILL, while the cluster is brought up and while the scenario is
//! played: nothing of it is left in Docker. After SIGKILL, which nobody can answer, nothing is left once the next run has begun.

#[macro_use]
#[path = "../../../containers/tests/asked/mod.rs"]
mod asked;

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::Arguments;
use pgdrill_containers::docker::{RUN, connect, made_by_runs};

/// As small as a cluster can be, with a node that stands still when the run is ended: a paused container is the one that a
/// daemon removes least willingly.
const SCENARIO: &str = "\
name: endless
about: It is ended long before its end.
cluster: { nodes: 1, etcd: 1, router: direct, patroni: { ttl: 20, loop_wait: 1, retry_timeout: 3 } }
workload: { writers: 1, readers: 0 }
timeline:
  - { at: 1s, freeze: pg1 }
  - { at: 4s, kill: { process: etcd, on: etcd1 } }
duration: 600s
";

/// Longest wait for something that must come: a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_secs(240);

/// What `pgdrill` exits with when a signal has ended it.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    let trials = trials![
        ctrl_c_while_it_is_brought_up_leaves_nothing,
        sigterm_while_it_is_brought_up_leaves_nothing,
        ctrl_c_during_the_run_leaves_nothing,
        sigterm_during_the_run_leaves_nothing,
        what_sigkill_left_while_it_was_brought_up_is_swept_by_the_next_run,
        what_sigkill_left_during_the_run_is_swept_by_the_next_run,
    ];
    // One at a time: what a killed run leaves must be there until its own next run.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    asked::play(&arguments, trials)
}

fn ctrl_c_while_it_is_brought_up_leaves_nothing() {
    ended_by("INT", BRINGING_UP);
}

fn sigterm_while_it_is_brought_up_leaves_nothing() {
    ended_by("TERM", BRINGING_UP);
}

fn ctrl_c_during_the_run_leaves_nothing() {
    ended_by("INT", PLAYING);
}

fn sigterm_during_the_run_leaves_nothing() {
    ended_by("TERM", PLAYING);
}

fn what_sigkill_left_while_it_was_brought_up_is_swept_by_the_next_run() {
    killed(BRINGING_UP);
}

fn what_sigkill_left_during_the_run_is_swept_by_the_next_run() {
    killed(PLAYING);
}

/// The line that is said before the first container is made.
const BRINGING_UP: &str = "starting containers";
/// The line that is said while the node stands still.
const PLAYING: &str = ": kill etcd";

/// The next run has removed what a killed one had left.
const SWEPT: &str = "killed runs had left behind";

fn ended_by(signal: &str, when: &str) {
    let run = Run::start();
    run.reaches(when);
    let (name, code) = (run.name(), run.end_with(signal));
    assert_eq!(code, Some(INTERRUPTED), "SIG{signal}");
    assert_eq!(left_of(&name), 0, "nothing is left of a run that SIG{signal} has ended");
}

fn killed(when: &str) {
    let mut run = Run::start();
    run.reaches(when);
    let name = run.name();
    run.process.kill().expect("it can be killed");
    run.process.wait().expect("it can be waited for");
    // What it had asked for last, the daemon may still be making.
    let (mut seen, mut still) = (0, 0);
    while still < 3 {
        thread::sleep(Duration::from_millis(500));
        let left = left_of(&name);
        (seen, still) = (left, if left == seen { still + 1 } else { 0 });
    }
    assert!(seen > 0, "a run that was killed removes nothing");
    let next = Run::start();
    next.says(SWEPT);
    assert_eq!(left_of(&name), 0, "the next run has swept it");
    let name = next.name();
    assert_eq!(next.end_with("TERM"), Some(INTERRUPTED));
    assert_eq!(left_of(&name), 0, "nothing is left of the next run either");
}

/// A `pgdrill run` in containers; killed when it is dropped, should a test fail before it has ended.
struct Run {
    process: Child,
    lines: Receiver<String>,
    _folder: tempfile::TempDir,
}

impl Run {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("endless.yaml");
        fs::write(&file, SCENARIO).expect("it can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgdrill"));
        command.arg("run").arg(&file).args(["--world", "containers"]).stdin(Stdio::null()).stdout(Stdio::null());
        let mut process = command.stderr(Stdio::piped()).spawn().expect("it can be started");
        let stderr = BufReader::new(process.stderr.take().expect("it is piped"));
        let (told, lines) = channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("  {line}");
                // A test that has seen what it waited for no longer listens; the lines must be read all the same.
                let _ = told.send(line);
            }
        });
        Self { process, lines, _folder: folder }
    }

    /// Begins the names of all that it makes.
    fn name(&self) -> String {
        format!("pgdrill-{}-", self.process.id())
    }

    /// Waits for a line with this text.
    fn says(&self, text: &str) {
        let until = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(why) => panic!("it does not say {text:?}: {why}"),
            }
        }
    }

    /// Waits for a line with this text, and until something is there that could be left behind.
    fn reaches(&self, text: &str) {
        self.says(text);
        let until = Instant::now() + LIMIT;
        while left_of(&self.name()) == 0 {
            assert!(Instant::now() < until, "it makes nothing");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a signal and waits for the end; the exit code.
    fn end_with(mut self, signal: &str) -> Option<i32> {
        let sent = Command::new("kill").args(["-s", signal, &self.process.id().to_string()]).status();
        assert!(sent.expect("there is a `kill`").success(), "it still runs");
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.process.try_wait().expect("it can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < until, "it does not end");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Both fail when it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How many containers, networks and volumes there are of runs whose names begin so.
fn left_of(name: &str) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let made = runtime.block_on(async {
        let docker = connect().await.expect("there is a Docker daemon");
        made_by_runs(&docker).await.expect("it says what there is")
    });
    made.iter().filter(|labels| labels.get(RUN).is_some_and(|run| run.starts_with(name))).count()
}
