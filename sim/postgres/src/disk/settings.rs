//! Configuration parameters (GUCs): defaults, and the ones the model itself acts upon.

use std::{collections::BTreeMap, time::Duration};

use crate::Version;

/// PostgreSQL's defaults of the parameters that can be shown. Anything else is an unknown parameter unless set.
const DEFAULTS: &[(&str, &str)] = &[
    ("archive_command", ""),
    ("archive_mode", "off"),
    ("application_name", ""),
    ("checkpoint_timeout", "5min"),
    ("client_encoding", "UTF8"),
    ("cluster_name", ""),
    ("data_checksums", "off"),
    ("datestyle", "ISO, MDY"),
    ("default_transaction_read_only", "off"),
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("hot_standby", "on"),
    ("hot_standby_feedback", "off"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "on"),
    ("lc_messages", "C.UTF-8"),
    ("listen_addresses", "localhost"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("log_statement", "none"),
    ("max_connections", "100"),
    ("max_locks_per_transaction", "64"),
    ("max_prepared_transactions", "0"),
    ("max_replication_slots", "10"),
    ("max_slot_wal_keep_size", "-1"),
    ("max_wal_senders", "10"),
    ("max_wal_size", "1GB"),
    ("max_worker_processes", "8"),
    ("port", "5432"),
    ("primary_conninfo", ""),
    ("primary_slot_name", ""),
    ("recovery_min_apply_delay", "0"),
    ("recovery_target_timeline", "latest"),
    ("restore_command", ""),
    ("search_path", "\"$user\", public"),
    ("server_encoding", "UTF8"),
    ("session_authorization", "postgres"),
    ("shared_buffers", "128MB"),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("synchronous_commit", "on"),
    ("synchronous_standby_names", ""),
    ("timezone", "UTC"),
    ("track_commit_timestamp", "off"),
    ("unix_socket_directories", "/var/run/postgresql"),
    ("wal_keep_size", "0"),
    ("wal_level", "replica"),
    ("wal_log_hints", "off"),
    ("wal_receiver_status_interval", "10s"),
    ("wal_receiver_timeout", "1min"),
    ("wal_retrieve_retry_interval", "5s"),
    ("wal_segment_size", "16MB"),
    ("wal_sender_timeout", "1min"),
];

/// Parameters that only a restart changes (`pg_settings.context = 'postmaster'`).
pub const POSTMASTER_PARAMETERS: &[&str] = &[
    "archive_mode",
    "cluster_name",
    "hot_standby",
    "listen_addresses",
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_wal_senders",
    "max_worker_processes",
    "port",
    "shared_buffers",
    "track_commit_timestamp",
    "unix_socket_directories",
    "wal_level",
    "wal_log_hints",
];

/// The configuration a process works with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The server's version.
    pub version: Version,
    /// All parameters as text, lower-case names.
    pub values: BTreeMap<String, String>,
    /// `wal_keep_size` in bytes.
    pub wal_keep_bytes: u64,
    /// `max_slot_wal_keep_size` in bytes; `None`: no limit (-1).
    pub max_slot_wal_keep_bytes: Option<u64>,
    /// `wal_sender_timeout`; `None`: disabled (0).
    pub wal_sender_timeout: Option<Duration>,
    /// `wal_receiver_timeout`; `None`: disabled (0).
    pub wal_receiver_timeout: Option<Duration>,
    /// `wal_receiver_status_interval`; `None`: disabled (0).
    pub wal_receiver_status_interval: Option<Duration>,
    /// `wal_retrieve_retry_interval`.
    pub wal_retrieve_retry_interval: Duration,
    /// `recovery_min_apply_delay`.
    pub recovery_min_apply_delay: Duration,
    /// `primary_conninfo`, parsed; empty when not set.
    pub primary_conninfo: BTreeMap<String, String>,
}

impl Settings {
    /// Defaults of a version overlaid with a configuration file's values.
    #[must_use]
    pub fn load(version: Version, configuration: &BTreeMap<String, String>) -> Self {
        let mut values: BTreeMap<String, String> =
            DEFAULTS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        values.extend(configuration.iter().map(|(name, value)| (name.clone(), value.clone())));
        values.insert("server_version".to_owned(), version.server_version());
        values.insert("server_version_num".to_owned(), version.server_version_num());
        let mut settings = Self { version, values, ..Self::default() };
        settings.derive();
        settings
    }

    /// What a reload makes of it: parameters that need a restart keep their value.
    #[must_use]
    pub fn reload(&self, configuration: &BTreeMap<String, String>) -> Self {
        let mut fresh = Self::load(self.version, configuration);
        for name in POSTMASTER_PARAMETERS {
            if let Some(value) = self.values.get(*name) {
                fresh.values.insert((*name).to_owned(), value.clone());
            }
        }
        fresh
    }

