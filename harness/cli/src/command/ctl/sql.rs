//! `dsn` and `query`: PostgreSQL of a member, found by name or role.

use std::path::PathBuf;

use clap::Args;
use pgdrill_agent::{config::HostPort, postgres::with_causes};
use pgdrill_file::WRITTEN_BY_HAND;
use pgdrill_ha::view::Cluster;
use serde_json::Value;
use tokio_postgres::{Client, SimpleQueryMessage, types::Type};

use super::{
    ClusterArg, Done, Screen, Session, WatchArgs, failed,
    login::Login,
    members::{Role, of_role},
    output::{self, Format},
    switchover::now,
    table::Align::Left,
    typed, usage, watching,
};

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
    /// Ask for the password; otherwise PGPASSWORD counts, or the password file (~/.pgpass)
    #[arg(long)]
    password: bool,
    /// Database user; otherwise PGUSER counts, or the name of the operating system's user
    #[arg(short = 'U', long)]
    username: Option<String>,
    /// Database; otherwise PGDATABASE counts, or the one that is named as the user
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
    let login = Login::of(args.username.as_deref(), args.dbname.as_deref(), args.password)?;
    watching(screen, args.watch, false, async || {
        let cluster = session.cluster(&scope).await?;
        let (host, port) = address(&cluster, args.role, args.member.as_deref())
            .ok_or_else(|| failed("No connection is available: no such member"))?;
        match send(args, &login, &host, port, &sql).await {
            Ok(text) => Ok(text),
            // One failure is a line among the others: who watches a failover wants to see the next answer.
            Err(why) if args.watch.interval().is_some() => Ok(format!("{}{}ERROR, {why}\n", now(), args.delimiter)),
            Err(why) => Err(failed(format!("{}: {why}", HostPort::new(host, port)))),
        }
    })
    .await
}

async fn send(args: &QueryArgs, login: &Login, host: &str, port: u16, sql: &str) -> Result<String, String> {
    let client = login.connect(host, port).await?;
    let messages = client.simple_query(sql).await.map_err(|error| describe(&error))?;
    let (columns, rows) = last_result(&messages);
    let types = types_of(&client, sql, &columns).await;
    let value = |(index, text): (usize, &Option<String>)| {
        let text = text.as_deref();
        if args.format == Format::Json || args.format == Format::Yaml {
            typed::json(types.get(index), text)
        } else {
            typed::python(types.get(index), text).into()
        }
    };
    let rows: Vec<Vec<Value>> = rows.iter().map(|row| row.iter().enumerate().map(value).collect()).collect();
    Ok(print(args, &columns, &rows))
}

/// Columns and rows of the last statement that has some, as psycopg gives them.
fn last_result(messages: &[SimpleQueryMessage]) -> (Vec<String>, Vec<Vec<Option<String>>>) {
    let (mut columns, mut rows) = (Vec::new(), Vec::new());
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(described) => {
                columns = described.iter().map(|column| column.name().to_owned()).collect();
                rows = Vec::new();
            }
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect());
            }
            _ => {}
        }
    }
    (columns, rows)
}

/// The types of these columns, asked of the server in a second step: what it answers to a plain query are texts. Of several
/// statements the last one's; where none fits, nothing is known, and everything stays text.
async fn types_of(client: &Client, sql: &str, columns: &[String]) -> Vec<Type> {
    /// So many semicolons are tried, from the end.
    const TRIES: usize = 20;
    if columns.is_empty() {
        return vec![];
    }
    // A semicolon within a text or a comment leaves a rest that is no statement, or one with other columns.
    let rests = sql.rmatch_indices(';').map(|(at, _)| &sql[at + 1..]).filter(|rest| !rest.trim().is_empty());
    for statement in std::iter::once(sql).chain(rests.take(TRIES)) {
        let Ok(prepared) = client.prepare(statement).await else { continue };
        if prepared.columns().iter().map(tokio_postgres::Column::name).eq(columns.iter().map(String::as_str)) {
            return prepared.columns().iter().map(|column| column.type_().clone()).collect();
        }
    }
    vec![]
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
        None => with_causes(error),
    }
}
