//! `pgdrill agent` as people meet it.

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command},
    thread::sleep,
    time::{Duration, Instant},
};

/// The configuration of a node whose etcd is at `etcd` and whose PostgreSQL's programs are in `folder`.
fn patroni_yml(folder: &Path, etcd: &str) -> String {
    format!(
        "scope: demo\nname: pg1\netcd3: {{ hosts: ['{etcd}', '{etcd}'] }}\n\
         restapi: {{ listen: 127.0.0.1:0, authentication: {{ username: a, password: b }} }}\n\
         postgresql:\n  listen: 127.0.0.1:5999\n  bin_dir: {0}\n  data_dir: {0}/data\n  \
         authentication: {{ superuser: {{ username: postgres }}, replication: {{ username: replicator }} }}\n",
        folder.display()
    )
    .replace("127.0.0.1:0", "127.0.0.1:5998")
}

/// Programs that only say their version.
fn play_programs(folder: &Path) {
    let text = folder.join("says-its-version");
    fs::write(&text, "#!/bin/sh\necho 'postgres (PostgreSQL) 16.14'\n").expect("it is written");
    for program in ["pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_rewind", "pg_waldump"] {
        install(&text, &folder.join(program));
    }
}

/// Puts a program there, by a process of its own. What this one has open for writing, a child of another test has, too, until it
/// runs its own program, and nobody can run the new one meanwhile ("Text file busy").
fn install(from: &Path, to: &Path) {
    let installed = Command::new("install").args(["-m", "755"]).args([from, to]).status();
    assert!(installed.expect("install runs").success(), "{} is not installed", to.display());
}

/// Exit code and what was said.
fn validate(folder: &Path, text: &str, more: &[&str]) -> (Option<i32>, String) {
    let file = folder.join("patroni.yml");
    fs::write(&file, text).expect("it is written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its owner may");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgdrill"));
    let output = command.arg("agent").arg("--validate-config").args(more).arg(&file).env("NO_COLOR", "1").output();
    let output = output.expect("it runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
    )
}

#[test]
fn a_configuration_is_checked_with_the_machine_it_is_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let etcd = listener.local_addr().expect("it is bound").to_string();
    let text = patroni_yml(folder, &etcd);
    let (code, said) = validate(folder, &text, &["-i"]);
    assert!(code == Some(1) && said.contains("pg_controldata is not there or cannot be run"), "{said}");
    play_programs(folder);
    let (code, said) = validate(folder, &text, &["-i"]);
    if said.contains("the agent runs as root") {
        assert_eq!((code, said.matches("error:").count()), (Some(1), 1), "{said}");
    } else {
        assert_eq!((code, said.contains("pg1 of demo can be used")), (Some(0), true), "{said}");
    }
    drop(listener);
    let (code, said) = validate(folder, &text, &["-i"]);
    assert!(code == Some(1) && said.contains("etcd3.hosts: found no answer from"), "{said}");
}

#[test]
fn a_wrong_configuration_is_told_from_a_machine_that_does_not_fit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = patroni_yml(folder.path(), "127.0.0.1:1").replace("data_dir", "datadir");
    let (code, said) = validate(folder.path(), &text, &[]);
    assert!(code == Some(2) && said.contains("did you mean data_dir?"), "{said}");
}

/// An agent's process on programs that only say their version, with nobody at its etcd's address. As root it runs as another
/// user, since PostgreSQL refuses root.
struct Running {
    folder: tempfile::TempDir,
    child: Child,
}

/// The user and the group `nobody` of every Linux.
const NOBODY: u32 = 65534;

impl Running {
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        play_programs(path);
        // The build's folder may be closed to the ordinary user.
        install(Path::new(env!("CARGO_BIN_EXE_pgdrill")), &path.join("pgdrill"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("its owner may");
        let log = fs::File::create(path.join("log")).expect("it is created");
        let rest = format!(":{}", free_port());
        write_for_the_agent(path, &format!("{}{more}", patroni_yml(path, "127.0.0.1:1").replace(":5998", &rest)));
        let mut command = Command::new(path.join("pgdrill"));
        command.arg("agent").arg(path.join("patroni.yml")).env("HOME", path).env("NO_COLOR", "1").stderr(log);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let child = command.spawn().expect("it starts");
        Self { folder, child }
    }

    fn file(&self) -> String {
        fs::read_to_string(self.folder.path().join("patroni.yml")).expect("it is there")
    }

    /// Writes its file anew, and tells it.
    fn change(&self, text: &str) {
        write_for_the_agent(self.folder.path(), text);
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("it runs").success());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("it is there")
    }

    /// Waits until the log says something.
    fn says(&mut self, text: &str) {
        let began = Instant::now();
        while !self.log().contains(text) {
            let ended = self.child.try_wait().expect("it is ours");
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "{ended:?}, not said: {text}\n{}", self.log());
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// For a machine that does much else at the same time.
const PATIENCE: Duration = Duration::from_secs(120);

fn is_root() -> bool {
    fs::metadata("/proc/self").expect("there is one").uid() == 0
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound").port()
}

/// Replaced as a whole, so that the agent never reads half of it.
fn write_for_the_agent(folder: &Path, text: &str) {
    let new = folder.join("patroni.yml.new");
    fs::write(&new, text).expect("it is written");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).expect("its owner may");
    if is_root() {
        chown(&new, Some(NOBODY), Some(NOBODY)).expect("root may");
    }
    fs::rename(new, folder.join("patroni.yml")).expect("it is renamed");
}

#[test]
fn an_agent_without_etcd_waits_says_so_and_touches_nothing() {
    let mut agent = Running::start("");
    agent.says("dcs: etcd cannot be reached");
    assert!(!agent.folder.path().join("data").exists(), "no cluster is made without etcd");
    agent.signal("TERM");
    assert!(agent.child.wait().expect("it is ours").success(), "{}", agent.log());
}

#[test]
fn a_changed_file_is_applied_on_sighup_and_a_broken_one_is_told() {
    let mut agent = Running::start("");
    agent.says("pg1 started");
    let first = agent.file();
    agent.change(&format!("{first}tags: {{ nosync: true }}\nwatchdog: {{ mode: off }}\n"));
    agent.says("the configuration was read again: tags applied; watchdog changes only when the agent is restarted");
    agent.change(&first.replace("data_dir", "datadir"));
    agent.says("config: ");
    agent.says("did you mean data_dir?");
    agent.says("what the agent runs with stays");
    agent.change(&format!("{first}tags: {{ nosync: true }}\nlog: {{ level: DEBUG }}\n"));
    agent.says("the configuration was read again: log.level applied");
}

/// A collector of JSON lines has no use for others: warnings about the file, what the machine lacks, and everything later.
#[test]
fn with_json_every_line_of_the_agent_is_json() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let etcd = listener.local_addr().expect("it is bound").to_string();
    let text = patroni_yml(folder, &etcd)
        + "log: { type: json, static_fields: { app: drill } }\nbootstrap: { dcs: { postgresql: { parameters: { archive_mode: 'on', \
           archive_command: /bin/true } } } }\n";
    let file = folder.join("patroni.yml");
    fs::write(&file, text).expect("it is written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its owner may");
    let output = Command::new(env!("CARGO_BIN_EXE_pgdrill")).arg("agent").arg(&file).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("archive_command") && said.contains("pg_controldata is not there"), "{said}");
    for line in said.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert!(line["asctime"].is_string() && line["message"].is_string() && line["app"] == "drill", "{line}");
    }
    assert!(said.contains(r#""levelname":"WARNING""#) && said.contains(r#""levelname":"ERROR""#), "{said}");
}
