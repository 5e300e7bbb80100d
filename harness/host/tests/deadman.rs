//! The dead-man process as a process: started, given deadlines, frozen, orphaned; against stand-ins for PostgreSQL that are
//! called `postgres` and live in a data directory as its processes do. Real signals, real clocks.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};
use pgdrill_agent::ports::Fence;
use pgdrill_host::deadman::{self, DeadMan};
use tokio::time::{Instant, sleep, timeout};

type Outcome = Result<(), Failed>;

/// Long enough for a busy machine, and for nothing else.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, internal, what, data_dir] = &arguments[..]
        && (internal.as_str(), what.as_str()) == ("internal", "deadman")
    {
        return match deadman::run(Path::new(data_dir), None) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let trials = vec![
        trial("a_deadline_that_passes_stops_the_postmaster_and_its_children", passes),
        trial("a_deadline_that_is_replaced_in_time_stops_nobody", replaced),
        trial("a_released_one_stops_nobody", released),
        trial("a_frozen_postmaster_is_killed_with_its_children", frozen_postmaster),
        trial("one_that_ignores_sigquit_is_killed", stubborn),
        trial("a_server_on_another_directory_is_not_touched", other_directory),
        trial("a_server_that_is_started_after_the_stop_is_not_touched", started_later),
        trial("it_outlives_its_agent_while_it_holds_a_deadline_and_then_ends", outlives),
        trial("without_a_deadline_it_ends_with_its_agent", ends_with_agent),
        trial("a_new_agent_takes_over_and_the_old_deadline_is_void", taken_over),
        trial("a_frozen_one_is_replaced_by_start", replaced_by_start),
        trial("a_frozen_one_that_wakes_up_late_reads_its_orders_first", orders_first),
        trial("a_missing_data_directory_is_refused", missing_directory),
        trial("it_knows_nothing_of_its_agents_environment", environment),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial<F: Future<Output = Outcome> + 'static>(name: &'static str, body: fn() -> F) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { timeout(PATIENCE * 3, body()).await.map_err(|_| Failed::from("it takes too long"))? })
    })
}

/// A data directory, and programs that pass for PostgreSQL's.
struct Place {
    dir: tempfile::TempDir,
}

/// A running stand-in. Killed when dropped.
struct Server {
    postmaster: Child,
    children: Vec<i32>,
}

/// By a process of its own. What this one has open for writing, a child of another trial has, too, until it runs its own
/// program, and nobody can run the copy meanwhile ("Text file busy").
fn copy_program(from: &str, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status();
    assert!(copied.expect("cp runs").success(), "{from} is not copied to {}", to.display());
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("data")).expect("a data directory");
        copy_program("/bin/bash", &dir.path().join("postgres"));
        copy_program("/bin/sleep", &dir.path().join("postgres-backend"));
        Self { dir }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn dead_man(&self) -> DeadMan {
        DeadMan::new(std::env::current_exe().expect("this test"), self.data())
    }

    /// `trap`: what the postmaster does on SIGQUIT.
    async fn server_in(&self, data: &Path, trap: &str) -> Server {
        let backend = self.dir.path().join("postgres-backend");
        let script = format!("trap '{trap}' QUIT; {0} 1000 & {0} 1000 & wait; wait", backend.display());
        let mut command = Command::new(self.dir.path().join("postgres"));
        let postmaster = command.args(["-c", &script]).current_dir(data).process_group(0).spawn().expect("it starts");
        let mut server = Server { postmaster, children: vec![] };
        while server.children.len() < 2 {
            sleep(Duration::from_millis(20)).await;
            server.children = children_of(server.pid());
        }
        server
    }

    async fn server(&self) -> Server {
        // As the postmaster does: end the children, then itself. (A shell has its children ignore SIGQUIT.)
        self.server_in(&self.data(), "kill -TERM $(jobs -p); exit 2").await
    }
}

impl Server {
    fn pid(&self) -> i32 {
        i32::try_from(self.postmaster.id()).expect("a process id")
    }

    fn living(&mut self) -> usize {
        let children = self.children.iter().filter(|pid| is_alive(**pid)).count();
        children + usize::from(self.postmaster.try_wait().expect("it is ours").is_none())
    }

