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
    /// How far it is in what commits wait for: [`AwaitedPosition`](crate::view::AwaitedPosition).
    pub position: Lsn,
}

/// Picks the standbys: the first `synchronous_node_count` by: allowed to lead (Patroni issue 2089), `sync_priority`,
/// synchronous already, furthest, name. In quorum mode all that are fit, of those that must not lead only as many as it takes
/// to have `synchronous_node_count`: an acknowledged commit may be on none but them.
///
/// `current_lsn`: the primary's own position, which the only candidate is compared with.
pub fn choose(candidates: &[Candidate], config: &Config, current_lsn: Option<Lsn>) -> BTreeSet<String> {
    let ahead = match candidates {
        // Nobody to compare it with: a standby that stands still is as far behind as the primary has gone.
        [only] => current_lsn.unwrap_or(only.position),
        all => all.iter().map(|candidate| candidate.position).max().unwrap_or_default(),
    };
    let fits = |candidate: &&Candidate| {
        let limit = config.maximum_lag_on_syncnode_bytes;
        limit.is_none_or(|limit| candidate.position.bytes_behind(ahead) <= limit)
    };
    let mut fit: Vec<&Candidate> = candidates.iter().filter(fits).collect();
    fit.sort_by_key(|c| {
        (c.nofailover, Reverse(c.sync_priority), Reverse(c.is_synchronous), Reverse(c.position), c.name.as_str())
    });
    let may_lead = fit.iter().filter(|candidate| !candidate.nofailover).count();
    let wanted = config.synchronous_node_count as usize;
    let count = if config.is_quorum() { wanted.max(may_lead) } else { wanted };
    fit.into_iter().take(count).map(|candidate| candidate.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SynchronousMode;
    use crate::view::{AwaitedPosition, StandbyView};

    fn candidate(name: &str, position: u64) -> Candidate {
        Candidate {
            name: name.into(),
            nofailover: false,
            sync_priority: 1,
            is_synchronous: false,
            position: Lsn(position),
        }
    }

    fn chosen(candidates: &[Candidate], config: &Config) -> Vec<String> {
        choose(candidates, config, Some(Lsn(100))).into_iter().collect()
    }

    #[test]
    fn a_nofailover_node_is_synchronous_only_if_there_is_no_other_zoo_35() {
        let barred = Candidate { nofailover: true, is_synchronous: true, sync_priority: 9, ..candidate("a", 100) };
        assert_eq!(chosen(&[barred.clone(), candidate("b", 1)], &Config::default()), ["b"]);
        assert_eq!(chosen(&[barred], &Config::default()), ["a"]);
    }

    #[test]
    fn in_quorum_mode_nofailover_nodes_only_make_up_the_number() {
        let barred = |name: &str| Candidate { nofailover: true, ..candidate(name, 100) };
        let all = [barred("a"), candidate("b", 1), candidate("c", 1), barred("d")];
        for (count, expected) in [(1, vec!["b", "c"]), (2, vec!["b", "c"]), (3, vec!["a", "b", "c"])] {
            let config = Config {
                synchronous_mode: SynchronousMode::Quorum,
                synchronous_node_count: count,
                ..Config::default()
            };
            assert_eq!(chosen(&all, &config), expected, "synchronous_node_count {count}");
        }
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
        assert_eq!(chosen(&[candidate("a", 100), present.clone()], &config), ["a"]);
        // Alone it is compared with the primary.
        assert_eq!(chosen(std::slice::from_ref(&present), &config), [""; 0]);
        assert_eq!(chosen(&[Candidate { position: Lsn(95), ..present }], &config), ["b"]);
    }

    /// pg2 has everything and stands still in one of the three; pg3 is a little behind in all of them.
    #[test]
    fn a_standby_is_measured_by_the_position_that_synchronous_commit_makes_matter() {
        let standby = |write, flush, replay| StandbyView {
            write_lsn: Lsn(write),
            flush_lsn: Lsn(flush),
            replay_lsn: Lsn(replay),
            ..StandbyView::default()
        };
        let config = Config { maximum_lag_on_syncnode_bytes: Some(50), ..Config::default() };
        for (synchronous_commit, pg2, expected) in [
            ("remote_apply", standby(1000, 1000, 10), "pg3"),
            ("on", standby(1000, 1000, 10), "pg2"),
            ("remote_write", standby(1000, 1000, 10), "pg2"),
            ("on", standby(1000, 10, 10), "pg3"),
            ("remote_write", standby(1000, 10, 10), "pg2"),
            ("remote_write", standby(10, 10, 10), "pg3"),
            ("local", standby(1000, 10, 10), "pg3"),
            ("off", standby(1000, 1000, 10), "pg2"),
        ] {
            let awaited = AwaitedPosition::of(synchronous_commit);
            let of =
                |name: &str, view: StandbyView| Candidate { position: view.position(awaited), ..candidate(name, 0) };
            let all = [Candidate { is_synchronous: true, ..of("pg2", pg2) }, of("pg3", standby(990, 990, 990))];
            assert_eq!(chosen(&all, &config), [expected], "synchronous_commit {synchronous_commit}");
        }
    }
}
