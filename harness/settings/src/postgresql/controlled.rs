//! Parameters of which users do not have the last word: alike on all members, or following from other settings. The one table
//! of them, for what is said about a configuration and for what a server is given.

use serde_json::{Map, Value};

use crate::value;

/// What a controlled parameter follows from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Controlled {
    /// Other settings: whatever is said about the parameter does not count.
    Follows(&'static str),
    /// Always on, and may be said to be.
    AlwaysOn,
    /// Alike on all members: only the dynamic configuration may change the parameter, to something that a cluster can work with.
    /// Otherwise this default of Patroni's counts.
    ClusterWide(&'static str, Legal),
}

use Controlled::{AlwaysOn, ClusterWide, Follows};

const LISTEN: &str = "postgresql.listen in each node's own file";
const CUSTOM_CONF: &str = "postgresql.custom_conf in each node's own file";
const ALWAYS_ON: &str = "nothing, since it is always on";
/// Whom a standby follows and how far; a `primary_conninfo` may hold a password.
const RECOVERY: &str = "nothing: a member follows the leader, to the end of its latest timeline";

/// Patroni's `ConfigHandler.CMDLINE_OPTIONS`, `_RECOVERY_PARAMETERS` and `get_server_parameters`, and what
/// `Config._process_postgresql_parameters` leaves out (documentation "Dynamic Configuration Settings", the parameters controlled
/// by Patroni).
const CONTROLLED: &[(&str, Controlled)] = &[
    ("cluster_name", Follows("scope in each node's own file")),
    ("config_file", Follows("postgresql.config_dir in each node's own file")),
    ("data_directory", Follows("postgresql.data_dir in each node's own file")),
    ("hot_standby", AlwaysOn),
    ("include", Follows(CUSTOM_CONF)),
    ("include_dir", Follows(CUSTOM_CONF)),
    ("include_if_exists", Follows(CUSTOM_CONF)),
    ("listen_addresses", Follows(LISTEN)),
    ("max_connections", ClusterWide("100", Legal::AtLeast(25, None))),
    ("max_locks_per_transaction", ClusterWide("64", Legal::AtLeast(32, None))),
    ("max_prepared_transactions", ClusterWide("0", Legal::AtLeast(0, None))),
    ("max_replication_slots", ClusterWide("10", Legal::AtLeast(4, None))),
    ("max_wal_senders", ClusterWide("10", Legal::AtLeast(3, None))),
    ("max_worker_processes", ClusterWide("8", Legal::AtLeast(2, None))),
    ("port", Follows(LISTEN)),
    ("primary_conninfo", Follows(RECOVERY)),
    ("primary_slot_name", Follows(RECOVERY)),
    ("recovery_target", Follows(RECOVERY)),
    ("recovery_target_action", Follows(RECOVERY)),
    ("recovery_target_inclusive", Follows(RECOVERY)),
    ("recovery_target_lsn", Follows(RECOVERY)),
    ("recovery_target_name", Follows(RECOVERY)),
    ("recovery_target_time", Follows(RECOVERY)),
    ("recovery_target_timeline", Follows(RECOVERY)),
    ("recovery_target_xid", Follows(RECOVERY)),
    ("track_commit_timestamp", ClusterWide("off", Legal::Switch)),
    ("wal_keep_size", ClusterWide("128MB", Legal::AtLeast(16, Some("MB")))),
    ("wal_level", ClusterWide("replica", Legal::Words(&["replica", "hot_standby", "logical"]))),
    ("wal_log_hints", ClusterWide("on", Legal::Switch)),
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

fn controlled(name: &str) -> Option<Controlled> {
    CONTROLLED.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, by)| *by)
}

/// Those that must be alike on all members, with Patroni's defaults.
pub fn cluster_wide() -> impl Iterator<Item = (&'static str, &'static str)> {
    CONTROLLED
        .iter()
        .filter_map(|(name, by)| if let ClusterWide(default, _) = by { Some((*name, *default)) } else { None })
}

/// Patroni's default of one of them.
#[must_use]
pub fn default_of(name: &str) -> Option<&'static str> {
    legal(name).map(|(default, _)| default)
}

pub(super) fn legal(name: &str) -> Option<(&'static str, Legal)> {
    if let ClusterWide(default, legal) = controlled(name)? { Some((default, legal)) } else { None }
}

/// Parameters that do not count wherever they are set, each with what it follows from: `postgresql.listen` for `port`.
pub fn following() -> impl Iterator<Item = (&'static str, &'static str)> {
    CONTROLLED.iter().filter_map(|(name, _)| Some((*name, follows(name)?)))
}

/// What a parameter follows from that does not count wherever it is set.
#[must_use]
pub fn follows(name: &str) -> Option<&'static str> {
    match controlled(name)? {
        Follows(from) => Some(from),
        AlwaysOn => Some(ALWAYS_ON),
        ClusterWide(..) => None,
    }
}

/// Whether what is said about such a parameter may be shown.
pub(super) fn is_harmless(from: &str) -> bool {
    from != RECOVERY
}

/// Gives a parameter that was renamed its present name, as Patroni does (`ConfigHandler.get_server_parameters`):
/// `wal_keep_segments: 8` is `wal_keep_size: 128MB`, the segments being of 16 MB. Where both are given the present name counts.
pub fn rename(parameters: &mut Map<String, Value>) {
    let Some(segments) = parameters.shift_remove("wal_keep_segments") else { return };
    if let Some(size) = size_of_segments(&segments) {
        parameters.entry("wal_keep_size").or_insert_with(|| size.into());
    }
}

/// `wal_keep_size` for a number of WAL segments of the usual size.
#[must_use]
pub fn size_of_segments(segments: &Value) -> Option<String> {
    let segments = value::integer(segments, None).filter(|segments| *segments > 0)?;
    Some(format!("{}MB", segments.saturating_mul(16)))
}
