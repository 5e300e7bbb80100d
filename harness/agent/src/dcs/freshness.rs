//! Recognises an answer that is older than one we already had.
//!
//! A member that was cut off can answer from its past (Patroni issues 3314 and 3359: the new leader read its
//! predecessor's name and demoted itself). Linearizable reads exclude that as long as etcd works as promised; this check
//! costs nothing and does not depend on the promise.

/// The newest state of the store this agent has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Freshness {
    cluster_id: u64,
    raft_term: u64,
    revision: i64,
}

impl Freshness {
    /// Takes note of an answer; an error says in what way it is stale.
    ///
    /// Another `cluster_id` means that etcd was set up anew (a restored backup): its terms and revisions start over.
    pub(super) fn admit(&mut self, cluster_id: u64, raft_term: u64, revision: i64) -> Result<(), String> {
        if cluster_id != self.cluster_id {
            *self = Self { cluster_id, raft_term, revision };
            return Ok(());
        }
        if raft_term < self.raft_term {
            return Err(format!("stale member: raft term {raft_term}, {} was seen before", self.raft_term));
        }
        if revision < self.revision {
            return Err(format!("stale member: revision {revision}, {} was seen before", self.revision));
        }
        (self.raft_term, self.revision) = (raft_term, revision);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_raft_term_or_revision_is_stale_and_a_new_cluster_starts_over() {
        let mut seen = Freshness::default();
        assert_eq!(seen.admit(1, 5, 100), Ok(()));
        assert_eq!(seen.admit(1, 5, 100), Ok(()));
        assert!(seen.admit(1, 4, 101).is_err(), "a member that missed an election");
        assert!(seen.admit(1, 5, 99).is_err(), "a member that missed writes");
        assert_eq!(seen.admit(1, 6, 100), Ok(()));
        assert_eq!(seen.admit(2, 1, 1), Ok(()), "etcd was set up anew");
    }
}
