//! One line of the timeline at its moment: where it is done, to whom, and what is said of it.

use pgdrill_lab::{
    event::FaultPhase,
    faults::{Kind, Line, done_on},
};

use super::{Faults, record};
use crate::cluster::Cluster;

/// What is due.
#[derive(Clone, Copy)]
pub(super) struct Act<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) line: &'a Line<'a>,
    /// The hosts that its selector names at this moment.
    pub(super) targets: &'a [String],
}

impl Act<'_> {
    /// Writes how far it has come into the event stream.
    pub(super) fn record(&self, phase: FaultPhase) {
        record(self.cluster, self.line, phase, self.targets);
    }

    /// It cannot have an effect.
    pub(super) fn vacuous(&self, why: &str) {
        self.record(FaultPhase::Vacuous { why: why.to_owned() });
    }
}

impl Faults {
    /// It was done on these hosts, and stands there until it is undone; on none, nothing stands.
    pub(super) fn done(
        &mut self,
        act: Act<'_>,
        hosts: Vec<String>,
        evidence: &str,
        kind: impl FnOnce(Vec<String>) -> Kind,
    ) {
        act.record(done_on(&hosts, evidence));
        if !hosts.is_empty() {
            self.stand(act.cluster, act.line, kind(hosts), 0, true);
        }
    }

    /// What stood on these hosts was undone.
    pub(super) fn undone(&mut self, act: Act<'_>, hosts: &[String], evidence: &str, kind: &Kind) {
        self.ledger.forget(kind, hosts);
        act.record(done_on(hosts, evidence));
    }
}
