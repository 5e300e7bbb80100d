//! Looks at the processes of its container and says which of the scenario's kinds begin and end: one JSON line each on
//! standard output. Reading `/proc` from inside sees an end within a tenth of a second, at no cost to the daemon.

use std::{collections::BTreeMap, fs, io::Write, thread::sleep, time::Duration};

use pgdrill_lab::scenario::Process;
use serde::{Deserialize, Serialize};

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(100);

/// A process began or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What it is.
    pub process: Process,
    /// Its id in the container.
    pub pid: u32,
    /// Whether it runs now.
    pub runs: bool,
}

/// Looks for ever, until nobody reads any more.
///
/// # Errors
/// When standard output is closed or `/proc` cannot be read.
pub fn watch() -> std::io::Result<()> {
    let mut known = BTreeMap::new();
    let mut strangers = BTreeMap::new();
    let mut out = std::io::stdout().lock();
    loop {
        for change in changes(&mut known, &look(&mut strangers)?) {
            let line = serde_json::to_string(&change).map_err(std::io::Error::other)?;
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        sleep(PERIOD);
    }
}

/// How often a new process is looked at: a shell on its way to another program is that program soon. After that, whoever is
/// of no kind stays so; most are PostgreSQL's backends, and looking at them all would cost more than all else here.
const LOOKS: u32 = 20;

/// The processes of the scenario's kinds that run now, by id. `strangers`: how often those of no kind were looked at.
fn look(strangers: &mut BTreeMap<u32, u32>) -> std::io::Result<BTreeMap<u32, Process>> {
    let (mut found, mut others) = (BTreeMap::new(), BTreeMap::new());
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let looks = strangers.get(&pid).copied().unwrap_or(0);
        if looks >= LOOKS {
            others.insert(pid, looks);
            continue;
        }
        // A process that ends while one looks at it is one that has ended.
        let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let words: Vec<String> =
            command.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        match kind(&words) {
            Some(process) => drop(found.insert(pid, process)),
            None => drop(others.insert(pid, looks + 1)),
        }
    }
    // A number that is free is forgotten, and looked at anew when it is somebody else's.
    *strangers = others;
    Ok(found)
}

/// What a command line is. Workers of PostgreSQL name themselves `postgres: ...`; `postgres --single`, `--boot` and `-C` are no
/// servers.
fn kind(words: &[String]) -> Option<Process> {
    let program = words.first()?.rsplit('/').next()?;
    let has = |word: &str| words.iter().any(|w| w == word);
    match program {
        "etcd" => Some(Process::Etcd),
        "haproxy" => Some(Process::Haproxy),
        "postgres" if has("-D") && !["--single", "--boot", "--check", "-C"].iter().any(|w| has(w)) => {
            Some(Process::Postgres)
        }
        "pgdrill" if words.get(1..3).is_some_and(|words| words == ["internal", "deadman"]) => Some(Process::Deadman),
        "pgdrill" if words.get(1).is_some_and(|word| word == "agent") => Some(Process::Agent),
        _ if program.starts_with("python") && words.iter().take(3).any(|w| w.ends_with("/patroni")) => {
            Some(Process::Agent)
        }
        _ => None,
    }
}

/// What differs from what was known. While the main process of a kind lives, copies of it (a fork on its way to another
/// program) are not looked at.
fn changes(known: &mut BTreeMap<Process, u32>, now: &BTreeMap<u32, Process>) -> Vec<Change> {
    let mut changes = vec![];
    known.retain(|process, pid| {
        let runs = now.get(pid) == Some(process);
        if !runs {
            changes.push(Change { process: *process, pid: *pid, runs: false });
        }
        runs
    });
    for (pid, process) in now {
        if !known.contains_key(process) {
            known.insert(*process, *pid);
            changes.push(Change { process: *process, pid: *pid, runs: true });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(command: &str) -> Option<Process> {
        kind(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn processes_are_told_by_their_command_lines() {
        for (command, expected) in [
            ("etcd --name etcd1", Some(Process::Etcd)),
            ("/usr/sbin/haproxy -db -f /etc/pgdrill/haproxy.cfg", Some(Process::Haproxy)),
            ("/usr/local/bin/pgdrill agent /etc/pgdrill/patroni.yml", Some(Process::Agent)),
            ("/usr/local/bin/pgdrill internal deadman /var/lib/postgresql/data/pg", Some(Process::Deadman)),
            ("/usr/local/bin/pgdrill internal processes", None),
            ("/usr/local/bin/pgdrill internal processes", None),
            ("/usr/bin/python3 /usr/local/bin/patroni /etc/pgdrill/patroni.yml", Some(Process::Agent)),
            ("/usr/bin/python3 /usr/local/bin/patronictl list", None),
            ("/usr/lib/postgresql/16/bin/postgres -D /var/lib/postgresql/data/pg --port=5432", Some(Process::Postgres)),
            ("/usr/lib/postgresql/16/bin/postgres --single -D /var/lib/postgresql/data/pg", None),
            ("/usr/lib/postgresql/16/bin/postgres -D /pg -C restore_command", None),
            ("postgres: drill: walwriter", None),
            ("sh -c exec etcd", None),
            ("", None),
        ] {
            assert_eq!(kind_of(command), expected, "{command}");
        }
    }

    #[test]
    fn a_process_that_is_replaced_ends_and_begins_and_its_copies_are_nobody() {
        let mut known = BTreeMap::new();
        let told = |known: &mut BTreeMap<_, _>, now: &[(u32, Process)]| -> Vec<(u32, bool)> {
            changes(known, &now.iter().copied().collect()).iter().map(|c| (c.pid, c.runs)).collect()
        };
        assert_eq!(told(&mut known, &[(5, Process::Agent), (9, Process::Agent)]), [(5, true)]);
        assert_eq!(told(&mut known, &[(5, Process::Agent)]), []);
        assert_eq!(told(&mut known, &[(12, Process::Agent)]), [(5, false), (12, true)]);
        assert_eq!(told(&mut known, &[]), [(12, false)]);
    }
}
