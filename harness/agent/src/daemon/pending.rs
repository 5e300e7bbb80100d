//! `pending_restart` with its reasons: settings whose configured value only a restart brings into force
//! (`ConfigHandler.reload_config`, `set_pending_restart_reason`).

use pgdrill_net::Net;
use serde_json::{Map, Value, json};

use super::{parameters::ON_COMMAND_LINE, server_config::Desired};
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

/// Which of them wait for a restart, with the value now and then: `{name: {old_value, new_value}}`.
pub(crate) fn reasons(parameters: &[Parameter], desired: &Desired) -> Map<String, Value> {
    let configured = desired.server_config().parameters;
    let reason = |parameter: &Parameter| {
        let wanted = configured.get(&parameter.name);
        // What is given on the command line hides the file from PostgreSQL, and so the change in it: a standby that keeps its
        // primary's higher limits does not know that it waits.
        let differs =
            ON_COMMAND_LINE.contains(&parameter.name.as_str()) && wanted.is_some_and(|wanted| !parameter.is(wanted));
        (parameter.pending_restart || differs).then(|| {
            let new = wanted.map_or("?", String::as_str);
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
        assert_eq!(Value::Object(reasons(&parameters, &desired)), expected);
    }
}
