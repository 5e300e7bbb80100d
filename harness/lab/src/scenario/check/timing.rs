//! Times of the timeline: in order, within the duration, and `for` and `repeat` only where they make sense.

use super::wrong;
use crate::scenario::{
    Scenario, Step,
    quantity::Span,
    read::{Node, Reader},
};

pub(super) fn check(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    let mut before = Span::ZERO;
    for (n, step) in scenario.timeline.iter().enumerate() {
        let path = format!("timeline[{n}]");
        if step.at < before {
            let expected = format!("{before} or later, because the line before it is at {before}");
            wrong(reader, root, &format!("{path}.at"), step.at.to_string(), expected).help =
                "the timeline is written in the order of time".into();
        }
        before = before.max(step.at);
        within_duration(reader, root, &path, step, scenario.duration);
        modifiers(reader, root, &path, step);
    }
}

/// From here on a scenario is long enough to be told so.
const LONG: Span = Span::from_secs(60 * 60);

/// What is observed of each node and member in a second, clients aside: probes of REST and SQL, keys in etcd.
const EVENTS_PER_HOST: f64 = 3.0;

/// A scenario that takes hours on real nodes and gigabytes of memory in any world is played all the same.
pub(super) fn warn_of_length(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    let whole = scenario.until_all_is_answered();
    if whole <= LONG {
        return;
    }
    let hosts = f64::from(scenario.cluster.nodes) + f64::from(scenario.cluster.etcd.members);
    // Each operation is sent and ends.
    let events = hosts * EVENTS_PER_HOST * whole.0.as_secs_f64() + 2.0 * scenario.most_operations();
    let hours = whole.0.as_secs_f64() / 3_600.0;
    let field = if scenario.duration > LONG { "duration" } else { "workload.statement_timeout" };
    let found = format!("a run of {hours:.1} hours with what may still be answered after its end");
    reader.warning(|reader| {
        wrong(reader, root, field, found, "an hour at most, unless that is what is to be tested").help = format!(
            "on real nodes it takes that long; in any world about {:.1} million events are kept in memory until it is judged",
            events / 1e6
        );
    });
}

fn within_duration(reader: &mut Reader<'_>, root: &Node, path: &str, step: &Step, duration: Span) {
    if step.at >= duration {
        let expected = format!("before the end at {duration}");
        wrong(reader, root, &format!("{path}.at"), step.at.to_string(), expected).help =
            "what happens after the end is never seen; raise duration or bring it forward".into();
    } else if step.ends() > duration {
        let (field, what) = if step.repeat.is_some() { ("repeat", "its last repetition") } else { ("for", "its end") };
        let expected = format!("{what} within the duration of {duration}");
        wrong(reader, root, &format!("{path}.{field}"), format!("an end at {}", step.ends()), expected);
    }
}

fn modifiers(reader: &mut Reader<'_>, root: &Node, path: &str, step: &Step) {
    if step.duration.is_some() && !step.action.is_reversible() {
        let found = format!("`for` on {}", step.action.keyword());
        let help = match step.action.keyword() {
            "kill" | "stop" => "the agent starts its PostgreSQL again as it sees fit",
            _ => "it happens in an instant and does not end",
        };
        wrong(reader, root, &format!("{path}.for"), found, "`for` only on what lasts and can be undone").help =
            help.into();
    }
    if let (Some(duration), Some(repeat)) = (step.duration, step.repeat)
        && repeat.every <= duration
    {
        let found = format!("every {} while each lasts {duration}", repeat.every);
        wrong(reader, root, &format!("{path}.repeat.every"), found, format!("longer than {duration}"));
    }
    if step.refused && !step.action.is_operator_action() {
        let found = format!("`refused` on {}", step.action.keyword());
        wrong(reader, root, &format!("{path}.refused"), found, "`refused` only on what an operator asks Patroni for");
    }
}
