//! Making a new cluster: `initdb` or the own method, the first start, roles, `post_bootstrap` (`patroni/postgresql/bootstrap.py`).

use std::{sync::Arc, time::Duration};

use pgdrill_ha::{config as ha_config, decision::Upstream};
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::{
    configure, copy,
    lifecycle::{self, Outcome, text},
    parameters::setting,
    parts::{Parts, Ports},
    patience::when_possible,
    scripts, server_config,
};
use crate::{
    config::{BootstrapConfig, BootstrapMethod, BootstrapUser, User},
    ports::{InitdbOptions, Postgres, Recovery},
    postgres::{
        Reachability, SqlError,
        statements::{self, RoleChange},
    },
};

/// How often the end of a recovery is looked for.
const POLL: Duration = Duration::from_secs(1);
/// Creating a role takes moments; after this long something else is wrong.
const ROLE_LIMIT: Duration = Duration::from_secs(60);

/// The whole of it: afterwards the new cluster is a running primary with its roles.
pub(crate) async fn bootstrap<T: Ports>(parts: Arc<Parts<T>>) -> Outcome {
    let bootstrap = parts.config().bootstrap.clone().ok_or("no bootstrap section")?;
    if let Some(section) = ha_config::standby_section(&bootstrap.dcs) {
        return standby_leader(parts, &bootstrap, section).await;
    }
    lifecycle::may_listen(&parts).await?;
    match &bootstrap.method {
        None => initdb(&parts, &bootstrap).await?,
        Some(method) => restore(&parts, method).await?,
    }
    first_configuration(&parts, &bootstrap);
    lifecycle::start(Arc::clone(&parts)).await?;
    await_role(&parts, "f").await?;
    create_roles(&parts, &bootstrap).await?;
    scripts::post_bootstrap(&parts).await?;
    if bootstrap.method.is_some() {
        close_doors(&parts).await?;
    }
    Ok(())
}

/// A cluster that replicates from another one begins with a copy of that: it has no roles and no database of its own to make.
async fn standby_leader<T: Ports>(parts: Arc<Parts<T>>, bootstrap: &BootstrapConfig, section: &Value) -> Outcome {
    copy::clone_remote(Arc::clone(&parts), section).await?;
    let config = parts.config();
    let ha = ha_config::resolve(&bootstrap.dcs, &configure::local_layer(&config), &Default::default());
    {
        let mut desired = parts.shared.desired();
        desired.apply(&config, &bootstrap.dcs);
        desired.standby_names = None;
        let remote = Upstream::Remote(section.clone());
        desired.recovery = Some(server_config::recovery(&config, &ha, &remote, None));
    }
    lifecycle::start(Arc::clone(&parts)).await?;
    await_role(&parts, "t").await
}

async fn initdb<T: Ports>(parts: &Parts<T>, bootstrap: &BootstrapConfig) -> Outcome {
    let superuser = parts.config().postgresql.superuser.clone();
    let options = InitdbOptions {
        options: bootstrap.initdb.clone(),
        superuser: superuser.username,
        password: superuser.password,
    };
    when_possible(parts, None, || parts.postgres.initdb(&options)).await.map_err(text)
}

async fn restore<T: Ports>(parts: &Parts<T>, method: &BootstrapMethod) -> Outcome {
    // There is none, or an empty one, or what an earlier try has left.
    parts.postgres.remove_data_dir().await.map_err(text)?;
    let name = format!("bootstrap method {}", method.name);
    copy::fill(parts, &name, scripts::custom_bootstrap(parts, method)).await
}

/// The new cluster starts with the settings it will have from `/config` on.
fn first_configuration<T: Ports>(parts: &Parts<T>, bootstrap: &BootstrapConfig) {
    let mut desired = parts.shared.desired();
    desired.apply(&parts.config(), &bootstrap.dcs);
    desired.default_hba(bootstrap.pg_hba.clone());
    desired.standby_names = None;
    desired.recovery = None;
    let Some(method) = &bootstrap.method else { return };
    // What was restored may know the superuser by another password.
    desired.open_for = Some(parts.config().postgresql.superuser.username.clone());
    desired.keep_recovery = method.keep_existing_recovery_conf && method.recovery_conf.is_empty();
    desired.recovery = (!method.recovery_conf.is_empty()).then(|| restored(&method.recovery_conf));
    drop(desired);
    for name in OF_RECOVERY_CONF.iter().skip(1).filter(|name| method.recovery_conf.contains_key(**name)) {
        parts
            .trouble("config", format!("bootstrap.{}.recovery_conf.{name}: PostgreSQL 12 has removed it", method.name));
    }
}

