//! Parameters that Patroni controls: alike on all members, or following from other settings.

use serde_json::{Map, Value};

use crate::value;

/// Parameters that must be alike on all members, with Patroni's defaults (`ConfigHandler.CMDLINE_OPTIONS`; documentation "Dynamic
/// Configuration Settings", the parameters controlled by Patroni). Only the dynamic configuration may change them.
const CLUSTER_WIDE: &[(&str, &str, Legal)] = &[
    ("max_connections", "100", Legal::AtLeast(25, None)),
    ("max_locks_per_transaction", "64", Legal::AtLeast(32, None)),
    ("max_prepared_transactions", "0", Legal::AtLeast(0, None)),
    ("max_replication_slots", "10", Legal::AtLeast(4, None)),
    ("max_wal_senders", "10", Legal::AtLeast(3, None)),
    ("max_worker_processes", "8", Legal::AtLeast(2, None)),
    ("track_commit_timestamp", "off", Legal::Switch),
    ("wal_keep_size", "128MB", Legal::AtLeast(16, Some("MB"))),
    ("wal_level", "replica", Legal::Words(&["replica", "hot_standby", "logical"])),
    ("wal_log_hints", "on", Legal::Switch),
];

/// What a cluster can work with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Legal {
    AtLeast(i128, Option<&'static str>),
    Switch,
    Words(&'static [&'static str]),
}

impl Legal {
    pub(super) fn accepts(self, value: &Value) -> bool {
        match self {
            Self::AtLeast(least, unit) => value::integer(value, unit).is_some_and(|number| number >= least),
            Self::Switch => value::switch(value).is_some(),
            Self::Words(words) => {
                value.as_str().is_some_and(|found| words.iter().any(|word| word.eq_ignore_ascii_case(found)))
            }
        }
    }

    /// Whether a value that is not accepted is nothing that PostgreSQL could use either.
    pub(super) fn is_senseless(self, value: &Value) -> bool {
        match self {
            Self::AtLeast(_, unit) => value::integer(value, unit).is_none(),
            Self::Switch => true,
            Self::Words(_) => value.as_str().is_none_or(|found| !found.eq_ignore_ascii_case("minimal")),
        }
    }

    /// Whether some of what is accepted is an older name, which PostgreSQL takes without telling.
    pub(super) const fn has_old_names(self) -> bool {
        matches!(self, Self::Words(_))
    }

    pub(super) fn expected(self) -> String {
        match self {
            Self::AtLeast(least, None) => format!("a whole number of at least {least}"),
            Self::AtLeast(least, Some(unit)) => format!("at least {least}{unit}"),
            Self::Switch => "on or off".into(),
            // The others are older names of it.
            Self::Words(_) => "replica or logical".into(),
        }
    }
}

/// Parameters that Patroni passes on the command line and takes from the DCS only (documentation, "Important rules"); in a node's
/// own file it passes them over.
pub const FROM_DCS_ONLY: [&str; 11] = [
    "max_connections",
    "max_locks_per_transaction",
    "max_worker_processes",
    "max_prepared_transactions",
    "wal_level",
    "track_commit_timestamp",
    "max_wal_senders",
    "max_replication_slots",
    "wal_log_hints",
    "wal_keep_size",
    "wal_keep_segments",
];

/// Those that must be alike on all members, with Patroni's defaults.
pub fn cluster_wide() -> impl Iterator<Item = (&'static str, &'static str)> {
    CLUSTER_WIDE.iter().map(|(name, default, _)| (*name, *default))
}

/// Patroni's default of one of them.
#[must_use]
pub fn default_of(name: &str) -> Option<&'static str> {
    legal(name).map(|(default, _)| default)
}

pub(super) fn legal(name: &str) -> Option<(&'static str, Legal)> {
    CLUSTER_WIDE
        .iter()
        .find(|(known, ..)| name.eq_ignore_ascii_case(known))
        .map(|(_, default, legal)| (*default, *legal))
}

/// Gives a parameter that was renamed its present name, as Patroni does (`ConfigHandler.get_server_parameters`):
/// `wal_keep_segments: 8` is `wal_keep_size: 128MB`, the segments being of 16 MB. Where both are given the present name counts.
pub fn rename(parameters: &mut Map<String, Value>) {
    let Some(segments) = parameters.shift_remove("wal_keep_segments") else { return };
    if let Some(segments) = value::integer(&segments, None).filter(|segments| *segments > 0) {
        parameters.entry("wal_keep_size").or_insert_with(|| format!("{}MB", segments.saturating_mul(16)).into());
    }
}

/// What a parameter follows from that nobody sets as such: `postgresql.listen` for `port`.
#[must_use]
pub fn follows(name: &str) -> Option<&'static str> {
    const FOLLOWS: [(&str, &str); 4] = [
        ("listen_addresses", "postgresql.listen in each node's own file"),
        ("port", "postgresql.listen in each node's own file"),
        ("cluster_name", "scope in each node's own file"),
        ("hot_standby", "nothing, since it is always on"),
    ];
    FOLLOWS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, from)| *from)
}
