//! Every SQL statement the agent sends, in one place. All are valid on PostgreSQL 16 and stay within plain `SELECT`s of
//! functions and catalog views, `CHECKPOINT` and role creation, sent by the simple query protocol.

use pgdrill_ha::Lsn;

/// Role, positions and the settings that decisions depend on: one row. Functions that raise an error in or out of recovery
/// stand behind `CASE`.
pub const STATE: &str = "SELECT pg_is_in_recovery(), \
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_current_wal_flush_lsn() END, \
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END, \
    pg_last_wal_receive_lsn(), \
    pg_last_wal_replay_lsn(), \
    CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END, \
    pg_postmaster_start_time(), \
    current_setting('server_version_num'), \
    current_setting('synchronous_standby_names'), \
    current_setting('primary_conninfo'), \
    current_setting('primary_slot_name'), \
    pg_last_xact_replay_timestamp()";

/// The walreceiver of a standby: one row, or none.
pub const WALRECEIVER: &str = "SELECT status, received_tli, latest_end_lsn FROM pg_stat_wal_receiver";

/// The standbys of a server.
pub const STANDBYS: &str = "SELECT application_name, state, sync_state, sync_priority, write_lsn, flush_lsn, replay_lsn, \
    usename, client_addr FROM pg_stat_replication";

/// Its replication slots.
pub const SLOTS: &str = "SELECT slot_name, slot_type, active, restart_lsn, confirmed_flush_lsn, wal_status, database, \
    plugin FROM pg_replication_slots";

/// Role and timeline of the leader, asked before a rewind; the timeline as in a WAL file's name.
pub const LEADER_TIMELINE: &str = "SELECT pg_is_in_recovery(), \
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END";

/// Writes a checkpoint and waits for it.
pub const CHECKPOINT: &str = "CHECKPOINT";

/// Goes on replaying.
pub const RESUME_REPLAY: &str = "SELECT pg_wal_replay_resume()";

/// Settings whose change waits for a restart.
pub const PENDING_RESTART: &str = "SELECT name, setting FROM pg_settings WHERE pending_restart = true";

/// A string literal.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The history file of a timeline, read on the server that is on it; empty when there is none.
#[must_use]
pub fn history_file(timeline: u32) -> String {
    format!("SELECT pg_read_file('pg_wal/{timeline:08X}.history', 0, 1000000, true)")
}

/// A physical slot that reserves WAL at once, so that it protects its standby from the beginning.
#[must_use]
pub fn create_physical_slot(slot: &str) -> String {
    format!("SELECT pg_create_physical_replication_slot({}, true)", literal(slot))
}

/// Drops a slot; an error when it is active.
#[must_use]
pub fn drop_slot(slot: &str) -> String {
    format!("SELECT pg_drop_replication_slot({})", literal(slot))
}

/// Moves a slot forward.
#[must_use]
pub fn advance_slot(slot: &str, to: Lsn) -> String {
    format!("SELECT pg_replication_slot_advance({}, '{to}')", literal(slot))
}

/// The role standbys connect with.
#[must_use]
pub fn create_replication_role(name: &str, password: Option<&str>) -> String {
    let password = password.map(|secret| format!(" PASSWORD {}", literal(secret))).unwrap_or_default();
    format!("CREATE ROLE \"{}\" WITH LOGIN REPLICATION{password}", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_cannot_leave_their_quotes() {
        assert_eq!(drop_slot("a'b"), "SELECT pg_drop_replication_slot('a''b')");
        assert_eq!(
            create_replication_role("re\"pl", Some("o'brien")),
            "CREATE ROLE \"re\"\"pl\" WITH LOGIN REPLICATION PASSWORD 'o''brien'"
        );
        assert_eq!(advance_slot("pg2", Lsn(0x300_0060)), "SELECT pg_replication_slot_advance('pg2', '0/3000060')");
        assert_eq!(history_file(31), "SELECT pg_read_file('pg_wal/0000001F.history', 0, 1000000, true)");
    }
}
