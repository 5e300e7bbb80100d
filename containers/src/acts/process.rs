//! Signals to processes in containers: killed, asked to end, frozen, thawed. What a signal did is read from the container's
//! process table, not from the success of `kill`.
//!
//! `postgres` is the whole server: the postmaster and every process that it has started, as in the simulator, where the
//! server is one process. A SIGSTOP of the postmaster alone would leave sessions at work; after a SIGKILL of it alone
//! backends end when they notice. `agent` is its main process alone: PostgreSQL and a dead-man process that it has started
//! are processes of their own.

use std::time::Duration;

use pgdrill_lab::scenario::Process;
use tokio::time::{Instant, sleep};

use crate::{
    cluster::Cluster,
    machine::{Machine, Trouble},
};

/// A signal has done its work by then, or never will.
const LIMIT: Duration = Duration::from_secs(3);

/// Between two looks at the process table.
const LOOK: Duration = Duration::from_millis(50);

/// Whom a signal goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The main process, by its id in the container.
    pub main: u32,
    /// Whether everything that it has started is meant too.
    pub with_descendants: bool,
}

/// Whom a signal to this process of the scenario goes to, as the watcher saw it last.
pub(super) fn target(cluster: &Cluster, process: Process, host: &str) -> Option<Target> {
    let main = cluster.pid(process, host)?;
    Some(Target { main, with_descendants: process == Process::Postgres })
}

/// Kills them at once; they are gone when this returns. Whether there was a living main process to be killed.
///
/// # Errors
/// When the container does not answer, or the signal did not do its work within 3 s.
pub async fn kill(machine: &Machine, target: Target) -> Result<bool, Trouble> {
    let mut pids = reached(machine, target).await?;
    if pids.is_empty() {
        return Ok(false);
    }
    if target.with_descendants {
        // Whoever is stopped starts no other while the others are listed.
        if !signal_main(machine, "STOP", &pids).await? {
            return Ok(false);
        }
        pids = reached(machine, target).await?;
    }
    if pids.is_empty() || !signal_main(machine, "KILL", &pids).await? {
        return Ok(false);
    }
    until(machine, &pids, "gone after SIGKILL", |state| state.is_none_or(is_over)).await?;
    Ok(true)
}

/// Freezes them, the main one first, so that it starts no other meanwhile; they stand still when this returns. Whether there
/// was a living main process to be frozen.
///
/// # Errors
/// When the container does not answer, or the signal did not do its work within 3 s.
pub async fn freeze(machine: &Machine, target: Target) -> Result<bool, Trouble> {
    let mut frozen: Vec<u32> = vec![];
    loop {
        let pids = reached(machine, target).await?;
        if pids.is_empty() {
            return Ok(false);
        }
        // What was started between the list and the signal is on the next list.
        if pids.iter().all(|pid| frozen.contains(pid)) {
            return Ok(true);
        }
        if !signal_main(machine, "STOP", &pids).await? {
            return Ok(false);
        }
        until(machine, &pids, "stopped after SIGSTOP", |state| state.is_none_or(|s| s == 'T' || is_over(s))).await?;
        frozen = pids;
    }
}

/// Lets them go on; whatever has ended meanwhile stays so. Whether there was a frozen main process to go on.
///
/// # Errors
/// When the container does not answer, or the signal did not do its work within 3 s.
pub async fn thaw(machine: &Machine, target: Target) -> Result<bool, Trouble> {
    let table = machine.script("ps -eo pid=,stat=,ppid=").await?;
    let pids = reached_in(&table, target);
    if state_of(&table, target.main) != Some('T') || !signal_main(machine, "CONT", &pids).await? {
        return Ok(false);
    }
    until(machine, &pids, "running after SIGCONT", |state| state != Some('T')).await?;
    Ok(true)
}

/// The processes that a signal goes to, the main one first, by the container's table at this moment; none when the main one
/// has ended, whatever is left of the others.
async fn reached(machine: &Machine, target: Target) -> Result<Vec<u32>, Trouble> {
    let table = machine.script("ps -eo pid=,stat=,ppid=").await?;
    Ok(reached_in(&table, target))
}