    async fn gone_within(&mut self, limit: Duration) -> Outcome {
        let end = Instant::now() + limit;
        while self.living() > 0 {
            if Instant::now() > end {
                return Err(format!("{} processes are left after {limit:?}", self.living()).into());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn untouched_for(&mut self, time: Duration) -> Outcome {
        sleep(time).await;
        check(self.living() == 3, "somebody was stopped")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for pid in self.children.iter().copied().chain([self.pid()]) {
            signal(pid, libc::SIGKILL);
        }
        let _ = self.postmaster.wait();
    }
}

fn check(holds: bool, otherwise: &str) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

fn signal(pid: i32, signal: libc::c_int) {
    // SAFETY: no pointers; the process is one that the test has started.
    unsafe { libc::kill(pid, signal) };
}

fn stat(pid: i32) -> Option<(char, i32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn is_alive(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

fn children_of(parent: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|(state, of)| of == parent && state != 'Z')).collect()
}

fn pid_of(dead_man: &DeadMan) -> i32 {
    i32::try_from(dead_man.pid().expect("it runs")).expect("a process id")
}

async fn armed(place: &Place, after: Duration) -> Result<DeadMan, Failed> {
    let dead_man = place.dead_man();
    dead_man.start().await?;
    dead_man.hold(Instant::now() + after).await?;
    Ok(dead_man)
}

async fn ended(pid: i32, limit: Duration) -> Outcome {
    let end = Instant::now() + limit;
    while is_alive(pid) {
        if Instant::now() > end {
            return Err("the dead-man process is still there".into());
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

const SOON: Duration = Duration::from_millis(700);

async fn passes() -> Outcome {
    let place = Place::new();
    let mut server = place.server().await;
    let began = Instant::now();
    let dead_man = armed(&place, SOON).await?;
    server.gone_within(PATIENCE).await?;
    check(began.elapsed() >= SOON, "it was too early")?;
    check(dead_man.is_running(), "it ended although its agent is there")
}

async fn replaced() -> Outcome {
    let place = Place::new();
    let mut server = place.server().await;
    let dead_man = armed(&place, SOON * 2).await?;
    for _ in 0..8 {
        server.untouched_for(SOON).await?;
        dead_man.hold(Instant::now() + SOON * 2).await?;
    }
    server.gone_within(PATIENCE).await
}

async fn released() -> Outcome {
    let place = Place::new();
    let mut server = place.server().await;
    let dead_man = armed(&place, SOON).await?;
    dead_man.release().await?;
    server.untouched_for(SOON * 3).await
}

async fn frozen_postmaster() -> Outcome {
    let place = Place::new();
    let mut server = place.server().await;
    let _dead_man = armed(&place, SOON).await?;
    signal(server.pid(), libc::SIGSTOP);
    server.gone_within(PATIENCE).await
}

async fn stubborn() -> Outcome {
    let place = Place::new();
    let mut server = place.server_in(&place.data(), "true").await;
    let _dead_man = armed(&place, SOON).await?;
    server.gone_within(PATIENCE).await
}

async fn other_directory() -> Outcome {
    let place = Place::new();
    let elsewhere = place.dir.path().join("data2");
    fs::create_dir(&elsewhere)?;
    let mut other = place.server_in(&elsewhere, "exit").await;
    let mut server = place.server().await;
    let _dead_man = armed(&place, SOON).await?;
    server.gone_within(PATIENCE).await?;
    check(other.living() == 3, "the server of another directory was stopped")
}

async fn started_later() -> Outcome {
    let place = Place::new();
    let mut server = place.server().await;
    let _dead_man = armed(&place, SOON).await?;
    server.gone_within(PATIENCE).await?;
    place.server().await.untouched_for(SOON * 2).await
}

async fn outlives() -> Outcome {
    let place = Place::new();
    let mut server = place.server().await;
    let dead_man = armed(&place, SOON * 2).await?;
    let pid = pid_of(&dead_man);
    drop(dead_man);
    server.untouched_for(SOON).await?;
    check(is_alive(pid), "it ended with a deadline in its hand")?;
    server.gone_within(PATIENCE).await?;
    ended(pid, PATIENCE).await
}

async fn ends_with_agent() -> Outcome {
    let place = Place::new();
    let dead_man = place.dead_man();
    dead_man.start().await?;
    let pid = pid_of(&dead_man);
    drop(dead_man);
    ended(pid, PATIENCE).await
}

async fn taken_over() -> Outcome {
    let place = Place::new();
    let mut server = place.server().await;
    let first = armed(&place, SOON * 2).await?;
    let old = pid_of(&first);
    drop(first);
    let second = armed(&place, PATIENCE).await?;
    second.retire_others().await?;
    ended(old, PATIENCE).await?;
    check(second.is_running(), "the new one was ended as well")?;
    server.untouched_for(SOON * 4).await
}

async fn replaced_by_start() -> Outcome {
    let place = Place::new();
    let mut server = place.server().await;
    let dead_man = armed(&place, SOON * 2).await?;
    let old = pid_of(&dead_man);
    signal(old, libc::SIGSTOP);
    let answer = timeout(SOON, dead_man.hold(Instant::now() + PATIENCE)).await;
    check(answer.is_err(), "a frozen process has answered")?;
    dead_man.start().await?;
    check(!is_alive(old) && pid_of(&dead_man) != old, "the frozen one is still there")?;
    server.untouched_for(SOON * 3).await
}

async fn orders_first() -> Outcome {
    let place = Place::new();
    let mut server = place.server().await;
    let dead_man = armed(&place, SOON).await?;
    signal(pid_of(&dead_man), libc::SIGSTOP);
    // The renewal is sent in time, and read when the deadline before it has long passed.
    let renewal = dead_man.hold(Instant::now() + PATIENCE);
    let thaw = async {
        sleep(SOON * 3).await;
        signal(pid_of(&dead_man), libc::SIGCONT);
    };
    let (renewed, ()) = tokio::join!(renewal, thaw);
    renewed?;
    server.untouched_for(SOON).await
}

async fn missing_directory() -> Outcome {
    let place = Place::new();
    let dead_man = DeadMan::new(std::env::current_exe()?, place.dir.path().join("nothing"));
    dead_man.start().await?;
    let refused = dead_man.hold(Instant::now() + PATIENCE).await;
    check(refused.is_err_and(|error| error.to_string().contains("nothing")), "it promised what it cannot know")
}

async fn environment() -> Outcome {
    let place = Place::new();
    let dead_man = place.dead_man();
    dead_man.start().await?;
    let environment = fs::read(format!("/proc/{}/environ", pid_of(&dead_man)))?;
    check(environment.is_empty(), "it has an environment")
}
