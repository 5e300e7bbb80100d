//! Whose a container, network or volume is: labels that say which process made it, so that what a killed run left behind can
//! be told from what another run is using.

use std::{
    collections::HashMap,
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};

/// On everything that a run makes.
pub const LABEL: &str = "pgdrill";
/// Its value.
pub const LABEL_VALUE: &str = "run";
/// Which run.
pub const RUN: &str = "pgdrill.run";
/// Which host of the scenario a container is.
pub const HOST: &str = "pgdrill.host";
/// Which process made it: see [`Owner`].
pub const OWNER: &str = "pgdrill.owner";

/// A process, told from every other one: process ids are used again, and two containers with a pgdrill in each may share one
/// Docker daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The kernel's boot: after a reboot nobody of before runs.
    boot: String,
    /// The namespace in which the process id means something.
    namespace: String,
    pid: u32,
    /// In clock ticks since boot.
    started: u64,
    /// When it said so, in seconds since 1970; `None` in what older versions of pgdrill have made.
    said_s: Option<u64>,
}

/// What can be seen of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// There is none of that number.
    Nobody,
    /// There is one that may not be looked at: somebody else's, where `/proc` is mounted with `hidepid`.
    Somebody,
    /// There is one that started then.
    Since(u64),
}

impl Owner {
    /// This process.
    ///
    /// # Errors
    /// When `/proc` does not say.
    pub fn this_process() -> std::io::Result<Self> {
        let pid = std::process::id();
        let started = start_time(pid).ok_or_else(|| std::io::Error::other("/proc/self/stat cannot be read"))?;
        let said_s = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
        Ok(Self { boot: boot()?, namespace: namespace()?, pid, started, said_s })
    }

    /// From a label.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let owner = Self {
            boot: parts.next()?.to_owned(),
            namespace: parts.next()?.to_owned(),
            pid: parts.next()?.parse().ok()?,
            started: parts.next()?.parse().ok()?,
            said_s: parts.next().map(str::parse).transpose().ok()?,
        };
        parts.next().is_none().then_some(owner)
    }

    /// Whether it certainly does not run any more. A process of another namespace, or of another user who hides it, cannot be
    /// looked at and may run. So may one that knows another boot: a container can have a boot id of its own (systemd-nspawn), and
    /// several machines can share a daemon. It is gone if it said so before this machine was booted.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let Ok(boot) = boot() else { return false };
        if boot != self.boot {
            return self.is_from_before(booted_s());
        }
        namespace().is_ok_and(|namespace| self.is_not_in(&namespace, seen(self.pid)))
    }

    fn is_from_before(&self, booted_s: Option<u64>) -> bool {
        self.said_s.is_none_or(|said_s| booted_s.is_some_and(|booted_s| said_s < booted_s))
    }

    fn is_not_in(&self, namespace: &str, seen: Seen) -> bool {
        let may_be_it = seen == Seen::Somebody || seen == Seen::Since(self.started);
        namespace == self.namespace && !may_be_it
    }

    /// The labels of something that this process makes for a run.
    #[must_use]
    pub fn labels(&self, run: &str) -> HashMap<String, String> {
        let own = [(LABEL, LABEL_VALUE.to_owned()), (RUN, run.to_owned()), (OWNER, self.to_string())];
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}/{}", self.boot, self.namespace, self.pid, self.started)?;
        self.said_s.map_or(Ok(()), |said_s| write!(f, "/{said_s}"))
    }
}

fn boot() -> std::io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// `pid:[4026531836]`.
fn namespace() -> std::io::Result<String> {
    Ok(fs::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned())
}

/// When this machine was booted, in seconds since 1970 (`btime` in proc_stat(5)).
fn booted_s() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn seen(pid: u32) -> Seen {
    if let Some(started) = start_time(pid) {
        return Seen::Since(started);
    }
    let Ok(number) = i32::try_from(pid) else { return Seen::Nobody };
    match kill(Pid::from_raw(number), None) {
        Err(Errno::ESRCH) => Seen::Nobody,
        _ => Seen::Somebody,
    }
}

/// When a process started; `None` when it does not run, or may not be looked at.
fn start_time(pid: u32) -> Option<u64> {
    start_time_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `/proc/PID/stat` (proc(5)); the name in field 2 may hold spaces and brackets.
fn start_time_in(stat: &str) -> Option<u64> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { boot: "b".into(), namespace: "pid:[1]".into(), pid: 7, started: 99, said_s: Some(1_000) }
    }

    #[test]
    fn an_owner_is_read_back_from_its_label() {
        assert_eq!(Owner::parse(&owner().to_string()), Some(owner()));
        let older = Owner { said_s: None, ..owner() };
        assert_eq!(Owner::parse("b/pid:[1]/7/99"), Some(older), "of a version that did not say when");
        for text in ["", "b/pid:[1]/7", "b/pid:[1]/x/99", "b/pid:[1]/7/99/x", "b/pid:[1]/7/99/1000/1"] {
            assert_eq!(Owner::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_cannot_run_any_more_is_taken_for_gone() {
        let here = |seen| owner().is_not_in("pid:[1]", seen);
        assert!(!here(Seen::Since(99)), "it runs");
        assert!(here(Seen::Nobody), "no such process");
        assert!(here(Seen::Since(100)), "another process has its number");
        assert!(!here(Seen::Somebody), "it may be somebody else's, who hides it");
        assert!(!owner().is_not_in("pid:[2]", Seen::Nobody), "it may run where we cannot look");
    }

    #[test]
    fn one_that_knows_another_boot_is_gone_if_it_spoke_before_ours() {
        assert!(owner().is_from_before(Some(1_001)), "the machine was booted since");
        assert!(!owner().is_from_before(Some(1_000)), "it has a boot id of its own, or is another machine's");
        assert!(!owner().is_from_before(None), "nothing is known");
        assert!(Owner { said_s: None, ..owner() }.is_from_before(None), "an older version's, which did not say when");
        let this = Owner::this_process().expect("there is a /proc");
        assert!(!Owner { boot: "another".into(), ..this }.is_gone());
    }

    #[test]
    fn processes_are_seen_as_they_are() {
        assert!(matches!(seen(std::process::id()), Seen::Since(_)));
        // Above the largest number that a kernel gives away (PID_MAX_LIMIT).
        assert_eq!(seen(4_194_999), Seen::Nobody);
    }

    #[test]
    fn this_process_is_not_gone() {
        assert!(!Owner::this_process().expect("there is a /proc").is_gone());
    }

    #[test]
    fn a_process_with_brackets_in_its_name_has_a_start_time() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1";
        assert_eq!(start_time_in(stat), Some(4242));
    }
}
