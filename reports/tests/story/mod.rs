//! A failover told by hand, for snapshots: pg1 loses its host at 40 s, pg2 takes over, pg1 comes back as a replica.

#![allow(dead_code, reason = "every test file uses its own part of the story")]

use std::time::Duration;

use pgdrill_lab::{
    event::{Action, At, Event, FaultPhase, Outcome, ProcessState, SqlState, What},
    figures::{Measured, Outage},
    oracle::{Broken, Violation},
    verdict::{Judgement, Verdict},
};
use pgdrill_reports::{Ending, Reproduce, Run};

const KILLED: u64 = 40;
const LOCK_GONE: u64 = 66;
const PROMOTED: u64 = 68;
const BACK: u64 = 100;
const END: u64 = 130;

/// The events of a failover among `nodes` nodes, 2 at least.
pub fn failover(nodes: usize) -> Vec<Event> {
    let mut story = Story::default();
    for second in 0..=END {
        story.lab(second, nodes);
        story.agents(second);
        story.probes(second, nodes);
        story.client(second);
    }
    story.events
}

#[derive(Default)]
struct Story {
    events: Vec<Event>,
    op: u64,
}

impl Story {
    fn add(&mut self, at: At, node: &str, what: What) {
        let ordinal = self.events.len() as u64;
        self.events.push(Event { at, ordinal, node: node.to_owned(), what });
    }

    fn fault(&mut self, second: u64, index: usize, text: &str, phase: FaultPhase) {
        let what = What::Fault { index, text: text.into(), phase, targets: vec!["pg1".into()] };
        self.add(At::from_secs(second), "lab", what);
    }

    fn process(&mut self, second: u64, process: &str, state: ProcessState, detail: &str) {
        let what = What::Process { process: process.into(), state, detail: detail.into() };
        self.add(At::from_secs(second), "pg1", what);
    }

    fn lab(&mut self, second: u64, nodes: usize) {
        match second {
            20 => self.fault(second, 0, "delay pg1 -> pg2 by 50ms", FaultPhase::Applied),
            21 => {
                self.fault(second, 0, "delay pg1 -> pg2", FaultPhase::Verified { evidence: "31 packets late".into() })
            }
            35 => self.fault(second, 0, "delay pg1 -> pg2 by 50ms", FaultPhase::Ended),
            KILLED => {
                self.fault(second, 1, "power off leader (pg1)", FaultPhase::Applied);
                self.process(second, "agent", ProcessState::Killed, "power loss");
                self.process(second, "postgres", ProcessState::Killed, "power loss");
            }
            BACK => {
                self.fault(second, 2, "start pg1", FaultPhase::Applied);
                self.process(second, "agent", ProcessState::Started, "");
                self.process(second, "postgres", ProcessState::Started, "");
            }
            END => self.add(At::from_secs(second), "lab", What::Note { text: format!("{nodes} nodes settled") }),
            _ => {}
        }
    }

    fn agents(&mut self, second: u64) {
        let leader = |value: Option<&str>, mod_revision| What::Dcs {
            key: "leader".into(),
            value: value.map(Into::into),
            mod_revision,
            lease: 0x51,
        };
        let decision = |reason: &str, actions: &[&str]| What::Decision {
            reason: reason.into(),
            actions: actions.iter().map(|a| (*a).to_owned()).collect(),
        };
        let at = At::from_secs(second);
        match second {
            2 => self.add(at, "etcd1", leader(Some("pg1"), 4)),
            3 => self.members(at),
            10 | 20 | 30 => self.add(at, "pg1", decision("no action. I am (pg1), the leader with the lock", &[])),
            LOCK_GONE => self.add(at, "etcd1", leader(None, 31)),
            67 => {
                let reason = "promoted self to leader by acquiring session lock";
                self.add(at, "pg2", decision(reason, &["acquire the leader lock", "promote"]));
                self.add(at, "etcd1", leader(Some("pg2"), 32));
            }
            _ => {}
        }
    }

