//! What of a scenario containers cannot do, each with the reason: said before anything is started, never found out by trying.

use std::collections::BTreeSet;

use pgdrill_lab::scenario::{Action, HostKind, Process, Scenario};

use crate::cluster::Agent;

/// Whether the scenario needs the fault shim in its nodes' processes. Other scenarios are played without it.
#[must_use]
pub fn wants_shim(scenario: &Scenario) -> bool {
    let by_shim = |action: &Action| matches!(action, Action::ClockStep { .. } | Action::SlowFsync { .. });
    scenario.timeline.iter().any(|step| by_shim(&step.action))
}

/// What cannot be done, one sentence each. The agent makes no difference: what is done is done from outside.
#[must_use]
pub fn cannot(scenario: &Scenario, _: Agent) -> Vec<String> {
    let lines = scenario.timeline.iter().enumerate();
    let found: BTreeSet<String> = lines
        .filter_map(|(line, step)| {
            let why = why_not(&step.action, &scenario.kinds_of_targets(line))?;
            Some(format!("`{}`: {why}", step.action))
        })
        .collect();
    found.into_iter().collect()
}

fn why_not(action: &Action, targets: &BTreeSet<HostKind>) -> Option<&'static str> {
    let other_than_node = targets.iter().any(|kind| *kind != HostKind::Node);
    match action {
        Action::ClockDrift { .. } => Some(
            "containers share the monotonic clock of their machine; only in the simulator can a clock run fast or slow",
        ),
        Action::ClockStep { .. } if other_than_node => Some(
            "only the wall clocks of PostgreSQL nodes can be stepped: etcd is a static program that reads the machine's \
             own clock",
        ),
        Action::SlowFsync { .. } if other_than_node => Some(
            "only on PostgreSQL nodes can fsync be made slow: etcd is a static program that calls the kernel itself",
        ),
        Action::Start(spec) if spec.process == Process::Postgres => Some("PostgreSQL is its agent's to start"),
        Action::Start(spec) if spec.process == Process::Deadman => Some("the dead-man process is its agent's to start"),
        Action::Freeze(spec) | Action::Thaw(spec) if spec.process.is_none() && targets.contains(&HostKind::Client) => {
            Some("the clients share one container; cut them off instead")
        }
        Action::PowerOff(_) | Action::PowerOn(_) if targets.contains(&HostKind::Client) => {
            Some("the clients share one container; cut them off instead")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use pgdrill_lab::scenario::load_text;

    use super::*;

    fn of(timeline: &str) -> Vec<String> {
        let text = format!("name: x\nabout: Something.\nduration: 100s\ntimeline:\n{timeline}");
        let scenario = load_text(Path::new("x.yaml"), &text).expect("it is a scenario").scenario;
        cannot(&scenario, Agent::Pgdrill)
    }

    #[test]
    fn a_clock_can_be_stepped_on_nodes_and_nowhere_else() {
        assert!(of("  - { at: 1s, clock_step: { on: leader, by: -5m } }\n").is_empty());
        let why = of("  - { at: 1s, clock_step: { on: leader + etcd1, by: -5m } }\n");
        assert!(why[0].contains("static program"), "{why:?}");
    }

    #[test]
    fn a_drift_is_for_the_simulator() {
        let why = of("  - { at: 1s, clock_drift: { on: leader, rate: 0.9 } }\n");
        assert!(why[0].starts_with("`run clock of leader at "), "{why:?}");
    }

    #[test]
    fn a_label_is_followed_to_what_it_named() {
        let cut = "  - { at: 1s, cut: { isolate: client1 }, as: gone }\n";
        assert!(!of(&format!("{cut}  - {{ at: 2s, power_off: gone }}\n")).is_empty());
        assert!(of("  - { at: 1s, power_off: leader, as: gone }\n  - { at: 2s, power_on: gone }\n").is_empty());
    }
}
