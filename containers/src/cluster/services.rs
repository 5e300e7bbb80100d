//! Starting what runs on a host, as its boot would, and following what becomes of it.

use std::time::Duration;

use futures::StreamExt;
use pgdrill_lab::{
    event::{ProcessState, What},
    scenario::Process,
};
use tokio::time::{Instant, sleep};

use super::{Agent, Cluster, Kind};
use crate::{
    docker::{Command, Line},
    inside::processes::Change,
    machine::State,
    paths::{HAPROXY_CFG, PATRONI_YML, log_of},
    shim,
};

/// The program of a service is started as this user.
const POSTGRES: &str = "postgres";

/// How long a container may take to go down after the daemon has spoken of it in the place of a command in it.
const GOING_DOWN: Duration = Duration::from_secs(10);

impl Cluster {
    /// Starts a service; PostgreSQL is its agent's to start. It runs in its container from then on, whatever becomes of the lab,
    /// and its end is seen by the watcher.
    ///
    /// # Errors
    /// When the container does not run, or this is no service of that host.
    pub async fn start(&self, process: Process, host: &str) -> Result<(), String> {
        let shim = process == Process::Agent && shim::is_wanted(&self.scenario);
        let env = if shim { shim::environment().to_vec() } else { vec![] };
        self.start_with(process, host, &env).await
    }

