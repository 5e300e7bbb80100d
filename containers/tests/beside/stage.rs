//! A situation while it is played: members by name, what is waited for, and what was recorded.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

use crate::{
    look,
    member::Member,
    place::{Place, program},
    plain,
};

/// For a machine that does much else at the same time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whose agent plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    Pgdrill,
    Patroni,
}

impl Agent {
    pub(crate) const BOTH: [Self; 2] = [Self::Pgdrill, Self::Patroni];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pgdrill => "pgdrill",
            Self::Patroni => "patroni",
        }
    }
}

/// A situation while it is played.
pub(crate) struct Stage {
    agent: Agent,
    // Before the place: members end before the folder that they live in.
    members: BTreeMap<String, Member>,
    pub(crate) place: Place,
    records: Map<String, Value>,
}

impl Stage {
    pub(crate) fn new(agent: Agent, dir: &Path) -> Self {
        Self { agent, members: BTreeMap::new(), place: Place::new(dir), records: Map::new() }
    }

    /// Everything that was recorded, by its label.
    pub(crate) fn into_records(self) -> Value {
        self.records.into()
    }

    /// Another member of the scope `beside`, as `change` makes its file. Not started.
    pub(crate) fn add(&mut self, number: usize, change: impl FnOnce(&mut Value)) {
        self.add_to("beside", number, change);
    }

    /// Another member of a scope.
    pub(crate) fn add_to(&mut self, scope: &str, number: usize, change: impl FnOnce(&mut Value)) {
        let mut member = Member::new(&self.place, scope, number);
        change(&mut member.file);
        self.members.insert(member.name.clone(), member);
    }

    /// `size` members, started one after the other: pg1 leads, all others stream.
    pub(crate) fn cluster(&mut self, size: usize, change: impl Fn(&mut Value)) {
        for number in 1..=size {
            self.add(number, &change);
        }
        self.start_all();
    }

    /// Starts all members in order, each when the one before it is up.
    pub(crate) fn start_all(&mut self) {
        let names: Vec<_> = self.members.keys().cloned().collect();
        for name in names {
            self.start(&name);
            self.until("it runs", |stage| {
                let member = stage.of(&name);
                member.is_primary() || member.status("/replica") == Some(200) || member.is_streaming()
            });
        }
    }

