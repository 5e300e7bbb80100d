//! pgdrill's agent beside the real Patroni: both play the same situations with the same `patroni.yml`, and everything that can
//! be seen from outside (keys of the DCS, REST documents and checks, metrics, what PostgreSQL itself tells, its files, what
//! `patronictl` and `pgdrill ctl` print) is compared field by field. Differences on purpose stand in `differences.txt`, each
//! with its reason; every other one fails, and so does a line of that list that covers nothing any more.
//!
//! Asked for by `PGDRILL_DOCKER=1`; needs the images of `pgdrill images build`. Each agent plays in a container of its own, in
//! which this program starts everything: etcd, agents, PostgreSQL. `PGDRILL_POSTGRESQL` names another major version than 16.
//! `PGDRILL_BESIDE=short` leaves out all but the situations that show most.
//! Or by `PGDRILL_BESIDE_DIR`, a folder: without containers, on this machine, where what has failed is kept (see `machine.rs`).

mod answer;
mod containers;
mod difference;
mod look;
mod machine;
mod member;
mod place;
mod plain;
mod situations;
mod stage;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use difference::{Difference, Purpose, between, purposes};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use situations::Situation;
use stage::{Agent, Stage};

/// What asks for these tests.
const ASKED: &str = "PGDRILL_DOCKER";

/// Asks for them, too: the folder in which they are played on this machine.
const ON_THIS_MACHINE: &str = "PGDRILL_BESIDE_DIR";

/// `short`: only the situations that show most.
const WHICH: &str = "PGDRILL_BESIDE";

/// Differences on purpose.
const ON_PURPOSE: &str = include_str!("differences.txt");

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, agent, name, dir] = words.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
        && *first == "situation"
    {
        return play(agent, name, dir);
    }
    let mut arguments = Arguments::from_args();
    // Each test has two clusters at work.
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let here = std::env::var_os(ON_THIS_MACHINE).map(PathBuf::from);
    let asked = here.is_some() || std::env::var(ASKED).is_ok_and(|value| value == "1");
    if !asked && !arguments.list {
        eprintln!("a comparison with the real Patroni was not asked for: {ASKED}=1 asks for it");
    }
    let known = Arc::new(Known { purposes: purposes(ON_PURPOSE), used: Mutex::default() });
    let mut trials: Vec<Trial> = difference::trials();
    let short = std::env::var(WHICH).is_ok_and(|which| which == "short");
    for situation in situations::all().into_iter().filter(|situation| situation.is_short || !short) {
        let (known, here) = (Arc::clone(&known), here.clone());
        let body = move || match &here {
            Some(dir) => {
                let dir = machine::folder(situation, dir);
                compare(situation, &machine::play(situation, &dir)?, &known)?;
                std::fs::remove_dir_all(dir).map_err(Failed::from)
            }
            None => compare(situation, &containers::play(situation)?, &known).map_err(Failed::from),
        };
        trials.push(Trial::test(situation.name, body).with_ignored_flag(!asked));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let all = asked && !short && conclusion.num_filtered_out == 0 && conclusion.num_failed == 0 && !arguments.list;
    if let Some(stale) = all.then(|| known.stale()).filter(|stale| !stale.is_empty()) {
        eprintln!("differences.txt covers what does not differ any more:\n{}", stale.join("\n"));
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Inside a container: plays one situation and prints what was recorded.
fn play(agent: &str, name: &str, dir: &str) -> ExitCode {
    let agent = Agent::BOTH.into_iter().find(|known| known.name() == agent).expect("an agent");
    let situation = situations::all().into_iter().find(|known| known.name == name).expect("a situation");
    let mut stage = Stage::new(agent, dir.as_ref());
    (situation.play)(&mut stage);
    println!("{}", stage.into_records());
    ExitCode::SUCCESS
}

/// The list, and which of its lines were needed.
struct Known {
    purposes: Vec<Purpose>,
    used: Mutex<BTreeSet<usize>>,
}

impl Known {
    /// Whether a difference is on purpose.
    fn covers(&self, situation: &str, difference: &Difference) -> bool {
        let found = self.purposes.iter().position(|purpose| purpose.covers(situation, difference));
        if let Some(number) = found {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        }
        found.is_some()
    }

    /// Lines that covered nothing.
    fn stale(&self) -> Vec<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = self.purposes.iter().enumerate().filter(|(number, _)| !used.contains(number));
        unused.map(|(_, purpose)| format!("  {} ({})", purpose.place, purpose.why.trim())).collect()
    }
}

/// Compares what both agents have recorded of a situation.
fn compare(situation: Situation, [ours, theirs]: &[Value; 2], known: &Known) -> Result<(), String> {
    let mut found = Vec::new();
    for difference in between(ours, theirs) {
        if !known.covers(situation.name, &difference) {
            found.push(difference.to_string());
        }
    }
    for (agent, records) in [("pgdrill", ours), ("Patroni", theirs)] {
        for (label, record) in records.as_object().into_iter().flatten() {
            let said = |program: &str| record.get(program).cloned().unwrap_or(Value::Null);
            for difference in between(&said("pgdrill ctl"), &said("patronictl")) {
                found.push(format!("{label}, of {agent}'s cluster: pgdrill ctl and patronictl: {difference}"));
            }
        }
    }
    if found.is_empty() { Ok(()) } else { Err(format!("{} differences\n  {}", found.len(), found.join("\n  "))) }
}
