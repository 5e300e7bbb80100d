//! A request in `/failover` while somebody leads: it is carried out or cleared.

use serde_json::Value;

use super::fitness::Fitness;
use crate::{
    event::{At, millis},
    history::{History, Version},
    oracle::{Broken, Violation, violation},
    rules::Rules,
};

/// The requests that were neither carried out nor refused in time.
pub(super) fn judge(rules: &Rules, history: &History<'_>) -> Vec<Violation> {
    let versions = history.keys.versions("failover");
    let requests = versions.iter().enumerate().filter_map(|(n, version)| {
        let until = versions.get(n + 1).map_or(history.end, |next| next.at);
        Request::of(rules, history, version, until)?.judge()
    });
    requests.collect()
}

struct Request<'r, 'h, 'a> {
    rules: &'r Rules,
    history: &'h History<'a>,
    text: &'a str,
    from: At,
    until: At,
    ordinal: u64,
}

impl<'r, 'h, 'a> Request<'r, 'h, 'a> {
    /// One that is to be carried out at once.
    fn of(rules: &'r Rules, history: &'h History<'a>, version: &Version<'a>, until: At) -> Option<Self> {
        let request = version.json()?;
        let says = |name: &str| request.get(name).is_some_and(|value| !value.is_null());
        let text = version.value.filter(|_| (says("leader") || says("member")) && !says("scheduled_at"))?;
        Some(Self { rules, history, text, from: version.at, until, ordinal: version.ordinal })
    }

    /// The first moment at which one leader has been in office for the bound, with a server that answers, and the request is there.
    fn judge(&self) -> Option<Violation> {
        let (rules, history) = (self.rules, self.history);
        let fitness = Fitness { rules, history };
        history.keys.overlapping(self.from, self.until).find_map(|term| {
            let end = self.until.min(term.until.map_or(history.end, |(end, _)| end));
            let mut since = None;
            let probes = history.probes.sql_after(term.holder, self.from.max(term.from)).iter();
            probes.take_while(|probe| probe.at <= end).find_map(|probe| {
                // A server that is being stopped answers nobody: then something is being done.
                let acts = probe.state.is_some() && fitness.is_well(term.holder, probe.at);
                if !acts || history.keys.paused_within(probe.at, probe.at) {
                    since = None;
                    return None;
                }
                let quiet_since = fitness.undisturbed_since(*since.get_or_insert(probe.at), probe.at)?;
                let waited = probe.at.since(quiet_since);
                (waited > rules.election_bound()).then(|| {
                    let broken = Broken::RequestIgnored {
                        request: readable(self.text),
                        leader: term.holder.to_owned(),
                        waited_ms: millis(waited),
                        bound_ms: millis(rules.election_bound()),
                    };
                    violation(probe.at, vec![self.ordinal, term.taken, probe.ordinal], broken)
                })
            })
        })
    }
}

/// `{"leader":"pg1","member":"pg2"}` as `from pg1 to pg2`.
fn readable(text: &str) -> String {
    let request: Value = serde_json::from_str(text).unwrap_or_default();
    let name = |field: &str| request.get(field).and_then(Value::as_str);
    let to = name("member").or_else(|| name("candidate")).unwrap_or("anybody");
    name("leader").map_or_else(|| format!("to {to}"), |from| format!("from {from} to {to}"))
}
