//! One node: its `patroni.yml`, its agent's process, and what can be asked of it from outside.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    answer::Answer,
    place::{Place, Process, bin_dir, kill, program},
    stage::Agent,
};

/// The superuser's password.
pub(crate) const SUPERUSER: &str = "super-secret";

/// A node of a situation.
pub(crate) struct Member {
    pub(crate) name: String,
    /// Where PostgreSQL and the REST API listen.
    pub(crate) address: String,
    /// The whole `patroni.yml`, to be changed before the agent starts.
    pub(crate) file: Value,
    pub(crate) agent: Option<Process>,
    log: PathBuf,
    /// Certificate, key and authority with which the REST API is asked; `None`: without TLS.
    pub(crate) tls: Option<(String, String)>,
}

impl Member {
    /// A node as every situation has it: `loop_wait` 1 s, `ttl` 20 s, no watchdog.
    pub(crate) fn new(place: &Place, scope: &str, number: usize) -> Self {
        let (name, address) = (format!("pg{number}"), place.address(number));
        let own = |name: &str| place.path().join(name).to_string_lossy().into_owned();
        let user = |name: &str, password: &str| json!({ "username": name, "password": password });
        let network = place.network();
        let socket = place.folder(&format!("socket-{name}"));
        let file = json!({
            "scope": scope,
            "name": name,
            "restapi": { "listen": format!("{address}:8008"), "connect_address": format!("{address}:8008") },
            "etcd3": { "hosts": [place.etcd()] },
            "bootstrap": {
                "dcs": {
                    "ttl": 20, "loop_wait": 1, "retry_timeout": 3,
                    "postgresql": {
                        "use_pg_rewind": true,
                        "parameters": { "max_connections": 50, "wal_keep_size": "64MB" },
                    },
                },
                "initdb": [{ "encoding": "UTF8" }, { "locale": "C.UTF-8" }, "data-checksums"],
            },
            "postgresql": {
                "listen": format!("{address}:5432"),
                "connect_address": format!("{address}:5432"),
                "data_dir": own(&format!("data-{name}")),
                "bin_dir": bin_dir(),
                "pgpass": own(&format!("pgpass-{name}")),
                "authentication": {
                    "superuser": user("postgres", SUPERUSER),
                    "replication": user("replicator", "replication-secret"),
                    "rewind": user("rewind", "rewind-secret"),
                },
                "parameters": {
                    "unix_socket_directories": socket, "shared_buffers": "16MB", "fsync": "off",
                    "autovacuum": "off",
                    // The slot of a new standby may come a moment after the standby has first asked for WAL.
                    "wal_retrieve_retry_interval": "500ms",
                },
                "pg_hba": [
                    "local all all trust",
                    format!("host all all {network} scram-sha-256"),
                    format!("host replication all {network} scram-sha-256"),
                ],
                "basebackup": [{ "checkpoint": "fast" }],
            },
            "watchdog": { "mode": "off" },
        });
        let log = place.path().join(format!("{name}.log"));
        Self { name, address, file, agent: None, log, tls: None }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.file["postgresql"]["data_dir"].as_str().expect("it has one").into()
    }

