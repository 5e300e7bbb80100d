//! Synchronous replication: which standbys count, and which commits may be released (`syncrep.c`).

use tokio::sync::oneshot;

use crate::{
    Lsn,
    server::state::{Server, State, WalSender},
};

/// How many of the listed standbys must confirm, and how they are chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// `FIRST n (...)`, `n (...)` and the bare list: the first in list order that are there.
    First,
    /// `ANY n (...)`.
    Any,
}

/// `synchronous_standby_names`, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StandbyNames {
    pub method: Method,
    pub count: usize,
    pub names: Vec<String>,
}

/// What a commit waits for (`synchronous_commit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitMode {
    /// `remote_write`.
    Write,
    /// `on`.
    Flush,
    /// `remote_apply`.
    Apply,
}

/// A commit that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    lsn: Lsn,
    mode: WaitMode,
    release: oneshot::Sender<()>,
}

impl WaitMode {
    pub fn from_setting(synchronous_commit: &str) -> Option<Self> {
        match synchronous_commit {
            "off" | "local" => None,
            "remote_write" => Some(Self::Write),
            "remote_apply" => Some(Self::Apply),
            _ => Some(Self::Flush),
        }
    }

    fn position(self, sender: &WalSender) -> Lsn {
        match self {
            Self::Write => sender.write,
            Self::Flush => sender.flush,
            Self::Apply => sender.apply,
        }
    }
}

impl StandbyNames {
    /// Reads the parameter's value; `None` when it is empty.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let lower = text.to_ascii_lowercase();
        let (method, rest) = match (lower.strip_prefix("any"), lower.strip_prefix("first")) {
            (Some(rest), _) if rest.starts_with([' ', '\t']) => (Method::Any, &text[3..]),
            (_, Some(rest)) if rest.starts_with([' ', '\t']) => (Method::First, &text[5..]),
            _ => (Method::First, text),
        };
        let rest = rest.trim();
        let (count, list) = match rest.split_once('(') {
            Some((count, list)) => {
                let count =
                    count.trim().parse().map_err(|_| format!("syntax error at or near \"{}\"", count.trim()))?;
                (count, list.strip_suffix(')').ok_or("syntax error at end of input")?)
            }
            None => (1, rest),
        };
        let names: Vec<String> = list.split(',').map(|name| name.trim().trim_matches('"').to_owned()).collect();
        if count == 0 {
            return Err(format!("number of synchronous standbys ({count}) must be greater than zero"));
        }
        if names.iter().any(String::is_empty) {
            return Err("syntax error at or near \",\"".to_owned());
        }
        Ok(Some(Self { method, count, names }))
    }

    /// Position in the list, from 1; 0 when it is not listed. `ANY` gives everybody listed the same priority.
    pub fn priority(&self, application_name: &str) -> usize {
        let listed = |name: &String| name == "*" || name.eq_ignore_ascii_case(application_name);
        match (self.names.iter().position(listed), &self.method) {
            (None, _) => 0,
            (Some(_), Method::Any) => 1,
            (Some(position), Method::First) => position + 1,
        }
    }
}

impl State {
    /// The parsed parameter; a value that cannot be read counts as empty, as a rejected reload keeps it out anyway.
    pub fn standby_names(&self) -> Option<StandbyNames> {
        StandbyNames::parse(self.settings.get("synchronous_standby_names")).ok().flatten()
    }

    /// `sync_priority` and `sync_state` of every walsender.
    pub fn sync_states(&self) -> Vec<(i32, usize, &'static str)> {
        let Some(names) = self.standby_names().filter(|_| !self.in_recovery) else {
            return self.walsenders.keys().map(|pid| (*pid, 0, "async")).collect();
        };
        let chosen: Vec<i32> = self.candidates(&names).into_iter().take(names.count).map(|(_, pid)| pid).collect();
        let state = |pid: &i32, priority: usize| match (&names.method, priority) {
            (_, 0) => "async",
            (Method::Any, _) => "quorum",
            (Method::First, _) if chosen.contains(pid) => "sync",
            (Method::First, _) => "potential",
        };
        let describe = |(pid, sender): (&i32, &WalSender)| {
            let priority = names.priority(&sender.application_name);
            (*pid, priority, state(pid, priority))
        };
        self.walsenders.iter().map(describe).collect()
    }

