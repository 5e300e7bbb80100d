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