    fn derive(&mut self) {
        self.wal_keep_bytes = self.bytes("wal_keep_size").unwrap_or(0);
        self.max_slot_wal_keep_bytes = self.bytes("max_slot_wal_keep_size");
        self.wal_sender_timeout = self.duration("wal_sender_timeout", 1.0);
        self.wal_receiver_timeout = self.duration("wal_receiver_timeout", 1.0);
        self.wal_receiver_status_interval = self.duration("wal_receiver_status_interval", 1000.0);
        self.wal_retrieve_retry_interval =
            self.duration("wal_retrieve_retry_interval", 1.0).unwrap_or(Duration::from_secs(5));
        self.recovery_min_apply_delay = self.duration("recovery_min_apply_delay", 1.0).unwrap_or_default();
        self.primary_conninfo = parse_conninfo(self.get("primary_conninfo"));
    }

    /// A parameter's value, empty when it is not known.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// A parameter that is a number, or `default`.
    #[must_use]
    pub fn number(&self, name: &str, default: u32) -> u32 {
        self.get(name).trim().parse().unwrap_or(default)
    }

    /// A boolean parameter.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name).to_ascii_lowercase().as_str(), "on" | "true" | "yes" | "1")
    }

    fn duration(&self, name: &str, unit_ms: f64) -> Option<Duration> {
        parse_duration(self.get(name), unit_ms).filter(|duration| !duration.is_zero())
    }

    /// A size whose unit is megabytes when none is given; `None` when it is -1 or not a size.
    fn bytes(&self, name: &str) -> Option<u64> {
        let (number, unit) = split_unit(self.get(name));
        let factor: f64 = match unit {
            "" | "MB" => 1024.0 * 1024.0,
            "B" => 1.0,
            "kB" => 1024.0,
            "GB" => 1024.0 * 1024.0 * 1024.0,
            "TB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return None,
        };
        number.filter(|number| *number >= 0.0).map(|number| (number * factor) as u64)
    }
}

fn split_unit(text: &str) -> (Option<f64>, &str) {
    let text = text.trim();
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    (text[..digits].parse().ok(), text[digits..].trim())
}

/// A time parameter: a number with `us`, `ms`, `s`, `min`, `h` or `d`; without a unit it counts `unit_ms` milliseconds.
#[must_use]
pub fn parse_duration(text: &str, unit_ms: f64) -> Option<Duration> {
    let (number, unit) = split_unit(text);
    let unit_ms = match unit {
        "" => unit_ms,
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number? * unit_ms / 1000.0).ok()
}

/// A libpq connection string of `key=value` pairs, values optionally in single quotes with backslash escapes.
#[must_use]
pub fn parse_conninfo(text: &str) -> BTreeMap<String, String> {
    let mut pairs = BTreeMap::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace() || *c == '=').is_some() {}
        if key.is_empty() {
            return pairs;
        }
        let quoted = chars.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        while let Some(c) = chars.next_if(|c| if quoted { *c != '\'' } else { !c.is_whitespace() }) {
            value.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
        }
        if quoted {
            chars.next();
        }
        pairs.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_with_their_units() {
        for (text, ms) in [("0", 0), ("5s", 5000), ("1min", 60_000), ("250", 250), ("1.5 s", 1500)] {
            assert_eq!(parse_duration(text, 1.0), Some(Duration::from_millis(ms)), "{text}");
        }
        assert_eq!(parse_duration("soon", 1.0), None);
        let configured = BTreeMap::from([("wal_keep_size".to_owned(), "128MB".to_owned())]);
        assert_eq!(Settings::load(Version::default(), &configured).wal_keep_bytes, 128 << 20);
        assert_eq!(Settings::load(Version::default(), &configured).max_slot_wal_keep_bytes, None);
    }

    #[test]
    fn a_conninfo_is_split_into_its_pairs() {
        let pairs = parse_conninfo(r"host=10.0.0.1 port = 5433 application_name='pg\'2 x' user=''");
        let expected = [("application_name", "pg'2 x"), ("host", "10.0.0.1"), ("port", "5433"), ("user", "")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert!(parse_conninfo("").is_empty());
    }

    #[test]
    fn a_reload_leaves_parameters_that_need_a_restart() {
        let old = Settings::load(Version::default(), &BTreeMap::new());
        let file = BTreeMap::from([("max_connections".into(), "7".into()), ("wal_keep_size".into(), "1GB".into())]);
        let new = old.reload(&file);
        assert_eq!((new.get("max_connections"), new.get("wal_keep_size")), ("100", "1GB"));
    }
}