    /// Writes the file and starts the agent.
    pub(crate) fn start(&mut self, place: &Place, agent: Agent) {
        let file = place.write(&format!("{}.yml", self.name), &self.file.to_string());
        let mut command = match agent {
            Agent::Pgdrill => {
                let mut command = place.command(&program("PGDRILL", "pgdrill"));
                command.arg("agent");
                command
            }
            Agent::Patroni => place.command(&program("PATRONI", "patroni")),
        };
        command.arg(file);
        self.agent = Some(Process::start(command, &self.log));
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The postmaster that runs, by its own file.
    pub(crate) fn postmaster(&self) -> Option<u32> {
        let file = fs::read_to_string(self.data_dir().join("postmaster.pid")).ok()?;
        let pid = file.lines().next()?.trim().parse().ok()?;
        // A file that a killed postmaster left is nobody's.
        fs::read_to_string(format!("/proc/{pid}/stat")).ok().filter(|stat| !stat.contains(") Z "))?;
        Some(pid)
    }

    /// The server's process that replays WAL.
    pub(crate) fn startup_process(&self) -> Option<u32> {
        let postmaster = self.postmaster()?;
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).ok()?;
        let mut children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        let replays =
            |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|title| title.contains("startup"));
        children.find(replays)
    }

    /// Ends PostgreSQL as a crash does, or with another signal.
    pub(crate) fn signal_postmaster(&self, signal: i32) {
        kill(self.postmaster().unwrap_or_else(|| panic!("{}: PostgreSQL does not run", self.name)), signal);
    }

    /// Asks the REST API: status and body. `None`: no answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.answer(method, path, Some(&body)).map(|answer| (answer.status, answer.body))
    }

    /// Asks the REST API with any text as the body; without one no length is announced. `None`: no answer.
    pub(crate) fn answer(&self, method: &str, path: &str, body: Option<&str>) -> Option<Answer> {
        let length = body.map(|body| format!("Content-Length: {}\r\n", body.len())).unwrap_or_default();
        let body = body.unwrap_or_default();
        let head = format!("{method} {path} HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n");
        let request = head + body;
        let text = match &self.tls {
            None => self.plain(&request)?,
            Some(tls) => self.inside_tls(&request, tls)?,
        };
        Answer::parse(&text)
    }

    fn plain(&self, request: &str) -> Option<String> {
        let mut stream = TcpStream::connect((self.address.as_str(), 8008)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        stream.write_all(request.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// With openssl's own client, which judges certificates as Patroni's does.
    fn inside_tls(&self, request: &str, (certificate, key): &(String, String)) -> Option<String> {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_quiet", "-no_ign_eof", "-connect", &format!("{}:8008", self.address)])
            .args(["-cert", certificate, "-key", key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let mut input = client.stdin.take().expect("it is piped");
        let written = input.write_all(request.as_bytes());
        let answer = client.wait_with_output().ok()?;
        drop(input);
        written.ok()?;
        Some(String::from_utf8_lossy(&answer.stdout).into_owned()).filter(|text| !text.is_empty())
    }

    /// The status of a `GET`.
    pub(crate) fn status(&self, path: &str) -> Option<u16> {
        self.ask("GET", path, &Value::Null).map(|(status, _)| status)
    }

    /// `/patroni`.
    pub(crate) fn state(&self) -> Value {
        self.ask("GET", "/patroni", &Value::Null).map(|(_, state)| state).unwrap_or_default()
    }

    /// Whether the node leads, as a primary.
    pub(crate) fn is_primary(&self) -> bool {
        self.status("/primary") == Some(200)
    }

    /// Whether a replica, or a standby leader, streams.
    pub(crate) fn is_streaming(&self) -> bool {
        let state = self.state();
        state["state"] == "running" && state["replication_state"] == "streaming"
    }

    /// What psql prints for a statement, or its complaint.
    pub(crate) fn sql(&self, statement: &str) -> Result<String, String> {
        let mut psql = Command::new(format!("{}/psql", bin_dir()));
        psql.env("PGPASSWORD", SUPERUSER).env("PGCONNECT_TIMEOUT", "3");
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", &self.address, "-U", "postgres", "-d"]);
        let done = psql.args(["postgres", "-c", statement]).output().expect("psql runs");
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned());
        }
        Err(String::from_utf8_lossy(&done.stderr).trim().to_owned())
    }

    /// As [`Self::sql`], of a statement that must succeed.
    pub(crate) fn run(&self, statement: &str) -> String {
        self.sql(statement).unwrap_or_else(|why| panic!("{}: {statement}: {why}", self.name))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.agent = None;
        for signal in [libc::SIGQUIT, libc::SIGKILL] {
            let Some(pid) = self.postmaster() else { return };
            kill(pid, signal);
            for _ in 0..50 {
                if self.postmaster().is_none() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}
