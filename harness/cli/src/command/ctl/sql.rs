//! `dsn` and `query`: PostgreSQL of a member, found by name or role.

use std::{env, path::PathBuf, time::Duration};

use clap::Args;
use pgdrill_agent::config::HostPort;
use pgdrill_file::WRITTEN_BY_HAND;
use pgdrill_ha::view::Cluster;
use pgdrill_net::{Net, SocketOptions, TokioNet};
use serde_json::Value;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, config::SslMode};

use super::{
    ClusterArg, Done, Screen, Session, WatchArgs, ask, failed,
    members::{Role, of_role},
    output::{self, Format},
    switchover::now,
    table::Align::Left,
    usage, watching,
};

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct DsnArgs {
    #[command(flatten)]
    cluster: ClusterArg,
    /// Of any member with this role
    #[arg(short = 'r', long, value_enum, conflicts_with = "member")]
    role: Option<Role>,
    /// Of this member
    #[arg(short = 'm', long)]
    member: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    #[command(flatten)]
    cluster: ClusterArg,
    /// Output format
    #[arg(short = 'o', long = "output", visible_alias = "format", value_enum, default_value = "tsv")]
    format: Format,
    /// Send the SQL in this file
    #[arg(short = 'f', long, conflicts_with = "command")]
    file: Option<PathBuf>,
    /// Send this SQL
    #[arg(short = 'c', long)]
    command: Option<String>,
    /// Ask for the password; otherwise PGPASSWORD counts
    #[arg(long)]
    password: bool,
    /// Database user; otherwise PGUSER counts, or postgres
    #[arg(short = 'U', long)]
    username: Option<String>,
    /// Database
    #[arg(short = 'd', long)]
    dbname: Option<String>,
    /// Any member with this role
    #[arg(short = 'r', long, value_enum, conflicts_with = "member")]
    role: Option<Role>,
    /// This member
    #[arg(short = 'm', long)]
    member: Option<String>,
    /// Between columns of tsv
    #[arg(long, default_value = "\t")]
    delimiter: String,
    #[command(flatten)]
    watch: WatchArgs,
}

/// Where PostgreSQL of the member that is meant listens; the leader's if nothing is said.
fn address(cluster: &Cluster, role: Option<Role>, member: Option<&str>) -> Option<(String, u16)> {
    let role = role.unwrap_or(if member.is_some() { Role::Any } else { Role::Leader });
    let found = of_role(cluster, role).into_iter().find(|(name, _)| member.is_none_or(|member| member == name));
    found?.1.conn_address()
}

/// `dsn`.
pub(super) async fn dsn(session: &Session, screen: &mut Screen, args: &DsnArgs) -> Done {
    let cluster = session.cluster(&session.scope(&args.cluster)?).await?;
    let (host, port) =
        address(&cluster, args.role, args.member.as_deref()).ok_or_else(|| failed("Can not find a suitable member"))?;
    screen.print(&format!("host={host} port={port}\n"));
    Ok(())
}

/// `query`.
pub(super) async fn query(session: &Session, screen: &mut Screen, args: &QueryArgs) -> Done {
    let sql = match (&args.command, &args.file) {
        (Some(command), _) => command.clone(),
        (None, Some(file)) => pgdrill_file::text(file, WRITTEN_BY_HAND)
            .map_err(|error| usage(format!("cannot read {}: {error}", file.display())))?,
        (None, None) => return Err(usage("You need to specify either --command or --file")),
    };
    let scope = session.scope(&args.cluster)?;
    let password = if args.password { Some(ask::password()?) } else { env::var("PGPASSWORD").ok() };
    watching(screen, args.watch, false, async || {
        let cluster = session.cluster(&scope).await?;
        let (host, port) = address(&cluster, args.role, args.member.as_deref())
            .ok_or_else(|| failed("No connection is available: no such member"))?;
        match send(args, password.as_deref(), &host, port, &sql).await {
            Ok(text) => Ok(text),
            // One failure is a line among the others: who watches a failover wants to see the next answer.
            Err(why) if args.watch.interval().is_some() => Ok(format!("{}{}ERROR, {why}\n", now(), args.delimiter)),
            Err(why) => Err(failed(format!("{}: {why}", HostPort::new(host, port)))),
        }
    })
    .await
}

async fn send(args: &QueryArgs, password: Option<&str>, host: &str, port: u16, sql: &str) -> Result<String, String> {
    let mut config = Config::new();
    let user = args.username.clone().or_else(|| env::var("PGUSER").ok()).unwrap_or_else(|| "postgres".into());
    config.user(&user).application_name("pgdrill ctl").ssl_mode(SslMode::Disable);
    config.dbname(args.dbname.clone().or_else(|| env::var("PGDATABASE").ok()).unwrap_or_else(|| user.clone()));
    if let Some(password) = password {
        config.password(password);
    }
    let connecting = async {
        let stream =
            TokioNet.connect(host, port, &SocketOptions::within(CONNECT_LIMIT)).await.map_err(|e| e.to_string())?;
        let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|error| describe(&error))?;
        // How it ends is seen by the client.
        tokio::spawn(async move { drop(connection.await) });
        Ok::<_, String>(client)
    };
    let client: Client = timeout(CONNECT_LIMIT, connecting).await.map_err(|_| "no answer in time".to_owned())??;
    let messages = client.simple_query(sql).await.map_err(|error| describe(&error))?;
    let columns: Vec<String> = messages.iter().find_map(columns).unwrap_or_default();
    let rows: Vec<Vec<Value>> = messages.iter().filter_map(row).collect();
    Ok(print(args, &columns, &rows))
}

fn columns(message: &SimpleQueryMessage) -> Option<Vec<String>> {
    match message {
        SimpleQueryMessage::RowDescription(columns) => {
            Some(columns.iter().map(|column| column.name().to_owned()).collect())
        }
        _ => None,
    }
}

fn row(message: &SimpleQueryMessage) -> Option<Vec<Value>> {
    match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|index| row.get(index).map_or(Value::Null, Value::from)).collect())
        }
        _ => None,
    }
}

fn print(args: &QueryArgs, columns: &[String], rows: &[Vec<Value>]) -> String {
    if args.format == Format::Tsv {
        let heading = (!columns.is_empty()).then(|| columns.join(&args.delimiter) + "\n");
        let line = |row: &Vec<Value>| row.iter().map(output::text).collect::<Vec<_>>().join(&args.delimiter) + "\n";
        return heading.into_iter().chain(rows.iter().map(line)).collect();
    }
    let columns: Vec<_> = columns.iter().map(|name| (name.as_str(), Left)).collect();
    output::rows(args.format, &columns, rows, false)
}

fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("SQLSTATE {}: {}", db.code().code(), db.message()),
        None => error.to_string(),
    }
}
