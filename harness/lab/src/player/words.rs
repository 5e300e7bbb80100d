//! How evidence is put, the same in every world.

use std::time::Duration;

use super::Kind;
use crate::{event::FaultPhase, scenario::Route};

/// What is said of a lasting fault when it ends: that it had its effect, by the world's own count since it began, or that it
/// had none.
pub(super) fn conclusion(kind: &Kind, effect: u64, lasted: Duration) -> FaultPhase {
    if effect > 0 {
        FaultPhase::Verified { evidence: format!("{} in {:.1} s", describe(kind, effect), lasted.as_secs_f64()) }
    } else {
        FaultPhase::Vacuous { why: nothing(kind).to_owned() }
    }
}

/// What is said of a `heal` that ended so many faults.
pub(super) fn healed(ended: usize) -> FaultPhase {
    match ended {
        0 => FaultPhase::Vacuous { why: "there was nothing to heal".to_owned() },
        n => FaultPhase::Verified { evidence: format!("{n} faults of the network ended") },
    }
}

/// What is said of an action on hosts: where it was done, or that there was nothing to do.
pub(super) fn done_on(hosts: &[String], evidence: &str) -> FaultPhase {
    if hosts.is_empty() {
        return FaultPhase::Vacuous { why: "it was so already, or there is no such process".to_owned() };
    }
    FaultPhase::Verified { evidence: format!("{}: {evidence}", hosts.join(", ")) }
}

/// Every host at an end of these links, each once, ascending.
pub(super) fn hosts_of(routes: &[Route]) -> Vec<String> {
    let mut hosts: Vec<String> = routes.iter().flat_map(|r| [r.from.clone(), r.to.clone()]).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

fn describe(kind: &Kind, effect: u64) -> String {
    match kind {
        Kind::Cut(_) => format!("{effect} packets held"),
        Kind::Delay(..) => format!("{effect} packets delayed"),
        Kind::Loss(..) => format!("{effect} packets lost at first"),
        Kind::Bandwidth(..) => format!("{effect} packets waited for their turn"),
        Kind::Full(_) => format!("{effect} writes failed for lack of space"),
        Kind::SlowFsync(..) => format!("{effect} bytes or entries written through slow fsyncs"),
        Kind::NoDns(_) => format!("{effect} questions left unanswered"),
        _ => format!("clocks off by another {:.3} s", effect as f64 / 1e9),
    }
}

const fn nothing(kind: &Kind) -> &'static str {
    match kind {
        Kind::Cut(_) | Kind::Delay(..) | Kind::Loss(..) => "no packet was affected",
        Kind::Bandwidth(..) => "no packet had to wait",
        Kind::Full(_) => "nothing was written that needed space",
        Kind::SlowFsync(..) => "nothing was written",
        Kind::NoDns(_) => "no name was looked up: the hosts know each other by address",
        _ => "nothing changed",
    }
}