    /// Starts a service with these variables in its environment.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start_with(&self, process: Process, host: &str, env: &[(String, String)]) -> Result<(), String> {
        let argv = self.command_of(process, host, false)?;
        self.launch(process, host, &argv, env).await
    }

    /// Starts an etcd member that has been removed and added anew, on an empty data directory.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn start_new_member(&self, host: &str) -> Result<(), String> {
        let argv = self.command_of(Process::Etcd, host, true)?;
        self.launch(Process::Etcd, host, &argv, &[]).await
    }

    /// The container of this host was started again: its services are started, as a machine's boot does.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub async fn boot(&self, host: &str) -> Result<(), String> {
        self.give_watchdog(self.host(host)).await?;
        for process in self.host(host).services() {
            self.start(process, host).await?;
        }
        Ok(())
    }

    fn command_of(&self, process: Process, host: &str, existing: bool) -> Result<Vec<String>, String> {
        if !self.host(host).services().contains(&process) {
            return Err(format!("{host} has no {process} that could be started"));
        }
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Ok(match process {
            Process::Etcd => self.settings.etcd_command(host, existing),
            Process::Haproxy => words(&["haproxy", "-db", "-f", HAPROXY_CFG]),
            Process::Agent if self.agent == Agent::Patroni => words(&["patroni", PATRONI_YML]),
            Process::Agent => words(&["pgdrill", "agent", PATRONI_YML]),
            Process::Deadman => return Err("the dead-man process is its agent's to start".to_owned()),
            Process::Postgres => return Err("PostgreSQL is its agent's to start".to_owned()),
        })
    }

    async fn launch(
        &self,
        process: Process,
        host: &str,
        argv: &[String],
        env: &[(String, String)],
    ) -> Result<(), String> {
        // The log is the shell's argument and not part of its script; `exec` makes the service the process that is started.
        let script = ["sh", "-c", r#"log=$1; shift; exec "$@" >> "$log" 2>&1"#, "sh"].map(str::to_owned);
        let argv = script.into_iter().chain([log_of(process)]).chain(argv.iter().cloned());
        let mut command = Command::new(argv);
        if process == Process::Agent {
            command = command.user(POSTGRES);
        }
        for (name, value) in env {
            command = command.env(name, value);
        }
        command.start(&self.docker, &self.host(host).container).await.map(drop).map_err(|why| format!("{host}: {why}"))
    }

    /// Follows the processes of a host and records when they begin and end. When its container is stopped, all of them have
    /// ended; when it runs again, or the daemon lost the thread, they are followed again. Comes back only with what went wrong.
    pub(crate) async fn follow_processes(&self, host: &str) -> String {
        loop {
            let command = Command::new(["pgdrill", "internal", "processes"]);
            if let Ok(lines) = command.lines(&self.docker, &self.host(host).container).await {
                let mut lines = Box::pin(lines);
                while let Some(line) = lines.next().await {
                    match line {
                        Line::Out(line) => match serde_json::from_str(&line) {
                            Ok(change) => self.changed(host, &change),
                            // What the daemon says of a container that goes down comes in the place of the output.
                            Err(_) if self.goes_down(host).await => break,
                            Err(why) => return format!("{host}: its processes are told as {line:?}: {why}"),
                        },
                        // The image's pgdrill may be of another version than this one.
                        Line::Complaint(said) => {
                            return format!(
                                "{host}: its processes cannot be followed: {said}\nbuild the images anew: `pgdrill images \
                                 build`"
                            );
                        }
                        Line::Broken(_) => break,
                    }
                }
            }
            match self.host(host).machine(&self.docker).state().await {
                Ok(State::Stopped) => self.all_gone(host),
                // The daemon has lost the thread: who follows anew does not tell of those that end before it looks.
                Ok(State::Running) => self.ended_unseen(host).await,
                Ok(State::Paused) | Err(_) => {}
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Whether the host's container is on its way to be stopped, and is then.
    pub(crate) async fn goes_down(&self, host: &str) -> bool {
        let machine = self.host(host).machine(&self.docker);
        let began = Instant::now();
        while began.elapsed() < GOING_DOWN {
            if machine.state().await == Ok(State::Stopped) {
                return true;
            }
            sleep(Duration::from_millis(100)).await;
        }
        false
    }

    /// The processes of a running container that have ended while nobody followed them.
    async fn ended_unseen(&self, host: &str) {
        for process in self.host(host).processes() {
            let Some(pid) = self.running.pid(host, process) else { continue };
            let looked = self.exec(host, ["test", "-d", &format!("/proc/{pid}")]).await;
            if looked.is_ok_and(|looked| looked.code == 1) {
                self.gone(host, process, "");
            }
        }
    }

    fn changed(&self, host: &str, change: &Change) {
        // Known already: the followers were followed anew.
        if change.runs && self.running.pid(host, change.process) == Some(change.pid) {
            return;
        }
        if change.runs {
            self.running.started(host, change.process, change.pid);
            let detail = format!("process {}", change.pid);
            self.process_event(host, change.process, ProcessState::Started, detail);
        } else {
            self.gone(host, change.process, "");
        }
    }

    fn all_gone(&self, host: &str) {
        for process in self.host(host).processes() {
            if self.runs(process, host) {
                self.gone(host, process, "its container stopped");
            }
        }
    }

    fn gone(&self, host: &str, process: Process, detail: &str) {
        let killed = self.running.gone(host, process);
        let (state, detail) = match (killed, detail) {
            (true, _) => (ProcessState::Killed, "killed"),
            (false, "") => (ProcessState::Exited, "ended"),
            (false, detail) => (ProcessState::Killed, detail),
        };
        self.process_event(host, process, state, detail.to_owned());
    }

    fn process_event(&self, host: &str, process: Process, state: ProcessState, detail: String) {
        let process = process.name().to_owned();
        self.journal.record(host, What::Process { process, state, detail });
    }

    /// The last lines that a service of a host wrote, for a message that says what is wrong.
    pub(crate) async fn last_words(&self, process: Process, host: &str) -> String {
        let said = self.exec(host, ["tail", "-n", "15", &log_of(process)]).await;
        said.map(|said| said.stdout).unwrap_or_default()
    }

    /// Every host that has processes of its own to follow.
    pub(crate) fn followed(&self) -> Vec<String> {
        self.hosts.values().filter(|h| h.kind != Kind::Client).map(|h| h.name.clone()).collect()
    }
}
