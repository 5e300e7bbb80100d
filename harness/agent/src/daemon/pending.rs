//! `pending_restart` with its reasons: settings whose configured value only a restart brings into force
//! (`ConfigHandler.reload_config`, `set_pending_restart_reason`).

use std::collections::BTreeMap;

use pgdrill_net::Net;
use serde_json::{Map, Value, json};

use super::server_config::{Desired, ON_COMMAND_LINE};
use crate::postgres::{Parameter, Sql, SqlError, statements};

/// The settings that need a restart, as the running server tells them.
///
/// # Errors
/// See [`SqlError`].
pub(crate) async fn parameters<N: Net>(sql: &Sql<N>) -> Result<Vec<Parameter>, SqlError> {
    Ok(read(&sql.query(statements::POSTMASTER_PARAMETERS).await?))
}

/// Rows of `name, setting, unit, vartype, pending_restart`.
pub(crate) fn read(rows: &[tokio_postgres::SimpleQueryRow]) -> Vec<Parameter> {
    let parameter = |row: &tokio_postgres::SimpleQueryRow| {
        let get = |index: usize| row.try_get(index).ok().flatten().map(str::to_owned);
        Some(Parameter {
            name: get(0)?,
            setting: get(1).unwrap_or_default(),
            unit: get(2),
            vartype: get(3).unwrap_or_default(),
            pending_restart: get(4).as_deref() == Some("t"),
        })
    };
    rows.iter().filter_map(parameter).collect()
}

/// What only a restart changes and yet nobody is to restart a server for: whom it recovers from is set anew with every start
/// (`ConfigHandler.reload_config`: `_RECOVERY_PARAMETERS` and `hot_standby`).
const NOBODYS_REASON: &[&str] = &[
    "archive_cleanup_command",
    "hot_standby",
    "pause_at_recovery_target",
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
    "recovery_end_command",
    "recovery_min_apply_delay",
    "recovery_target",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_lsn",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_timeline",
    "recovery_target_xid",
    "restore_command",
];

/// Whether a setting is for recovery alone, and takes a restart.
pub(crate) fn is_for_recovery(name: &str) -> bool {
    NOBODYS_REASON.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Those of which PostgreSQL says itself that they wait: only it knows what they will be, since `ALTER SYSTEM` and included files
/// count too.
pub(crate) fn flagged(parameters: &[Parameter]) -> impl Iterator<Item = &Parameter> {
    parameters.iter().filter(|parameter| parameter.pending_restart && !is_for_recovery(&parameter.name))
}

/// Which settings wait for a restart, with the value now and then: `{name: {old_value, new_value}}`. `own`: what the server will
/// have, by its own word, in the setting's unit.
pub(crate) fn reasons(
    parameters: &[Parameter],
    desired: &Desired,
    own: &BTreeMap<String, String>,
) -> Map<String, Value> {
    let configured = desired.server_config().parameters;
    let reason = |parameter: &Parameter| {
        let wanted = configured.get(&parameter.name);
        // What is given on the command line hides the file from PostgreSQL, and so the change in it: a standby that keeps its
        // primary's higher limits does not know that it waits.
        let differs =
            ON_COMMAND_LINE.contains(&parameter.name.as_str()) && wanted.is_some_and(|wanted| !parameter.is(wanted));
        let waits = parameter.pending_restart || differs;
        (waits && !is_for_recovery(&parameter.name)).then(|| {
            let own = own.get(&parameter.name).map(|setting| parameter.with(setting).shown());
            let new = own.or_else(|| wanted.cloned()).unwrap_or_else(|| "?".into());
            (parameter.name.clone(), json!({ "old_value": parameter.shown(), "new_value": new }))
        })
    };
    parameters.iter().filter_map(reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AgentConfig;

    fn parameter(name: &str, setting: &str, unit: Option<&str>, pending_restart: bool) -> Parameter {
        let (name, setting, unit) = (name.into(), setting.into(), unit.map(str::to_owned));
        Parameter { name, setting, unit, vartype: "integer".into(), pending_restart }
    }

    #[test]
    fn what_waits_is_told_with_both_values() {
        let config = AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]);
        let mut desired = Desired::new(&config);
        let dynamic = json!({"postgresql": {"parameters": {"max_connections": 50, "shared_buffers": "1GB"}}});
        desired.apply(&config, &dynamic);
        let parameters = [
            // A standby that runs with what its primary had.
            parameter("max_connections", "200", None, false),
            parameter("max_wal_senders", "10", None, false),
            parameter("shared_buffers", "16384", Some("8kB"), true),
            parameter("autovacuum_max_workers", "3", None, true),
            // As the file says, whatever an expansion or a default has made of it.
            parameter("wal_buffers", "512", Some("8kB"), false),
        ];
        let expected = json!({
            "max_connections": {"old_value": "200", "new_value": "50"},
            "shared_buffers": {"old_value": "128MB", "new_value": "1GB"},
            "autovacuum_max_workers": {"old_value": "3", "new_value": "?"},
        });
        assert_eq!(Value::Object(reasons(&parameters, &desired, &BTreeMap::new())), expected);
        // After `ALTER SYSTEM SET shared_buffers = '32MB'` the file that we write does not count.
        let own = BTreeMap::from([("shared_buffers".to_owned(), "4096".to_owned())]);
        let told = reasons(&parameters, &desired, &own);
        assert_eq!(told["shared_buffers"], json!({"old_value": "128MB", "new_value": "32MB"}));
    }

    #[test]
    fn nobody_is_to_restart_a_server_for_what_it_once_recovered_from() {
        let desired = Desired::new(&AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]));
        let names = ["recovery_target_timeline", "hot_standby", "Primary_ConnInfo", "restore_command"];
        let parameters = names.map(|name| parameter(name, "latest", None, true));
        assert_eq!(reasons(&parameters, &desired, &BTreeMap::new()), Map::new());
        assert_eq!(flagged(&parameters).count(), 0);
    }
}
