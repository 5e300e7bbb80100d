//! The scripts that are waited for: `pre_promote`, `before_stop`, `post_bootstrap`, and own ways to make a cluster or a replica.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::timeout;

use super::{
    lifecycle::Outcome,
    parts::{Parts, Ports},
    patience::when_possible,
};
use crate::{
    config::{BootstrapMethod, HostPort, ReplicaMethod, User},
    ports::{ActionOutcome, AgentEvent, Observer, PgpassEntry, Program},
    postgres::Conninfo,
};

/// How long a script waits for a machine that cannot start it. Then it counts as one that failed: others may be able to lead.
const LACKING: Duration = Duration::from_secs(60);

/// Runs a program, and tells the log what it was and how it ended. Anything but exit code 0 is an error.
async fn run<T: Ports>(parts: &Parts<T>, what: &str, program: Program) -> Outcome {
    parts.observer.event(AgentEvent::ActionStarted { action: format!("{what} ({})", program.argv.join(" ")) });
    let started = when_possible(parts, Some(LACKING), || parts.programs.run(program.clone()));
    let outcome = match started.await {
        Ok(exit) if exit.is_success() => Ok(()),
        Ok(exit) => Err(format!("{what} ended with {exit}")),
        Err(error) => Err(format!("{what}: {error}")),
    };
    let told = outcome.clone().map_or_else(ActionOutcome::Failed, |()| ActionOutcome::Done);
    parts.observer.event(AgentEvent::ActionEnded { action: what.to_owned(), outcome: told });
    outcome
}

fn parse(what: &str, command: &str) -> Result<Program, String> {
    Program::parse(command).map_err(|error| format!("{what}: {error}"))
}

/// Runs `pre_promote`: only its exit code 0 lets the promotion go on.
pub(crate) async fn pre_promote<T: Ports>(parts: &Parts<T>) -> Outcome {
    match &parts.config().postgresql.pre_promote {
        Some(command) => run(parts, "pre_promote", parse("pre_promote", command)?).await,
        None => Ok(()),
    }
}

/// Runs `before_stop`, no longer than `limit`. Whatever comes of it, PostgreSQL is stopped.
pub(crate) async fn before_stop<T: Ports>(parts: &Parts<T>, limit: Option<Duration>) {
    let Some(command) = parts.config().postgresql.before_stop.clone() else { return };
    let program = match parse("before_stop", &command) {
        Ok(program) => program,
        Err(reason) => return parts.trouble("scripts", reason),
    };
    let running = run(parts, "before_stop", program);
    // A failure was told to the log; nothing else depends on it.
    let ended = match limit {
        None => running.await.is_ok(),
        Some(limit) => timeout(limit, running).await.is_ok(),
    };
    if !ended && limit.is_some() {
        parts.trouble("scripts", "before_stop was ended: PostgreSQL cannot wait for it any longer");
    }
}

/// A connection string without password, as Patroni's scripts get it: libpq's default of `sslmode` is not in it.
fn connection_string(address: &HostPort, user: &User, options: &BTreeMap<String, String>) -> String {
    let it = Conninfo::default().with("dbname", "postgres").with("user", &user.username);
    let said = options.iter().filter(|(name, value)| (name.as_str(), value.as_str()) != ("sslmode", "prefer"));
    it.with("host", &address.host).with("port", address.port).with_all(said).to_string()
}

fn pgpass(hosts: Vec<String>, port: u16, user: &User) -> Option<PgpassEntry> {
    let password = user.password.clone()?;
    Some(PgpassEntry { hosts, port, user: user.username.clone(), password })
}

/// Runs `post_bootstrap` against the new cluster.
pub(crate) async fn post_bootstrap<T: Ports>(parts: &Parts<T>) -> Outcome {
    let config = parts.config();
    let Some(command) = config.bootstrap.as_ref().and_then(|bootstrap| bootstrap.post_bootstrap.as_deref()) else {
        return Ok(());
    };
    let (address, user) = (&config.postgresql.local_address, &config.postgresql.superuser);
    let mut program = parse("post_bootstrap", command)?.arg(connection_string(
        address,
        user,
        &config.postgresql.connection.superuser,
    ));
    let mut hosts: Vec<String> = address.host.split(',').map(str::to_owned).collect();
    // In a password file `localhost` stands for a Unix socket.
    if hosts.iter().any(|host| host.starts_with('/')) {
        hosts.push("localhost".to_owned());
    }
    program.pgpass = pgpass(hosts, address.port, user);
    // No standby is there yet that a commit could wait for.
    program.env.insert("PGOPTIONS".into(), "-c synchronous_commit=local -c statement_timeout=0".into());
    run(parts, "post_bootstrap", program).await
}

/// Makes a data directory with an own method.
pub(crate) async fn custom_bootstrap<T: Ports>(parts: &Parts<T>, method: &BootstrapMethod) -> Outcome {
    let what = format!("bootstrap method {}", method.name);
    let mut program = parse(&what, &method.command)?;
    if !method.no_params {
        program = program
            .arg(format!("--scope={}", parts.config().scope))
            .arg(format!("--datadir={}", parts.config().postgresql.data_dir));
    }
    let replaced = |name: &str| ["scope", "datadir"].contains(&name);
    run(parts, &what, with_options(program, &method.params, |name| !replaced(name))).await
}

/// Makes a replica's data directory with an own method. `from`: a running server to copy from, if there is one.
pub(crate) async fn custom_replica<T: Ports>(
    parts: &Parts<T>,
    name: &str,
    method: &ReplicaMethod,
    from: Option<&HostPort>,
) -> Outcome {
    let what = format!("create_replica_method {name}");
    let mut program = parse(&what, method.command.as_deref().unwrap_or(name))?;
    let config = parts.config();
    let user = &config.postgresql.replication;
    if let Some(from) = from {
        program.pgpass = pgpass(vec![from.host.clone()], from.port, user);
    }
    if method.no_params {
        let ours = |name: &str| ["no_params", "no_leader", "keep_data"].contains(&name);
        program = with_options(program, &method.params, |name| !ours(name));
    } else {
        // Scripts that were written for Patroni look for `--no_leader` (its own `patroni_wale_restore`).
        let replaced = |name: &str| ["scope", "role", "datadir", "connstring"].contains(&name);
        program = with_options(program, &method.params, |name| !replaced(name));
        let options = &config.postgresql.connection.replication;
        let connstring = from.map(|from| connection_string(from, user, options)).unwrap_or_default();
        program = program
            .arg(format!("--scope={}", config.scope))
            .arg("--role=replica")
            .arg(format!("--datadir={}", config.postgresql.data_dir))
            .arg(format!("--connstring={connstring}"));
    }
    run(parts, &what, program).await
}

fn with_options(program: Program, options: &[(String, String)], is_meant: impl Fn(&str) -> bool) -> Program {
    let meant = options.iter().filter(|(name, _)| is_meant(name));
    meant.fold(program, |program, (name, value)| program.arg(format!("--{name}={value}")))
}

#[cfg(test)]
#[path = "scripts_tests.rs"]
mod tests;
