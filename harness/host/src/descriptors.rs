//! File descriptors. The agent takes as many as it may have, leaves most of them to its own loop, and hands the limit that it was
//! started with on to the programs that it starts: some of them take a large one for a list to go through.

use std::{io, sync::OnceLock};

use pgdrill_agent::config::MOST_CONNECTIONS;

/// More than this is of no use: with every connection to REST, etcd and PostgreSQL an agent has a few hundred.
const ENOUGH: libc::rlim_t = 65_536;
/// Fewer than this are soon used up by what an agent does of its own accord.
const FEW: libc::rlim_t = 256;

/// As this process was started.
static STARTED_WITH: OnceLock<libc::rlimit> = OnceLock::new();

/// Raises the soft limit (RLIMIT_NOFILE) as far as it may be raised; tells the one in force.
///
/// # Errors
/// The operating system's.
pub(crate) fn raise() -> io::Result<u64> {
    let before = limit()?;
    let wanted = before.rlim_max.min(ENOUGH).max(before.rlim_cur);
    let _ = STARTED_WITH.set(before);
    if wanted > before.rlim_cur {
        set(&libc::rlimit { rlim_cur: wanted, ..before })?;
        tracing::info!("the limit of open files is raised from {} to {wanted} (RLIMIT_NOFILE)", before.rlim_cur);
    }
    if wanted < FEW {
        tracing::warn!(
            "the agent may have {wanted} files open, which is few (RLIMIT_NOFILE): raise the hard limit (LimitNOFILE of the \
             systemd unit, `ulimit -Hn`)"
        );
    }
    Ok(wanted)
}

/// How many connections to the REST API leave the loop enough: a fourth of all descriptors, and never more than are of use.
pub(crate) fn for_rest(limit: u64) -> usize {
    usize::try_from(limit / 4).unwrap_or(usize::MAX).clamp(4, MOST_CONNECTIONS)
}

/// Gives a new program the limit that this process was started with. For between fork and exec: one system call, no memory.
///
/// # Errors
/// The operating system's.
pub(crate) fn hand_on() -> io::Result<()> {
    STARTED_WITH.get().map_or(Ok(()), set)
}

fn limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes to a structure of its own kind.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

fn set(limit: &libc::rlimit) -> io::Result<()> {
    // SAFETY: reads a structure of its own kind.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rest_gets_what_the_loop_can_do_without() {
        assert_eq!([16, 64, 1024, 65_536].map(for_rest), [4, 16, 256, 256]);
    }
}
