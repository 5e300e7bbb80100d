//! The DCS keys over time, and the terms of the leader key.

use std::collections::BTreeMap;

use pgdrill_settings::value::switch;
use serde_json::Value;

use crate::event::{At, Event};

/// A value that a key had from some moment on.
#[derive(Clone, Debug)]
pub struct Version<'a> {
    /// When the change was reported.
    pub at: At,
    /// Ordinal of the report.
    pub ordinal: u64,
    /// The value, `None` when the key was deleted or expired.
    pub value: Option<&'a str>,
    /// etcd's modification revision.
    pub mod_revision: i64,
    /// The lease it hangs on.
    pub lease: i64,
}

impl Version<'_> {
    /// The value as JSON; `None` when absent or not JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(self.value?).ok()
    }
}

/// A time during which the leader key named one node without a break.
#[derive(Clone, Debug)]
pub struct Term<'a> {
    /// The holder.
    pub holder: &'a str,
    /// When it took the key.
    pub from: At,
    /// Ordinal of the event that says so.
    pub taken: u64,
    /// When it lost the key (expired, deleted, taken by another) and the ordinal of that event; `None`: held to the end.
    pub until: Option<(At, u64)>,
    /// The holder before it, if there was another one.
    pub previous: Option<&'a str>,
}

/// Every key of the scope over time.
#[derive(Clone, Debug, Default)]
pub struct Keys<'a> {
    versions: BTreeMap<&'a str, Vec<Version<'a>>>,
    terms: Vec<Term<'a>>,
}

impl<'a> Keys<'a> {
    pub(super) fn take(
        &mut self,
        event: &'a Event,
        key: &'a str,
        value: Option<&'a str>,
        mod_revision: i64,
        lease: i64,
    ) {
        let key = key.trim_start_matches('/');
        let versions = self.versions.entry(key).or_default();
        // Several watches may report one change, a lagging one long after: revisions only grow, so older ones are echoes.
        if mod_revision > 0 && versions.last().is_some_and(|last| last.mod_revision >= mod_revision) {
            return;
        }
        versions.push(Version { at: event.at, ordinal: event.ordinal, value, mod_revision, lease });
    }

    /// Cuts the leader key's versions into terms.
    pub(super) fn finish(&mut self) {
        let mut terms: Vec<Term<'a>> = Vec::new();
        for version in self.versions.get("leader").into_iter().flatten() {
            let holder = version.value.filter(|name| !name.is_empty());
            let open = terms.last_mut().filter(|term| term.until.is_none());
            match (open, holder) {
                // Written again by its holder, as a renewal on a new lease does.
                (Some(term), Some(holder)) if term.holder == holder => continue,
                (Some(term), _) => term.until = Some((version.at, version.ordinal)),
                (None, _) => {}
            }
            if let Some(holder) = holder {
                let previous = terms.last().map(|term| term.holder);
                terms.push(Term { holder, from: version.at, taken: version.ordinal, until: None, previous });
            }
        }
        self.terms = terms;
    }

    /// The terms of the leader key, in order.
    #[must_use]
    pub fn terms(&self) -> &[Term<'a>] {
        &self.terms
    }

    /// The terms that began with another holder than the one before: the changes of leadership.
    pub fn leader_changes(&self) -> impl Iterator<Item = &Term<'a>> {
        self.terms.iter().filter(|term| term.previous.is_some_and(|previous| previous != term.holder))
    }

    /// Who holds the leader key at the end.
    #[must_use]
    pub fn last_holder(&self) -> Option<&'a str> {
        self.terms.last().filter(|term| term.until.is_none()).map(|term| term.holder)
    }

    /// The versions of a key, in order.
    #[must_use]
    pub fn versions(&self, key: &str) -> &[Version<'a>] {
        self.versions.get(key).map_or(&[], Vec::as_slice)
    }

    /// Every key that was ever seen.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.versions.keys().copied()
    }

    /// The members by the hosts that their `conn_url` names, each as it was last told.
    #[must_use]
    pub fn member_hosts(&self) -> BTreeMap<String, &'a str> {
        let mut hosts = BTreeMap::new();
        for key in self.names() {
            let Some(member) = key.strip_prefix("members/") else { continue };
            let values = self.versions(key).iter().rev().filter_map(Version::json);
            let host = values.filter_map(|json| host_of(json.get("conn_url")?)).next();
            hosts.extend(host.map(|host| (host, member)));
        }
        hosts
    }

    /// The version of a key in force right before the event with this time and ordinal.
    #[must_use]
    pub fn before(&self, key: &str, at: At, ordinal: u64) -> Option<&Version<'a>> {
        let versions = self.versions(key);
        let n = versions.partition_point(|version| (version.at, version.ordinal) < (at, ordinal));
        versions.get(n.checked_sub(1)?)
    }

    /// The version of a key in force at a time, changes of that very moment included.
    #[must_use]
    pub fn at(&self, key: &str, at: At) -> Option<&Version<'a>> {
        self.before(key, at, u64::MAX)
    }

    /// Whether a node held the leader key at any moment of `[from, until]`.
    #[must_use]
    pub fn held_within(&self, node: &str, from: At, until: At) -> bool {
        self.overlapping(from, until).any(|term| term.holder == node)
    }

    /// Whether a node held the leader key through all of `[from, until]`.
    #[must_use]
    pub fn held_throughout(&self, node: &str, from: At, until: At) -> bool {
        self.overlapping(from, until)
            .any(|term| term.holder == node && term.from <= from && term.until.is_none_or(|(end, _)| end > until))
    }

    /// The terms that share a moment with `[from, until]`.
    pub fn overlapping(&self, from: At, until: At) -> impl Iterator<Item = &Term<'a>> {
        // Terms follow each other, so both their beginnings and their ends ascend.
        let first = self.terms.partition_point(|term| term.until.is_some_and(|(end, _)| end < from));
        self.terms[first..].iter().take_while(move |term| term.from <= until)
    }

    /// When a node last took the leader key not later than `at`.
    #[must_use]
    pub fn last_taken_by(&self, node: &str, at: At) -> Option<&Term<'a>> {
        let n = self.terms.partition_point(|term| term.from <= at);
        self.terms[..n].iter().rev().find(|term| term.holder == node)
    }

    /// Whether the cluster was paused at any moment of `[from, until]`: the `config` key says `"pause": true`.
    #[must_use]
    pub fn paused_within(&self, from: At, until: At) -> bool {
        let paused = |version: &Version<'_>| {
            // Most versions do not speak of a pause at all: parsing them for every write would be waste.
            version.value.is_some_and(|value| value.contains("pause"))
                && version.json().is_some_and(|config| config.get("pause").and_then(switch) == Some(true))
        };
        self.at("config", from).is_some_and(paused)
            || self.versions("config").iter().any(|version| version.at > from && version.at <= until && paused(version))
    }
}

/// The host of `postgres://user@host:port/database`.
fn host_of(conn_url: &Value) -> Option<String> {
    let authority = conn_url.as_str()?.split_once("://")?.1.split('/').next()?;
    let address = authority.rsplit('@').next()?;
    let host = match address.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => address.split(':').next()?,
    };
    Some(host.to_owned())
}
