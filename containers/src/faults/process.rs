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

use super::machine::{Machine, Trouble};
use crate::cluster::Cluster;

/// A signal has done its work by then, or never will.
const LIMIT: Duration = Duration::from_secs(3);

/// Between two looks at the process table.
const LOOK: Duration = Duration::from_millis(50);

/// The processes that a signal to this one goes to, the main one first.
pub(super) async fn reached(cluster: &Cluster, process: Process, host: &str) -> Result<Vec<u32>, Trouble> {
    match process {
        Process::Postgres => {
            let trouble = |what| Trouble { host: host.to_owned(), what };
            cluster.pids(process, host).await.map_err(trouble)
        }
        _ => Ok(cluster.pid(process, host).into_iter().collect()),
    }
}

/// Kills them at once; they are gone when this returns.
///
/// # Errors
/// When the container does not answer, or the signal did not do its work within 3 s.
pub async fn kill(machine: &Machine, pids: &[u32]) -> Result<(), Trouble> {
    signal(machine, "KILL", pids).await?;
    until(machine, pids, "gone after SIGKILL", |state| state.is_none_or(|state| state == 'Z')).await
}

/// Freezes them, the main one first, so that it starts no other meanwhile; they stand still when this returns.
///
/// # Errors
/// When the container does not answer, or the signal did not do its work within 3 s.
pub async fn freeze(machine: &Machine, pids: &[u32]) -> Result<(), Trouble> {
    signal(machine, "STOP", pids).await?;
    until(machine, pids, "stopped after SIGSTOP", |state| state.is_none_or(|state| state == 'T')).await
}

/// Lets them go on; whatever has ended meanwhile stays so.
///
/// # Errors
/// When the container does not answer, or the signal did not do its work within 3 s.
pub async fn thaw(machine: &Machine, pids: &[u32]) -> Result<(), Trouble> {
    signal(machine, "CONT", pids).await?;
    until(machine, pids, "running after SIGCONT", |state| state != Some('T')).await
}

/// Sends a signal. A process that has ended already needs none.
pub(super) async fn signal(machine: &Machine, name: &str, pids: &[u32]) -> Result<(), Trouble> {
    let pids = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    machine.script(&format!("for pid in {pids}; do kill -s {name} $pid 2>/dev/null || true; done")).await.map(drop)
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
    use super::state_of;

    #[test]
    fn states_are_read_from_the_process_table() {
        let table = "    1 Ss\n   17 Tsl\n  171 Z\n";
        assert_eq!(state_of(table, 17), Some('T'));
        assert_eq!(state_of(table, 171), Some('Z'));
        assert_eq!(state_of(table, 7), None);
    }
}
