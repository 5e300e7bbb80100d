//! Which events become lines of the timeline, and at which detail.

use std::collections::BTreeMap;

use anstyle::Style;
use pgdrill_lab::event::{Event, FaultPhase, What};

use super::{
    Detail,
    clients::{Clients, Shown},
    lock::LockChange,
    state::{Cluster, Role},
    words,
};
use crate::{palette, text::duration};

/// One line of the timeline.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) style: Style,
}

impl Line {
    fn new(style: Style, text: String) -> Self {
        Self { text, style }
    }
}

/// Turns events into lines, remembering what has been said already.
#[derive(Debug)]
pub(crate) struct Teller<'a> {
    detail: Detail,
    clients: &'a Clients,
    /// The last reason each agent gave: one said again each cycle is told once.
    reasons: BTreeMap<String, (String, Vec<String>)>,
    /// The last status of each REST probe.
    statuses: BTreeMap<(String, String), Option<u16>>,
}

/// What an event changed in the state of the cluster.
pub(crate) struct Changed<'a> {
    pub(crate) lock: Option<LockChange>,
    pub(crate) role_before: Option<Role>,
    pub(crate) after: &'a Cluster,
}

impl<'a> Teller<'a> {
    pub(crate) fn new(detail: Detail, clients: &'a Clients) -> Self {
        Self { detail, clients, reasons: BTreeMap::new(), statuses: BTreeMap::new() }
    }

    /// The line for an event, if it deserves one.
    pub(crate) fn tell(&mut self, event: &Event, changed: &Changed<'_>) -> Option<Line> {
        let everything = || {
            (self.detail == Detail::Everything)
                .then(|| Line::new(palette::QUIET, words::anything(&event.node, &event.what)))
        };
        match &event.what {
            What::Dcs { .. } if changed.lock.is_some() => {
                changed.lock.as_ref().map(|change| Line::new(palette::LOCK, words::lock(change)))
            }
            What::Sql { .. } => Self::role_change(event, changed).or_else(everything),
            What::Return { .. } => self.client(event).or_else(everything),
            What::Fault { index, text, phase, .. } => {
                let told = self.detail >= Detail::Decisions || !matches!(phase, FaultPhase::Verified { .. });
                told.then(|| Line::new(fault_style(phase), words::fault(*index, text, phase)))
            }
            What::Process { process, state, detail } => {
                Some(Line::new(Style::new(), words::process(&event.node, process, *state, detail)))
            }
            What::Decision { reason, actions } => self.decision(&event.node, reason, actions),
            What::Note { .. } => (self.detail >= Detail::Decisions)
                .then(|| Line::new(palette::QUIET, words::anything(&event.node, &event.what))),
            What::Rest { path, status, .. } => {
                let everything = everything();
                self.rest(&event.node, path, *status).or(everything)
            }
            What::Dcs { key, .. } if self.detail == Detail::Decisions && told_key(key) => {
                Some(Line::new(palette::LOCK, words::anything(&event.node, &event.what)))
            }
            What::Dcs { .. } | What::Invoke { .. } | What::Rows { .. } | What::End { .. } => everything(),
        }
    }

    /// `pg2 is primary on timeline 2`.
    fn role_change(event: &Event, changed: &Changed<'_>) -> Option<Line> {
        let node = changed.after.node(&event.node)?;
        let before = changed.role_before?;
        let role = node.role();
        // That a process down or frozen does not answer has been told with the process.
        if role == before || (role == Role::Silent && matches!(before, Role::Down | Role::Frozen)) {
            return None;
        }
        let text = words::role(&node.name, before, role, node.timeline, node.streaming_from.as_deref());
        Some(Line::new(role.style(), text))
    }

    /// The first write that failed and the first one acknowledged again, for each outage.
    fn client(&self, event: &Event) -> Option<Line> {
        let What::Return { outcome, server, .. } = &event.what else { return None };
        for Shown { outage, first_failure, first_acknowledged } in &self.clients.outages {
            if *first_failure == Some(event.ordinal) {
                let failed = words::failure(outcome).unwrap_or_default();
                let text = format!("writes stop: {} {failed} (the outage counts from {})", event.node, outage.from);
                return Some(Line::new(palette::BAD, text));
            }
            if *first_acknowledged == Some(event.ordinal) {
                let by = server.as_ref().map(|s| format!(" by {s}")).unwrap_or_default();
                let out_for = duration(outage.to.since(outage.from));
                let text = format!("writes work again: acknowledged{by} after {out_for} without one");
                return Some(Line::new(palette::GOOD, text));
            }
        }
        None
    }

    fn decision(&mut self, node: &str, reason: &str, actions: &[String]) -> Option<Line> {
        let said = (reason.to_owned(), actions.to_vec());
        let new = self.reasons.get(node) != Some(&said);
        self.reasons.insert(node.to_owned(), said);
        let told = self.detail == Detail::Everything || (new && self.detail == Detail::Decisions);
        told.then(|| Line::new(Style::new(), words::decision(node, reason, actions)))
    }

    /// Told with the decisions when the answer differs from the last one: `pg1: GET /primary -> 503 (was 200)`.
    fn rest(&mut self, node: &str, path: &str, status: Option<u16>) -> Option<Line> {
        let before = self.statuses.insert((node.to_owned(), path.to_owned()), status)?;
        if before == status || self.detail < Detail::Decisions {
            return None;
        }
        let name = |s: Option<u16>| s.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
        let text = format!("{node}: GET {path} -> {} (was {})", name(status), name(before));
        Some(Line::new(palette::QUIET, text))
    }
}

/// The keys whose changes are told with the decisions; `status` and `members/*` change all the time.
fn told_key(key: &str) -> bool {
    matches!(key, "leader" | "sync" | "failover" | "history" | "initialize" | "config")
}

fn fault_style(phase: &FaultPhase) -> Style {
    match phase {
        FaultPhase::Applied | FaultPhase::Verified { .. } | FaultPhase::Ended => palette::FAULT,
        FaultPhase::Vacuous { .. } | FaultPhase::Refused { .. } => palette::BAD,
    }
}