    /// Listed, streaming standbys by priority and then age, as (priority, pid).
    fn candidates(&self, names: &StandbyNames) -> Vec<(usize, i32)> {
        let counts = |sender: &WalSender| sender.state == "streaming" && sender.flush != Lsn::INVALID;
        let listed = self.walsenders.iter().filter(|(_, sender)| counts(sender));
        let mut found: Vec<(usize, i32)> = listed
            .map(|(pid, sender)| (names.priority(&sender.application_name), *pid))
            .filter(|(priority, _)| *priority > 0)
            .collect();
        found.sort_unstable();
        found
    }

    /// Up to where the required standbys have confirmed in `mode`; `None` when too few are there.
    fn confirmed(&self, names: &StandbyNames, mode: WaitMode) -> Option<Lsn> {
        let candidates = self.candidates(names);
        if candidates.len() < names.count {
            return None;
        }
        let position = |(_, pid): &(usize, i32)| mode.position(&self.walsenders[pid]);
        match names.method {
            Method::First => candidates.iter().take(names.count).map(position).min(),
            Method::Any => {
                let mut positions: Vec<Lsn> = candidates.iter().map(position).collect();
                positions.sort_unstable();
                positions.into_iter().rev().nth(names.count - 1)
            }
        }
    }

    /// Releases every commit whose standbys have confirmed; all of them when no names are configured any more.
    pub fn release_waiters(&mut self) {
        if self.waiters.is_empty() {
            return;
        }
        let names = self.standby_names();
        let confirmed = |mode| names.as_ref().map_or(Some(Lsn(u64::MAX)), |names| self.confirmed(names, mode));
        let reached = [WaitMode::Write, WaitMode::Flush, WaitMode::Apply].map(confirmed);
        let waiting = std::mem::take(&mut self.waiters);
        for waiter in waiting {
            if reached[waiter.mode as usize].is_some_and(|lsn| lsn >= waiter.lsn) {
                // The transaction becomes visible in the same moment in which its session may acknowledge it.
                self.invisible.remove(&waiter.lsn);
                // The session may have been cancelled meanwhile; then nobody listens.
                let _ = waiter.release.send(());
            } else if !waiter.release.is_closed() {
                self.waiters.push(waiter);
            }
        }
    }
}

impl Server {
    /// Queues a commit; `None` when it need not wait.
    pub fn enqueue_waiter(&self, lsn: Lsn, mode: WaitMode) -> Option<oneshot::Receiver<()>> {
        let mut state = self.state();
        state.standby_names()?;
        let (release, released) = oneshot::channel();
        state.waiters.push(Waiter { lsn, mode, release });
        state.release_waiters();
        Some(released)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_is_read_in_all_its_forms() {
        let names = |method, count, names: &[&str]| {
            Ok(Some(StandbyNames { method, count, names: names.iter().map(ToString::to_string).collect() }))
        };
        for (text, expected) in [
            ("", Ok(None)),
            ("a", names(Method::First, 1, &["a"])),
            ("a, b", names(Method::First, 1, &["a", "b"])),
            ("2 (a,\"b\")", names(Method::First, 2, &["a", "b"])),
            ("FIRST 1 (a, b)", names(Method::First, 1, &["a", "b"])),
            ("any 2 (a, b, c)", names(Method::Any, 2, &["a", "b", "c"])),
            ("*", names(Method::First, 1, &["*"])),
            ("anyone", names(Method::First, 1, &["anyone"])),
        ] {
            assert_eq!(StandbyNames::parse(text), expected, "{text}");
        }
        for wrong in ["0 (a)", "x (a)", "1 (a", "a,,b"] {
            assert!(StandbyNames::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn priority_is_the_place_in_the_list_and_names_ignore_case() {
        let first = StandbyNames::parse("FIRST 1 (a, b, *)").expect("valid").expect("not empty");
        assert_eq!([first.priority("A"), first.priority("b"), first.priority("zz")], [1, 2, 3]);
        let any = StandbyNames::parse("ANY 1 (a, b)").expect("valid").expect("not empty");
        assert_eq!([any.priority("a"), any.priority("b"), any.priority("zz")], [1, 1, 0]);
    }
}