/// What `recovery.conf` knew and PostgreSQL does not since version 12. The first one is what `standby.signal` is today.
const OF_RECOVERY_CONF: [&str; 3] = ["standby_mode", "trigger_file", "pause_at_recovery_target"];

/// `recovery_conf` of a bootstrap method (`ConfigHandler.write_recovery_conf`).
fn restored(settings: &Map<String, Value>) -> Recovery {
    let text = |value: &Value| setting(value).to_ascii_lowercase();
    let is_standby =
        settings.get("standby_mode").map(text).is_some_and(|mode| ["on", "true", "yes", "1"].contains(&&*mode));
    let known = settings.iter().filter(|(name, _)| !OF_RECOVERY_CONF.contains(&name.as_str()));
    Recovery {
        parameters: known.map(|(name, value)| (name.clone(), setting(value))).collect(),
        ends_at_target: !is_standby,
        ..Recovery::default()
    }
}

/// What was restored may have to be recovered first, which takes as long as it takes.
async fn await_role<T: Ports>(parts: &Parts<T>, in_recovery: &str) -> Outcome {
    loop {
        match parts.sql.query(statements::STATE).await {
            Ok(rows) if rows.first().is_some_and(|row| row.try_get(0).ok().flatten() == Some(in_recovery)) => {
                return Ok(());
            }
            Err(SqlError::NotConnected(Reachability::TlsFailed, why)) => return Err(why),
            Ok(_) | Err(_) => {}
        }
        if parts.postgres.postmaster().await.map_err(text)?.is_none() {
            return Err("PostgreSQL ended before it was what it was started as".into());
        }
        sleep(POLL).await;
    }
}

async fn create_roles<T: Ports>(parts: &Parts<T>, bootstrap: &BootstrapConfig) -> Outcome {
    let config = parts.config();
    let postgresql = &config.postgresql;
    let superuser = &postgresql.superuser;
    // `initdb` has given it its password; what was restored has another one, or none.
    if bootstrap.method.is_some() && superuser.password.is_some() {
        role(parts, superuser, &["SUPERUSER"]).await?;
    }
    if postgresql.replication.username != superuser.username {
        role(parts, &postgresql.replication, &["REPLICATION"]).await?;
    }
    if let Some(rewind) = postgresql.rewind.as_ref().filter(|rewind| rewind.username != superuser.username) {
        role(parts, rewind, &[]).await?;
        for function in statements::REWIND_FUNCTIONS {
            silently(parts, statements::grant_execute(function, &rewind.username)).await?;
        }
    }
    for BootstrapUser { name, password, options } in &bootstrap.users {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        role(parts, &User { username: name.clone(), password: password.clone() }, &options).await?;
    }
    Ok(())
}

/// Creates a role, or changes it if it is there (`create_or_update_role`).
async fn role<T: Ports>(parts: &Parts<T>, user: &User, attributes: &[&str]) -> Outcome {
    let found = parts.sql.query(&statements::role_exists(&user.username)).await.map_err(|error| error.to_string())?;
    let change = if found.is_empty() { RoleChange::Create } else { RoleChange::Alter };
    let made = silently(parts, statements::role(change, user, attributes)).await;
    made.map_err(|error| format!("role {}: {error}", user.username))
}

/// Without traces in logs, and without waiting for standbys, of which a new cluster has none: the user may have named some.
async fn silently<T: Ports>(parts: &Parts<T>, statement: String) -> Outcome {
    let mut session: Vec<String> = statements::SILENT_SESSION.iter().map(|&statement| statement.to_owned()).collect();
    session.push(statement);
    parts.sql.session(&session, ROLE_LIMIT).await.map_err(|error| error.to_string())
}

/// The end of an own method: no more trust for the superuser, no more recovery settings.
async fn close_doors<T: Ports>(parts: &Parts<T>) -> Outcome {
    {
        let mut desired = parts.shared.desired();
        desired.open_for = None;
        desired.keep_recovery = false;
        desired.promoted();
    }
    lifecycle::write_config(parts).await?;
    parts.postgres.reload().await.map_err(text)?;
    parts.sql.disconnect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn recovery_settings_of_a_method_are_todays() {
        let of = |settings: Value| restored(settings.as_object().expect("an object"));
        let target =
            of(json!({"restore_command": "cp /a/%f %p", "recovery_target_time": "2026-01-01", "trigger_file": "x"}));
        assert!(target.ends_at_target && target.parameters.len() == 2, "{target:?}");
        let standby = of(json!({"restore_command": "cp /a/%f %p", "standby_mode": "on"}));
        assert!(!standby.ends_at_target && standby.parameters.len() == 1, "{standby:?}");
    }
}