fn reached_in(table: &str, target: Target) -> Vec<u32> {
    if state_of(table, target.main).is_none_or(is_over) {
        return vec![];
    }
    if !target.with_descendants {
        return vec![target.main];
    }
    let mut all = descendants(target.main, table);
    all.retain(|pid| !state_of(table, *pid).is_none_or(is_over));
    all
}

/// A process that has ended and was not waited for yet (`Z`), or is about to be gone (`X`).
const fn is_over(state: char) -> bool {
    matches!(state, 'Z' | 'X')
}

/// A process and everything below it, from lines of `pid stat ppid`.
fn descendants(main: u32, table: &str) -> Vec<u32> {
    let pairs: Vec<(u32, u32)> = table
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some((words.first()?.parse().ok()?, words.get(2)?.parse().ok()?))
        })
        .collect();
    let mut found = vec![main];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(pairs.iter().filter(|(_, ppid)| *ppid == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// Sends a signal to the first of them and, if that one lives, to the others; whether it lived. Looked at in the same breath:
/// `kill` succeeds for a process that has ended and was not waited for.
async fn signal_main(machine: &Machine, name: &str, pids: &[u32]) -> Result<bool, Trouble> {
    let Some((main, others)) = pids.split_first() else { return Ok(false) };
    let others = others.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let script = format!(
        "case \"$(ps -o stat= -p {main})\" in ''|Z*|X*) echo over; exit 0;; esac; \
         kill -s {name} {main} 2>/dev/null || {{ echo over; exit 0; }}; \
         for pid in {others}; do kill -s {name} $pid 2>/dev/null || true; done"
    );
    Ok(machine.script(&script).await?.trim() != "over")
}

/// Sends a signal to a main process; whether it lived.
///
/// # Errors
/// When the container does not answer.
pub async fn signal(machine: &Machine, name: &str, main: u32) -> Result<bool, Trouble> {
    signal_main(machine, name, &[main]).await
}

async fn until(
    machine: &Machine,
    pids: &[u32],
    what: &str,
    right: impl Fn(Option<char>) -> bool,
) -> Result<(), Trouble> {
    let began = Instant::now();
    loop {
        let table = machine.script("ps -eo pid=,stat=").await?;
        let wrong: Vec<u32> = pids.iter().copied().filter(|pid| !right(state_of(&table, *pid))).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        if began.elapsed() > LIMIT {
            return Err(machine.trouble(format!("the processes {wrong:?} are not {what}")));
        }
        sleep(LOOK).await;
    }
}

/// The state of a process by a table of `pid stat`: `T` is stopped, `Z` has ended; `None` is no process.
fn state_of(table: &str, pid: u32) -> Option<char> {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace();
        let number: u32 = words.next()?.parse().ok()?;
        (number == pid).then(|| words.next()?.chars().next())?
    };
    table.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_from_the_process_table() {
        let table = "    1 Ss\n   17 Tsl\n  171 Z\n";
        assert_eq!(state_of(table, 17), Some('T'));
        assert_eq!(state_of(table, 171), Some('Z'));
        assert_eq!(state_of(table, 7), None);
    }

    #[test]
    fn a_process_comes_with_all_that_it_has_started() {
        let table = "  1 Ss 0\n 10 S 1\n 11 S 10\n 12 S 11\n 13 Z 11\n 20 S 1\n";
        let of = |main, with_descendants| reached_in(table, Target { main, with_descendants });
        assert_eq!(of(10, true), [10, 11, 12]);
        assert_eq!(of(10, false), [10]);
        assert_eq!(of(20, true), [20]);
    }

    #[test]
    fn whoever_has_ended_is_no_target_whatever_it_has_left_behind() {
        let table = " 10 Z 1\n 11 S 10\n";
        for main in [10, 12] {
            for with_descendants in [false, true] {
                assert!(reached_in(table, Target { main, with_descendants }).is_empty(), "{main}");
            }
        }
    }
}
