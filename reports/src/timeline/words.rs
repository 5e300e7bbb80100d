//! The words for each kind of event: one sentence a line, names first.

use pgdrill_lab::event::{Action, FaultPhase, Outcome, ProcessState, SqlState, What};

use super::{lock::LockChange, state::Role};

/// The letter by which the lanes and the lines name a fault of the scenario's timeline: A to Z, then numbers.
pub(crate) fn fault_letter(index: usize) -> String {
    match u8::try_from(index) {
        Ok(small @ 0..26) => char::from(b'A' + small).to_string(),
        _ => index.to_string(),
    }
}

/// `fault A: cut pg1 <-> etcd1`.
pub(crate) fn fault(index: usize, text: &str, phase: &FaultPhase) -> String {
    let letter = fault_letter(index);
    match phase {
        FaultPhase::Applied => format!("fault {letter}: {text}"),
        FaultPhase::Verified { evidence } => format!("fault {letter} took effect: {evidence}"),
        FaultPhase::Ended => format!("fault {letter} ended: {text}"),
        FaultPhase::Vacuous { why } => format!("fault {letter} had no effect: {text}: {why}"),
        FaultPhase::Refused { why } => format!("fault {letter} was refused: {text}: {why}"),
    }
}

/// `pg1: postgres killed (power loss)`.
pub(crate) fn process(node: &str, process: &str, state: ProcessState, detail: &str) -> String {
    let state = match state {
        ProcessState::Started => "started",
        ProcessState::Exited => "exited",
        ProcessState::Killed => "killed",
        ProcessState::Frozen => "frozen",
        ProcessState::Thawed => "thawed",
    };
    if detail.is_empty() {
        format!("{node}: {process} {state}")
    } else {
        format!("{node}: {process} {state} ({detail})")
    }
}

/// `leader lock: pg1 -> nobody`.
pub(crate) fn lock(change: &LockChange) -> String {
    let name = |holder: &Option<String>| holder.clone().unwrap_or_else(|| "nobody".to_owned());
    format!("leader lock: {} -> {}", name(&change.from), name(&change.to))
}

/// `pg2 is primary on timeline 2`, `pg1 is a standby without streaming (was primary)`.
pub(crate) fn role(node: &str, from: Role, to: Role, timeline: u32, streaming_from: Option<&str>) -> String {
    let mut text = match to {
        Role::Primary => format!("{node} is primary"),
        Role::Streaming => format!("{node} streams from {}", streaming_from.unwrap_or("nobody known")),
        Role::Standby if from == Role::Streaming => format!("{node} no longer streams"),
        Role::Standby => format!("{node} is a standby without streaming"),
        Role::Silent => format!("{node} does not answer"),
        Role::Unseen | Role::Down => format!("{node} is down"),
        Role::Frozen => format!("{node} is frozen"),
    };
    if matches!(to, Role::Primary | Role::Streaming) && timeline > 0 {
        text.push_str(&format!(" on timeline {timeline}"));
    }
    if from == Role::Primary {
        text.push_str(" (was primary)");
    }
    text
}

/// `pg2: promoted self to leader by acquiring session lock [promote]`.
pub(crate) fn decision(node: &str, reason: &str, actions: &[String]) -> String {
    if actions.is_empty() { format!("{node}: {reason}") } else { format!("{node}: {reason} [{}]", actions.join(", ")) }
}

/// `/leader = pg1 (revision 7)`.
pub(crate) fn dcs(node: &str, key: &str, value: Option<&str>, mod_revision: i64) -> String {
    match value {
        Some(value) => format!("{node}: /{key} = {value} (revision {mod_revision})"),
        None => format!("{node}: /{key} is gone (revision {mod_revision})"),
    }
}

/// `was refused: ...` for an outcome that is not an acknowledgement.
pub(crate) fn failure(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Acknowledged { .. } => None,
        Outcome::Refused { why } => Some(format!("was refused: {why}")),
        Outcome::Unknown { why } => Some(format!("got no answer, is perhaps applied: {why}")),
    }
}

/// Any event in one sentence: what `-vvv` prints for those that have no line of their own.
pub(crate) fn anything(node: &str, what: &What) -> String {
    match what {
        What::Fault { index, text, phase, .. } => fault(*index, text, phase),
        What::Process { process: name, state, detail } => process(node, name, *state, detail),
        What::Dcs { key, value, mod_revision, .. } => dcs(node, key, value.as_deref(), *mod_revision),
        What::Rest { path, status, .. } => match status {
            Some(status) => format!("{node}: GET {path} -> {status}"),
            None => format!("{node}: GET {path} -> no answer"),
        },
        What::Sql { state: Some(state), .. } => format!("{node}: {}", sql(state)),
        What::Sql { state: None, error, .. } => {
            format!("{node}: SQL probe: {}", error.as_deref().unwrap_or("no answer"))
        }
        What::Invoke { op, action: Action::Write { id, key } } => format!("{node}: #{op} insert ({id}, {key})"),
        What::Invoke { op, action: Action::Read { key } } => format!("{node}: #{op} read key {key}"),
        What::Return { op, outcome, server } => {
            let outcome = match outcome {
                Outcome::Acknowledged { value: Some(value) } => format!("answered {value}"),
                other => failure(other).unwrap_or_else(|| "acknowledged".to_owned()),
            };
            let by = server.as_ref().map(|s| format!(" by {s}")).unwrap_or_default();
            format!("{node}: #{op} {outcome}{by}")
        }
        What::Rows { rows, primary } => {
            let role = if *primary { "primary" } else { "standby" };
            format!("{node}: holds {} rows at the end ({role})", rows.len())
        }
        What::End { dcs, .. } => format!("{node}: settled; the DCS holds {} keys", dcs.len()),
        What::Decision { reason, actions } => decision(node, reason, actions),
        What::Note { text } => format!("{node}: {text}"),
    }
}

fn sql(state: &SqlState) -> String {
    let mut text = format!(
        "{} at {}, timeline {}",
        if state.in_recovery { "in recovery" } else { "primary" },
        lsn(state.lsn),
        state.timeline
    );
    if let Some(from) = &state.streaming_from {
        text.push_str(&format!(", streams from {from}"));
    }
    for (name, sync) in &state.standbys {
        text.push_str(&format!(", {name} {sync}"));
    }
    text
}

/// A WAL position as PostgreSQL writes it: `0/3000148`.
pub(crate) fn lsn(bytes: u64) -> String {
    format!("{:X}/{:X}", bytes >> 32, bytes & 0xFFFF_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wal_positions_are_written_as_postgresql_writes_them() {
        assert_eq!(lsn(0x1_0300_0148), "1/3000148");
    }

    #[test]
    fn faults_are_named_by_letters_and_then_by_numbers() {
        assert_eq!((fault_letter(0), fault_letter(25), fault_letter(26)), ("A".into(), "Z".into(), "26".into()));
    }
}
