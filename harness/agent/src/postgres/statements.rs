//! Every SQL statement the agent sends, in one place. All are valid on PostgreSQL 16 and stay within plain `SELECT`s of
//! functions and catalog views, `CHECKPOINT` and role creation, sent by the simple query protocol.

use pgdrill_ha::Lsn;

use crate::config::User;

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
    pg_last_xact_replay_timestamp(), \
    current_setting('restore_command')";

/// The walreceiver of a standby: one row, or none.
pub const WALRECEIVER: &str = "SELECT status, received_tli, latest_end_lsn, written_lsn FROM pg_stat_wal_receiver";

/// The standbys of a server.
pub const STANDBYS: &str = "SELECT application_name, state, sync_state, sync_priority, write_lsn, flush_lsn, replay_lsn, \
    usename, client_addr FROM pg_stat_replication";

/// Its replication slots. Temporary ones end with their session, and are nobody else's business.
pub const SLOTS: &str = "SELECT slot_name, slot_type, active, restart_lsn, confirmed_flush_lsn, wal_status, database, \
    plugin FROM pg_replication_slots WHERE NOT temporary";

/// Role and timeline of the leader, asked before a rewind; the timeline as in a WAL file's name.
pub const LEADER_TIMELINE: &str = "SELECT pg_is_in_recovery(), \
    CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END";

/// Writes a checkpoint and waits for it.
pub const CHECKPOINT: &str = "CHECKPOINT";

/// Goes on replaying.
pub const RESUME_REPLAY: &str = "SELECT pg_wal_replay_resume()";

/// The settings that only a restart changes.
pub const POSTMASTER_PARAMETERS: &str =
    "SELECT name, setting, unit, vartype, pending_restart FROM pg_settings WHERE context = 'postmaster'";

/// The settings that a server keeps when it becomes a cluster: those, and one that a reload changes.
pub const ADOPTED_PARAMETERS: &str = "SELECT name, setting, unit, vartype, pending_restart FROM pg_settings \
    WHERE context = 'postmaster' OR name = 'wal_keep_size'";

/// A string literal.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The history file of a timeline, read on the server that is on it; empty when there is none. By the function that a user for
/// `pg_rewind` may call ([`REWIND_FUNCTIONS`]); `pg_read_file` is a superuser's.
#[must_use]
pub fn history_file(timeline: u32) -> String {
    format!("SELECT convert_from(pg_read_binary_file('pg_wal/{timeline:08X}.history', 0, 1000000, true), 'UTF8')")
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

/// A logical slot, on a primary and in its own database.
#[must_use]
pub fn create_logical_slot(slot: &str, plugin: &str) -> String {
    format!("SELECT pg_create_logical_replication_slot({}, {})", literal(slot), literal(plugin))
}

/// The state of logical slots as their server has it on disk, in hexadecimal digits: name, database, plugin, state. No rows
/// from a server in recovery. Needs the rights of [`REWIND_FUNCTIONS`].
#[must_use]
pub fn logical_slot_states<'a>(slots: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<String> = slots.map(literal).collect();
    format!(
        "SELECT slot_name, database, plugin, encode(pg_read_binary_file('pg_replslot/' || slot_name || '/state'), 'hex') \
         FROM pg_replication_slots WHERE slot_type = 'logical' AND NOT pg_is_in_recovery() AND slot_name IN ({})",
        names.join(", ")
    )
}

/// `wal_level` in force: without `logical` a server with a logical slot does not start.
pub const WAL_LEVEL: &str = "SELECT current_setting('wal_level')";

/// Moves a slot forward.
#[must_use]
pub fn advance_slot(slot: &str, to: Lsn) -> String {
    format!("SELECT pg_replication_slot_advance({}, '{to}')", literal(slot))
}

/// What a session says first that sends a password: no log, no statistics and no audit may keep the statement's text
/// (`Bootstrap.create_or_update_role`). Nor must a commit wait for standbys that a new cluster does not have.
pub const SILENT_SESSION: &[&str] = &[
    "SET log_statement TO none",
    "SET log_min_duration_statement TO -1",
    "SET log_min_error_statement TO 'log'",
    "SET pg_stat_statements.track_utility TO 'off'",
    "SET pgaudit.log TO none",
    "SET synchronous_commit TO 'local'",
];

/// The functions that `pg_rewind` and the copying of logical slots call (documentation "pg_rewind", notes).
pub const REWIND_FUNCTIONS: &[&str] = &[
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
];

/// Whether a role is to be made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// There is none of this name.
    Create,
    /// There is one.
    Alter,
}

/// Makes or changes a role that can log in, unless its attributes say otherwise. To be sent after [`SILENT_SESSION`].
#[must_use]
pub fn role(change: RoleChange, user: &User, attributes: &[&str]) -> String {
    let verb = if change == RoleChange::Create { "CREATE" } else { "ALTER" };
    let mut options: Vec<String> = attributes.iter().map(|attribute| attribute.to_ascii_uppercase()).collect();
    if !options.iter().any(|option| option == "LOGIN" || option == "NOLOGIN") {
        options.push("LOGIN".into());
    }
    options.extend(user.password.as_ref().map(|password| format!("PASSWORD {}", literal(password.reveal()))));
    format!("{verb} ROLE {} WITH {}", identifier(&user.username), options.join(" "))
}

/// Whether there is a role: one row, or none.
#[must_use]
pub fn role_exists(name: &str) -> String {
    format!("SELECT rolname FROM pg_roles WHERE rolname = {}", literal(name))
}

/// Lets a role call a function of the catalog.
#[must_use]
pub fn grant_execute(function: &str, role: &str) -> String {
    format!("GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO {}", identifier(role))
}

/// A quoted name.
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Password;

    #[test]
    fn names_and_passwords_cannot_leave_their_quotes() {
        assert_eq!(drop_slot("a'b"), "SELECT pg_drop_replication_slot('a''b')");
        let user = User { username: "re\"pl".into(), password: Some(Password::new("o'brien")) };
        assert_eq!(
            role(RoleChange::Create, &user, &["replication"]),
            "CREATE ROLE \"re\"\"pl\" WITH REPLICATION LOGIN PASSWORD 'o''brien'"
        );
        assert_eq!(role(RoleChange::Alter, &User::named("a"), &["NOLOGIN"]), "ALTER ROLE \"a\" WITH NOLOGIN");
        assert_eq!(advance_slot("pg2", Lsn(0x300_0060)), "SELECT pg_replication_slot_advance('pg2', '0/3000060')");
        let expected = "SELECT convert_from(pg_read_binary_file('pg_wal/0000001F.history', 0, 1000000, true), 'UTF8')";
        assert_eq!(history_file(31), expected);
    }
}