    pub(crate) fn of(&self, name: &str) -> &Member {
        self.members.get(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    pub(crate) fn of_mut(&mut self, name: &str) -> &mut Member {
        self.members.get_mut(name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Starts a member's agent.
    pub(crate) fn start(&mut self, name: &str) {
        let (place, agent) = (&self.place, self.agent);
        self.members.get_mut(name).unwrap_or_else(|| panic!("there is no {name}")).start(place, agent);
    }

    /// Ends a member's agent with a signal and waits for its end.
    pub(crate) fn end(&mut self, name: &str, signal: i32) {
        self.of(name).agent.as_ref().expect("it runs").signal(signal);
        let began = Instant::now();
        while self.of_mut(name).agent.as_mut().expect("it runs").ended().is_none() {
            assert!(began.elapsed() < PATIENCE, "{name}: the agent does not end");
            sleep(Duration::from_millis(100));
        }
        self.of_mut(name).agent = None;
    }

    /// Power loss: the agent and PostgreSQL are gone at once.
    pub(crate) fn crash(&mut self, name: &str) {
        let postmaster = self.of(name).postmaster();
        self.of(name).agent.as_ref().expect("it runs").signal(libc::SIGKILL);
        if let Some(pid) = postmaster {
            crate::place::kill(pid, libc::SIGKILL);
        }
        self.of_mut(name).agent = None;
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            if began.elapsed() > PATIENCE {
                for member in self.members() {
                    let log = member.log();
                    let lines: Vec<_> = log.lines().collect();
                    eprintln!("--- {} ---\n{}", member.name, lines[lines.len().saturating_sub(40)..].join("\n"));
                }
                panic!("not within {PATIENCE:?}: {what}");
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Waits until a member's key is gone, which its lease outlives.
    pub(crate) fn until_gone(&self, name: &str) {
        let key = format!("/service/beside/members/{name}");
        self.until(&format!("the key of {name} is gone"), |stage| {
            let found = stage.place.etcdctl(&["get", &key, "--keys-only"]);
            found.status.success() && found.stdout.trim_ascii().is_empty()
        });
    }

    /// Waits until the leader tells in the DCS how far this slot is: before that, nobody knows that the slot is to be retained.
    pub(crate) fn until_slot_is_told(&self, name: &str) {
        self.until(&format!("the slot of {name} is in /status"), |stage| {
            let found = stage.place.etcdctl(&["get", "/service/beside/status", "--print-value-only"]);
            serde_json::from_slice::<Value>(&found.stdout).is_ok_and(|status| status["slots"][name].is_number())
        });
    }

    /// Waits until this member leads.
    pub(crate) fn until_primary(&self, name: &str) {
        // `/primary` says 200 from the lock on, also while the server is still being promoted.
        self.until(&format!("{name} leads"), |stage| {
            let member = stage.of(name);
            member.is_primary() && member.sql("SELECT pg_is_in_recovery()") == Ok("f".into())
        });
    }

    /// Waits until all these members stream.
    pub(crate) fn until_streaming(&self, names: &[&str]) {
        self.until(&format!("{names:?} stream"), |stage| names.iter().all(|name| stage.of(name).is_streaming()));
    }

    /// A request with its answer, which is recorded.
    pub(crate) fn request(&mut self, label: &str, name: &str, call: &str, body: &Value) {
        let (method, path) = call.split_once(' ').expect("a method and a path");
        let answer = self.of(name).ask(method, path, body);
        let told = answer.map_or(Value::Null, |(status, body)| serde_json::json!({ "status": status, "body": body }));
        let told = plain::plain(self, told);
        self.records.insert(label.to_owned(), told);
    }

    /// What a program of the field answers to the same words: `patronictl` and, beside it, `pgdrill ctl`.
    pub(crate) fn ctl(&self, words: &[&str]) -> [String; 2] {
        let config = self.place.path().join("ctl.yml");
        let file = format!("{{scope: beside, etcd3: {{hosts: [\"{}\"]}}}}", self.place.etcd());
        std::fs::write(&config, file).expect("it is written");
        let say = |command: &mut Command| {
            let done = command.arg("-c").arg(&config).args(words).output().expect("it runs");
            format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
        };
        [
            say(&mut Command::new(program("PATRONICTL", "patronictl"))),
            say(Command::new(program("PGDRILL", "pgdrill")).arg("ctl")),
        ]
    }

    /// Records something that a situation has found by itself.
    pub(crate) fn note(&mut self, label: &str, value: Value) {
        let value = plain::plain(self, value);
        self.records.insert(label.to_owned(), value);
    }

    /// Looks at the DCS alone, at once: what goes with a lease is soon gone.
    pub(crate) fn record_keys(&mut self, label: &str) {
        let keys = look::dcs(self);
        self.note(label, keys);
    }

    /// Looks at everything, once nothing changes any more.
    pub(crate) fn record(&mut self, label: &str) {
        let seen = look::settled(self);
        self.records.insert(label.to_owned(), seen);
    }
}

impl Stage {
    /// What is not a member of the cluster is not looked at.
    pub(crate) fn forget(&mut self, name: &str) {
        self.members.remove(name);
    }

    /// Waits for the end of an agent: its exit code.
    pub(crate) fn ended(&mut self, name: &str) -> Option<i32> {
        let began = Instant::now();
        loop {
            if let Some(code) = self.of_mut(name).agent.as_mut().expect("it was started").ended() {
                return code;
            }
            assert!(began.elapsed() < PATIENCE, "{name}: the agent does not end");
            sleep(Duration::from_millis(100));
        }
    }
}
