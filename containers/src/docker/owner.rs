//! Whose a container, network or volume is: labels that say which process made it, so that what a killed run left behind can
//! be told from what another run is using.

use std::{collections::HashMap, fs};

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
}

impl Owner {
    /// This process.
    ///
    /// # Errors
    /// When `/proc` does not say.
    pub fn this_process() -> std::io::Result<Self> {
        let pid = std::process::id();
        let started = start_time(pid).ok_or_else(|| std::io::Error::other("/proc/self/stat cannot be read"))?;
        Ok(Self { boot: boot()?, namespace: namespace()?, pid, started })
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
        };
        parts.next().is_none().then_some(owner)
    }

    /// Whether it certainly does not run any more. A process of another namespace cannot be looked at and may run.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.is_gone_for(boot().ok(), namespace().ok(), start_time(self.pid))
    }

    fn is_gone_for(&self, boot: Option<String>, namespace: Option<String>, started: Option<u64>) -> bool {
        match (boot, namespace) {
            (Some(boot), _) if boot != self.boot => true,
            (Some(_), Some(namespace)) if namespace == self.namespace => started != Some(self.started),
            _ => false,
        }
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
        write!(f, "{}/{}/{}/{}", self.boot, self.namespace, self.pid, self.started)
    }
}

fn boot() -> std::io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// `pid:[4026531836]`.
fn namespace() -> std::io::Result<String> {
    Ok(fs::read_link("/proc/self/ns/pid")?.to_string_lossy().into_owned())
}

/// When a process started; `None` when it does not run.
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
        Owner { boot: "b".into(), namespace: "pid:[1]".into(), pid: 7, started: 99 }
    }

    #[test]
    fn an_owner_is_read_back_from_its_label() {
        assert_eq!(Owner::parse(&owner().to_string()), Some(owner()));
        for text in ["", "b/pid:[1]/7", "b/pid:[1]/x/99", "b/pid:[1]/7/99/1"] {
            assert_eq!(Owner::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_cannot_run_any_more_is_taken_for_gone() {
        let here = |boot: &str, namespace: &str, started| {
            owner().is_gone_for(Some(boot.to_owned()), Some(namespace.to_owned()), started)
        };
        assert!(!here("b", "pid:[1]", Some(99)), "it runs");
        assert!(here("b", "pid:[1]", None), "no such process");
        assert!(here("b", "pid:[1]", Some(100)), "another process has its number");
        assert!(here("c", "pid:[2]", Some(99)), "the machine was booted since");
        assert!(!here("b", "pid:[2]", None), "it may run where we cannot look");
        assert!(!owner().is_gone_for(None, None, None), "nothing is known");
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
