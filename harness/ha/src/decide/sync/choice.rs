//! Which standbys should be synchronous (`SyncHandler.current_state`, `_ReplicaList`).

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::Lsn;
use crate::config::Config;

/// A standby that may be synchronous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The member's name.
    pub name: String,
    /// It must not become the leader: as the only synchronous standby it would make a failover impossible.
    pub nofailover: bool,
    /// Higher is preferred.
    pub sync_priority: i64,
    /// It is synchronous now, or is about to be.
    pub is_synchronous: bool,
    /// What it has flushed.
    pub flush_lsn: Lsn,
}

/// Picks the standbys. In quorum mode all that are fit; else the first `synchronous_node_count` by: allowed to lead (Patroni
/// issue 2089), `sync_priority`, synchronous already, most WAL, name.
pub fn choose(candidates: &[Candidate], config: &Config) -> BTreeSet<String> {
    let ahead = candidates.iter().map(|candidate| candidate.flush_lsn).max().unwrap_or_default();
    let fits = |candidate: &&Candidate| {
        let limit = config.maximum_lag_on_syncnode_bytes;
        limit.is_none_or(|limit| candidate.flush_lsn.bytes_behind(ahead) <= limit)
    };
    let mut fit: Vec<&Candidate> = candidates.iter().filter(fits).collect();
    fit.sort_by_key(|c| {
        (c.nofailover, Reverse(c.sync_priority), Reverse(c.is_synchronous), Reverse(c.flush_lsn), c.name.as_str())
    });
    let count = if config.is_quorum() { fit.len() } else { config.synchronous_node_count as usize };
    fit.into_iter().take(count).map(|candidate| candidate.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, flush_lsn: u64) -> Candidate {
        Candidate {
            name: name.into(),
            nofailover: false,
            sync_priority: 1,
            is_synchronous: false,
            flush_lsn: Lsn(flush_lsn),
        }
    }

    fn chosen(candidates: &[Candidate], config: &Config) -> Vec<String> {
        choose(candidates, config).into_iter().collect()
    }

    #[test]
    fn a_nofailover_node_is_synchronous_only_if_there_is_no_other_zoo_35() {
        let barred = Candidate { nofailover: true, is_synchronous: true, sync_priority: 9, ..candidate("a", 100) };
        assert_eq!(chosen(&[barred.clone(), candidate("b", 1)], &Config::default()), ["b"]);
        assert_eq!(chosen(&[barred], &Config::default()), ["a"]);
    }

    #[test]
    fn who_is_synchronous_stays_so_although_another_is_a_little_ahead() {
        let present = Candidate { is_synchronous: true, ..candidate("b", 90) };
        assert_eq!(chosen(&[candidate("a", 100), present], &Config::default()), ["b"]);
    }

    #[test]
    fn maximum_lag_on_syncnode_evicts_a_laggard() {
        let config = Config { maximum_lag_on_syncnode_bytes: Some(5), ..Config::default() };
        let present = Candidate { is_synchronous: true, ..candidate("b", 90) };
        assert_eq!(chosen(&[candidate("a", 100), present], &config), ["a"]);
    }
}