    /// pg1 and pg2 are streamed from by their addresses, as real nodes are.
    fn members(&mut self, at: At) {
        for number in 1..=2 {
            let value = format!(r#"{{"conn_url":"postgres://{}:5432/postgres","role":"replica"}}"#, address(number));
            let key = format!("members/pg{number}");
            let revision = 4 + number as i64;
            self.add(at, "etcd1", What::Dcs { key, value: Some(value), mod_revision: revision, lease: 0x52 });
        }
    }

    fn probes(&mut self, second: u64, nodes: usize) {
        for number in 1..=nodes {
            let leader = if second >= PROMOTED { 2 } else { 1 };
            let down = number == 1 && (KILLED..BACK + 3).contains(&second);
            let state = (!down).then(|| SqlState {
                in_recovery: number != leader,
                timeline: leader as u32,
                lsn: 0x300_0000 + second * 0x148,
                replayed_lsn: None,
                streaming_from: (number != leader && !(KILLED + 1..PROMOTED + 2).contains(&second))
                    .then(|| address(leader)),
                standbys: Vec::new(),
                synchronous_standby_names: String::new(),
                history: Vec::new(),
            });
            let error = down.then(|| "connection timed out".to_owned());
            let what = What::Sql { state, asked_at: At::from_secs(second), error };
            self.add(At::from_ms(second * 1000 + 10 * number as u64), &format!("pg{number}"), what);
        }
    }

    /// Five writes a second while there is a primary; one try every 2 seconds while there is none.
    fn client(&mut self, second: u64) {
        let works = (5..KILLED).contains(&second) || second >= PROMOTED + 2;
        let writes: &[u64] = match (works, second % 2) {
            (true, _) => &[0, 200, 400, 600, 790],
            (false, 0) if second > KILLED => &[300],
            _ => &[],
        };
        for ms in writes {
            self.op += 1;
            let op = self.op;
            let at = second * 1000 + 110 + ms;
            self.add(At::from_ms(at), "client1", What::Invoke { op, action: Action::Write { id: op, key: 3 } });
            let (outcome, server) = if works {
                let server = if second < KILLED { "pg1" } else { "pg2" };
                (Outcome::Acknowledged { value: None }, Some(server.to_owned()))
            } else if second == KILLED + 2 {
                (Outcome::Unknown { why: "no answer within 5 s".into() }, None)
            } else {
                (Outcome::Refused { why: "connection refused".into() }, None)
            };
            self.add(At::from_ms(at + 5), "client1", What::Return { op, outcome, server });
        }
    }
}

/// The address of a node.
fn address(number: usize) -> String {
    format!("198.18.0.{}", 10 + number)
}

/// The outage of the story.
pub fn outage() -> Outage {
    Outage { from: At::from_ms(39_905), to: At::from_ms(70_115), over: true }
}

/// A judged run.
pub fn run(scenario: &str, seed: u64, verdict: Verdict, outage_ms: u64) -> Run {
    let measured = Measured {
        outage_ms: Some(outage_ms),
        outages: vec![outage()],
        lost_rows: Some(seed % 3),
        leader_changes: 1,
        acknowledged_writes: 480,
        ..Measured::default()
    };
    let violations = if verdict == Verdict::Fail { violations(outage_ms) } else { Vec::new() };
    let reason = match violations.first() {
        Some(first) => first.to_string(),
        None if verdict == Verdict::Pass => "every rule held".to_owned(),
        None => "vacuity: fault 2 hit no packet".to_owned(),
    };
    let ending = Ending::Judged(Judgement { verdict, reason, violations, shown: vec![], results: vec![], measured });
    bare(scenario, seed, ending)
}

/// A run that ended some other way.
pub fn bare(scenario: &str, seed: u64, ending: Ending) -> Run {
    Run {
        scenario: scenario.to_owned(),
        seed,
        reproduce: Reproduce::new(format!("scenarios/{scenario}.yaml"), seed),
        ending,
        events: failover(3),
        played: Duration::from_secs(130),
        took: Duration::from_millis(125),
        trace_hash: Some(0xfeed),
        because: None,
    }
}

fn violations(outage_ms: u64) -> Vec<Violation> {
    let events = failover(3);
    // The evidence: the first failed and the first acknowledged write around the outage.
    let shown = |at: At| events.iter().find(|e| e.node == "client1" && e.at == at).map(|e| e.ordinal);
    let ordinals = [At::from_ms(42_415), At::from_ms(70_115)].into_iter().filter_map(shown).collect();
    let broken = Broken::OutageOverBudget { outage_ms, max_ms: 20_000 };
    let further = Broken::OperatorNotRefused { text: "start pg1".into() };
    vec![
        Violation { at: At::from_ms(70_115), ordinals, broken },
        Violation { at: At::from_secs(130), ordinals: vec![], broken: further },
    ]
}
