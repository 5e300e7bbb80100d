//! What undoes something needs something to undo, and labels need to be bound before they are used.

use super::wrong;
use crate::scenario::{
    Action, HealSpec, Process, Scenario, Step,
    read::{Node, Reader, did_you_mean},
};

pub(super) fn check(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    for (n, step) in scenario.timeline.iter().enumerate() {
        let earlier = &scenario.timeline[..n];
        let path = format!("timeline[{n}].{}", step.action.keyword());
        if let Action::Heal(HealSpec::Named(name)) = &step.action
            && name != "all"
        {
            heal_of(reader, root, &path, name, earlier);
        } else if let Some(causes) = undone_by(&step.action)
            && !earlier.iter().any(|step| causes.iter().any(|cause| cause.matches(&step.action)))
        {
            let causes: Vec<&str> = causes.iter().map(|cause| cause.keyword).collect();
            let expected = format!("an earlier {}", crate::scenario::read::one_of(&causes));
            wrong(reader, root, &path, format!("{} of nothing", step.action.keyword()), expected).help =
                "it would have no effect, and a run with an event that has no effect proves nothing".into();
        }
    }
}

/// An earlier action that can be undone.
struct Cause {
    keyword: &'static str,
    /// Where it matters: only of this process.
    process: Option<Process>,
}

impl Cause {
    fn matches(&self, action: &Action) -> bool {
        let process = match action {
            Action::Kill(spec) | Action::Stop(spec) => Some(spec.process),
            Action::Freeze(spec) => spec.process,
            _ => None,
        };
        action.keyword() == self.keyword && (self.process.is_none() || process == self.process)
    }
}

/// What must have happened for an action to undo it; `None` when the action undoes nothing.
fn undone_by(action: &Action) -> Option<Vec<Cause>> {
    let any = |keyword| Cause { keyword, process: None };
    Some(match action {
        Action::Heal(_) => vec![any("cut"), any("delay"), any("loss"), any("bandwidth"), any("dns_fail")],
        Action::Start(spec) => {
            ["kill", "stop"].map(|keyword| Cause { keyword, process: Some(spec.process) }).into_iter().collect()
        }
        Action::PowerOn(_) => vec![any("power_off")],
        Action::Thaw(spec) => vec![Cause { keyword: "freeze", process: spec.process }],
        Action::DiskFree { .. } => vec![any("disk_full")],
        Action::ReplayResume { .. } => vec![any("replay_pause")],
        Action::Resume(_) => vec![any("pause"), any("edit_config")],
        _ => return None,
    })
}

fn heal_of(reader: &mut Reader<'_>, root: &Node, path: &str, name: &str, earlier: &[Step]) {
    let healable = |step: &&Step| {
        let of_links =
            matches!(step.action, Action::Cut(_) | Action::Delay(_) | Action::Loss(_) | Action::Bandwidth(_));
        of_links || matches!(step.action, Action::DnsFail { .. })
    };
    let labels: Vec<&str> = earlier.iter().filter(healable).filter_map(|step| step.label.as_deref()).collect();
    if labels.contains(&name) {
        return;
    }
    let bound = earlier.iter().find(|step| step.label.as_deref() == Some(name));
    let help = match bound {
        Some(step) => format!("{name} is what {} was done to; that is not healed", step.action.keyword()),
        None => did_you_mean(name, labels.into_iter().chain(["all"])),
    };
    wrong(
        reader,
        root,
        path,
        format!("{name:?}"),
        "all, or the label (`as`) of an earlier cut, delay, loss, bandwidth or dns_fail",
    )
    .help = help;
}
