//! Where each record lives: `/{namespace}/{scope}/KEY`.

use std::fmt;

/// One key below the cluster's prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The leader lock; its value is the holder's bare name.
    Leader,
    /// One member's record.
    Member(String),
    /// The system identifier, or empty while a bootstrap runs.
    Initialize,
    /// The dynamic configuration.
    Config,
    /// The leader's WAL position and slots.
    Status,
    /// The position alone, as Patroni before 2.1 wrote it (`optime/leader`).
    OptimeLeader,
    /// The timelines' history.
    History,
    /// A requested switchover or failover.
    Failover,
    /// The synchronous standbys.
    Sync,
    /// The members that must agree in failsafe mode.
    Failsafe,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Key::Member(name) => return write!(f, "members/{name}"),
            Key::Leader => "leader",
            Key::Initialize => "initialize",
            Key::Config => "config",
            Key::Status => "status",
            Key::OptimeLeader => "optime/leader",
            Key::History => "history",
            Key::Failover => "failover",
            Key::Sync => "sync",
            Key::Failsafe => "failsafe",
        };
        f.write_str(name)
    }
}

/// Builds and reads the full paths of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// `namespace` is usually `service`; slashes around it do not matter, as in Patroni (`/db/` is `/db/`).
    pub fn new(namespace: &str, scope: &str) -> Self {
        let namespace = namespace.trim_matches('/');
        let parts = [namespace, scope].into_iter().filter(|part| !part.is_empty());
        Keys { prefix: parts.fold(String::new(), |path, part| path + "/" + part) + "/" }
    }

    /// The prefix below which everything of the cluster lies, with its final slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The full path of a key.
    pub fn path(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Which key a full path is; `None` for another cluster's keys and for those no record is kept under.
    pub fn parse(&self, path: &str) -> Option<Key> {
        let key = match path.strip_prefix(&self.prefix)? {
            "leader" => Key::Leader,
            "initialize" => Key::Initialize,
            "config" => Key::Config,
            "status" => Key::Status,
            "optime/leader" => Key::OptimeLeader,
            "history" => Key::History,
            "failover" => Key::Failover,
            "sync" => Key::Sync,
            "failsafe" => Key::Failsafe,
            other => {
                let name = other.strip_prefix("members/")?;
                // Patroni counts the slashes: a deeper path is not a member.
                (!name.is_empty() && !name.contains('/')).then(|| Key::Member(name.to_owned()))?
            }
        };
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_back_from_its_own_path() {
        let keys = Keys::new("/db/", "postgres-cluster");
        assert_eq!(keys.prefix(), "/db/postgres-cluster/");
        let all = [
            Key::Leader,
            Key::Member("pg1".into()),
            Key::Initialize,
            Key::Config,
            Key::Status,
            Key::OptimeLeader,
            Key::History,
            Key::Failover,
            Key::Sync,
            Key::Failsafe,
        ];
        for key in all {
            assert_eq!(keys.parse(&keys.path(&key)), Some(key));
        }
    }

    #[test]
    fn another_clusters_key_is_not_ours() {
        let keys = Keys::new("service", "a");
        assert_eq!(keys.parse("/service/ab/leader"), None);
        assert_eq!(keys.parse("/service/a/members/x/y"), None);
    }
}
