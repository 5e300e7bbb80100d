//! What of a scenario containers cannot do, each with the reason: said before anything is started, never found out by trying.

use std::collections::BTreeSet;

use pgdrill_lab::scenario::{Action, Fencing, HostKind, Process, Scenario};

use crate::cluster::Agent;

/// What cannot be done, one sentence each. What is done is done from outside, so the agent makes a difference only where the
/// scenario speaks of what only one of them has: the dead-man process.
#[must_use]
pub fn cannot(scenario: &Scenario, agent: Agent) -> Vec<String> {
    let lines = scenario.timeline.iter().enumerate();
    let found: BTreeSet<String> = lines
        .filter_map(|(line, step)| {
            let missing = (agent == Agent::Patroni && process_of(&step.action) == Some(Process::Deadman))
                .then_some("Patroni has no dead-man process");
            let why = missing.or_else(|| why_not(&step.action, &kinds_of_targets(scenario, line)))?;
            Some(format!("`{}`: {why}", step.action))
        })
        .collect();
    let unfenced = (agent == Agent::Patroni && scenario.cluster.fencing_mode() == Fencing::Required).then(|| {
        "`fencing: required`: Patroni has no dead-man process; `automatic` is played, and shows what Patroni does without one"
            .to_owned()
    });
    unfenced.into_iter().chain(found).collect()
}

/// The one process that an action is done to.
const fn process_of(action: &Action) -> Option<Process> {
    match action {
        Action::Kill(spec) | Action::Stop(spec) => Some(spec.process),
        Action::Start(spec) => Some(spec.process),
        Action::Freeze(spec) | Action::Thaw(spec) => spec.process,
        _ => None,
    }
}

/// What the hosts can be that a line is about. A node with an etcd member on it is a node here: what is done to its clock or its
/// disk is done to PostgreSQL's processes, and etcd has a disk of its own.
fn kinds_of_targets(scenario: &Scenario, line: usize) -> BTreeSet<HostKind> {
    let mut kinds = scenario.kinds_of_targets(line);
    let nodes = scenario.cluster.node_names();
    if kinds.contains(&HostKind::Node) && scenario.cluster.etcd_hosts().iter().all(|host| nodes.contains(host)) {
        kinds.remove(&HostKind::Etcd);
    }
    kinds
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
        Action::DnsFail { .. } => Some(
            "the hosts in containers know each other by address and look up no name; only in the simulator can that fail",
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
        with(Agent::Pgdrill, "", timeline)
    }

    fn with(agent: Agent, cluster: &str, timeline: &str) -> Vec<String> {
        let text = format!("name: x\nabout: Something.\nduration: 100s\n{cluster}timeline:\n{timeline}");
        let scenario = load_text(Path::new("x.yaml"), &text).expect("it is a scenario").scenario;
        cannot(&scenario, agent)
    }

    #[test]
    fn a_clock_can_be_stepped_on_nodes_and_nowhere_else() {
        assert!(of("  - { at: 1s, clock_step: { on: leader, by: -5m } }\n").is_empty());
        let why = of("  - { at: 1s, clock_step: { on: leader + etcd1, by: -5m } }\n");
        assert!(why[0].contains("static program"), "{why:?}");
    }

    #[test]
    fn a_node_with_an_etcd_member_on_it_is_a_node() {
        let step = "  - { at: 1s, clock_step: { on: leader, by: -5m } }\n";
        assert!(with(Agent::Pgdrill, "cluster: { etcd: { on: nodes } }\n", step).is_empty());
        let witness = "  - { at: 1s, clock_step: { on: etcd3, by: -5m } }\n";
        assert!(!with(Agent::Pgdrill, "cluster: { nodes: 2, etcd: { on: nodes } }\n", witness).is_empty());
    }

    #[test]
    fn a_drift_is_for_the_simulator() {
        let why = of("  - { at: 1s, clock_drift: { on: leader, rate: 0.9 } }\n");
        assert!(why[0].starts_with("`run clock of leader at "), "{why:?}");
    }

    #[test]
    fn names_that_nobody_looks_up_cannot_fail() {
        let why = of("  - { at: 1s, dns_fail: nodes, for: 5s }\n");
        assert!(why.len() == 1 && why[0].contains("look up no name"), "{why:?}");
    }

    #[test]
    fn patroni_has_no_dead_man_process_to_do_anything_to_or_to_rely_on() {
        let kill = "  - { at: 1s, kill: { process: deadman, on: leader } }\n";
        let thaw = "  - { at: 1s, freeze: { process: deadman, on: nodes }, for: 5s }\n";
        for timeline in [kill, thaw] {
            assert!(of(timeline).is_empty(), "{timeline}");
            let why = with(Agent::Patroni, "", timeline);
            assert!(why.len() == 1 && why[0].ends_with("Patroni has no dead-man process"), "{why:?}");
        }
        let (required, agent) = ("cluster: { fencing: required }\n", "  - { at: 1s, freeze: leader, for: 5s }\n");
        assert!(with(Agent::Pgdrill, required, agent).is_empty());
        assert!(with(Agent::Patroni, required, agent)[0].starts_with("`fencing: required`: "));
        assert!(with(Agent::Patroni, "", agent).is_empty());
    }

    #[test]
    fn a_label_is_followed_to_what_it_named() {
        let cut = "  - { at: 1s, cut: { isolate: client1 }, as: gone }\n";
        assert!(!of(&format!("{cut}  - {{ at: 2s, power_off: gone }}\n")).is_empty());
        assert!(of("  - { at: 1s, power_off: leader, as: gone }\n  - { at: 2s, power_on: gone }\n").is_empty());
    }
}
