//! Expectations that contradict each other or the timeline: no run could meet them.

use pgdrill_settings::value::switch;

use super::wrong;
use crate::scenario::{
    Action, Cluster, End, Link, Process, Scenario, Selector, Step,
    quantity::Span,
    read::{Node, Reader},
};

pub(super) fn check(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    bounds(reader, root, scenario);
    shows(reader, root, scenario);
    end(reader, root, scenario);
}

fn bounds(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    let expect = &scenario.expect;
    let writes = scenario.workload.writers > 0;
    for (field, given) in [("outage", expect.outage.is_some()), ("lost_writes", expect.lost_writes.is_some())] {
        if given && !writes {
            wrong(reader, root, &format!("expect.{field}"), "a workload without writers", "writers of at least 1")
                .help = "without writes nobody can say how long they failed or how many are lost".into();
        }
    }
    if let Some(outage) = expect.outage {
        for (field, bound) in [("min", outage.min), ("max", outage.max)] {
            if let Some(bound) = bound.filter(|bound| *bound > scenario.duration) {
                let expected = format!("within the duration of {}", scenario.duration);
                wrong(reader, root, &format!("expect.outage.{field}"), bound.to_string(), expected).help =
                    "no outage can be longer than the scenario".into();
            }
        }
    }
    let possible = (scenario.workload.rate.per_second * scenario.duration.0.as_secs_f64()).ceil();
    if let Some(min) = expect.lost_writes.and_then(|bounds| bounds.min).filter(|min| *min as f64 > possible) {
        let expected = format!("at most the {possible} writes that are sent in all");
        wrong(reader, root, "expect.lost_writes", min.to_string(), expected);
    }
}

fn shows(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    let expect = &scenario.expect;
    for (n, code) in expect.shows.iter().enumerate() {
        let path = format!("expect.shows[{n}]");
        let no_loss = expect.lost_writes.and_then(|bounds| bounds.max) == Some(0);
        if no_loss && matches!(code.as_str(), "lost_writes" | "loss_beyond_bound") {
            wrong(reader, root, &path, format!("{code} beside lost_writes of at most 0"), "one or the other");
        }
        let one_leader = expect.leader_changes.and_then(|bounds| bounds.max) == Some(0);
        if one_leader && code == "two_writers" {
            wrong(
                reader,
                root,
                &path,
                "two_writers beside leader_changes of 0",
                "a change of leader: two writers are two leaders",
            );
        }
        if expect.end == Some(End::Healthy) && code == "not_recovered" {
            wrong(reader, root, &path, "not_recovered beside an end that is healthy", "one or the other");
        }
    }
}

fn end(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    let Some(end) = scenario.expect.end else { return };
    let paused = ends_paused(scenario);
    match end {
        End::Paused if !paused => {
            wrong(reader, root, "expect.end", "paused", "a `pause: cluster` that no `resume: cluster` follows");
        }
        End::Healthy | End::Writable if paused => {
            wrong(
                reader,
                root,
                "expect.end",
                "maintenance mode at the end",
                "paused, or a `resume: cluster` in the timeline",
            );
        }
        _ => {}
    }
    if matches!(end, End::Healthy | End::Paused) {
        for (n, step) in scenario.timeline.iter().enumerate() {
            if keeps_a_node_out(step, &scenario.cluster) && !is_undone(step, &scenario.timeline[n + 1..]) {
                let found = format!(
                    "{} (line {}) that nothing undoes",
                    step.action,
                    root.locate(&format!("timeline[{n}]")).place.line
                );
                let expected = "a node that comes back, or end: writable";
                wrong(reader, root, "expect.end", found, expected).help =
                    "healthy means that every node streams from the leader at the end".into();
            }
        }
    }
}

fn ends_paused(scenario: &Scenario) -> bool {
    scenario.timeline.iter().fold(scenario.cluster.patroni.pause, |paused, step| match &step.action {
        Action::Pause(_) => step.duration.is_none(),
        Action::Resume(_) => false,
        Action::EditConfig(patch) => patch.get("pause").map_or(paused, |value| switch(value) == Some(true)),
        _ => paused,
    })
}

/// Whether a fault keeps a PostgreSQL node from streaming or leading for as long as it lasts, for certain.
fn keeps_a_node_out(step: &Step, cluster: &Cluster) -> bool {
    let all = cluster.node_names();
    let nodes = |on: &Selector| {
        on.parts().iter().any(|part| match part {
            Selector::Leader | Selector::Replicas | Selector::AnyReplica | Selector::Nodes => true,
            Selector::AnyCandidate | Selector::SyncStandby | Selector::Everything => true,
            Selector::Host(name) => all.contains(&cluster.etcd_host(name).unwrap_or_else(|| name.clone())),
            Selector::Etcd => cluster.etcd_hosts().iter().any(|host| all.contains(host)),
            // With a witness it may be the one member that is on no node.
            Selector::EtcdLeader | Selector::EtcdFollowers | Selector::Majority | Selector::Minority => {
                cluster.etcd_hosts().iter().all(|host| all.contains(host))
            }
            _ => false,
        })
    };
    if step.duration.is_some() {
        return false;
    }
    match &step.action {
        Action::PowerOff(on) => nodes(on),
        Action::Freeze(spec) => !matches!(spec.process, Some(Process::Agent | Process::Deadman)) && nodes(&spec.on),
        Action::Kill(spec) | Action::Stop(spec) => spec.process == Process::Agent && nodes(&spec.on),
        Action::Cut(Link::Isolate { isolate, .. }) => nodes(isolate),
        _ => false,
    }
}

/// Whether some later line undoes this kind of fault; of whom is decided when it is played.
fn is_undone(step: &Step, later: &[Step]) -> bool {
    later.iter().any(|later| match (&step.action, &later.action) {
        (Action::Kill(spec) | Action::Stop(spec), Action::Start(start)) => spec.process == start.process,
        (Action::Kill(_) | Action::Stop(_) | Action::Freeze(_), Action::PowerOn(_)) => true,
        (Action::PowerOff(_), Action::PowerOn(_)) | (Action::Freeze(_), Action::Thaw(_)) => true,
        (Action::Cut(_), Action::Heal(_)) => true,
        _ => false,
    }) || step.duration.unwrap_or(Span::ZERO) > Span::ZERO
}
