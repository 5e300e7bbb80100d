//! `list` and `topology`: the members with roles, states, positions and lags.

use clap::Args;
use jiff::Zoned;
use pgdrill_agent::rest::cluster_document;
use pgdrill_ha::{records::Initialize, view::Cluster};
use serde_json::{Map, Value, json};

use super::{
    ClusterArg, Done, FormatArg, Screen, Session, Stop, WatchArgs,
    output::{self, Column, Format},
    table::Align::{Left, Right},
    watching, yaml,
};

/// Longer changes of a setting are not shown in tables.
const LONGEST_REASON: usize = 50;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Names of clusters (scopes); from the configuration file if none is given
    #[arg(value_name = "CLUSTER_NAMES")]
    cluster_names: Vec<String>,
    /// Show all columns, also empty ones
    #[arg(short = 'e', long)]
    extended: bool,
    /// Print the time first
    #[arg(short = 't', long)]
    timestamp: bool,
    #[command(flatten)]
    format: FormatArg,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Debug, Args)]
pub(super) struct TopologyArgs {
    /// Names of clusters (scopes); from the configuration file if none is given
    #[arg(value_name = "CLUSTER_NAMES")]
    cluster_names: Vec<String>,
    #[command(flatten)]
    watch: WatchArgs,
}

/// `list`.
pub(super) async fn list(session: &Session, screen: &mut Screen, args: &ListArgs) -> Done {
    let scopes = scopes(session, &args.cluster_names)?;
    let style = Style { format: args.format.format, extended: args.extended, topology: false };
    watching(screen, args.watch, true, async || {
        let mut text =
            if args.timestamp { format!("{}\n", Zoned::now().strftime("%Y-%m-%d %H:%M:%S")) } else { String::new() };
        for scope in &scopes {
            text += &members(scope, &session.cluster(scope).await?, style);
        }
        Ok(text)
    })
    .await
}

/// `topology`.
pub(super) async fn topology(session: &Session, screen: &mut Screen, args: &TopologyArgs) -> Done {
    let scopes = scopes(session, &args.cluster_names)?;
    let style = Style { format: Format::Pretty, extended: false, topology: true };
    watching(screen, args.watch, true, async || {
        let mut text = String::new();
        for scope in &scopes {
            text += &members(scope, &session.cluster(scope).await?, style);
        }
        Ok(text)
    })
    .await
}

fn scopes(session: &Session, given: &[String]) -> Result<Vec<String>, Stop> {
    if given.is_empty() { Ok(vec![session.scope(&ClusterArg { cluster_name: None })?]) } else { Ok(given.to_vec()) }
}

/// How the members are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// The output format.
    pub format: Format,
    /// Also the columns that would be empty.
    pub extended: bool,
    /// Members below those they replicate from.
    pub topology: bool,
}

impl Style {
    /// As other commands show the cluster.
    pub const PLAIN: Self = Self { format: Format::Pretty, extended: false, topology: false };
}

/// The members of one cluster (`output_members`).
pub(super) fn members(scope: &str, cluster: &Cluster, style: Style) -> String {
    let document = cluster_document(cluster);
    let listed = document.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
    let with_port = needs_port(&listed);
    let columns = columns(&listed, style.extended);
    let listed = if style.topology { by_upstream(listed) } else { listed };
    let rows: Vec<Vec<Value>> = listed.iter().map(|member| row(scope, member, &columns, with_port, style)).collect();
    if style.format != Format::Pretty {
        return output::rows(style.format, &columns, &rows, true);
    }
    let shown: Vec<Column<'static>> = columns[1..].iter().map(|(name, align)| (heading(name), *align)).collect();
    let rows: Vec<_> = rows.into_iter().map(|row| row[1..].to_vec()).collect();
    output::table(title(scope, cluster), &shown, &rows).draw() + &footer(&document)
}

fn title(scope: &str, cluster: &Cluster) -> String {
    let initialize = match cluster.initialize {
        None => "uninitialized".to_owned(),
        Some(Initialize::InProgress) => "initializing".to_owned(),
        Some(Initialize::SystemIdentifier(id)) => id.to_string(),
        Some(Initialize::Invalid) => "invalid".to_owned(),
    };
    format!(" Cluster: {scope} ({initialize}) ")
}

/// In tables both lags are called the same.
fn heading(name: &'static str) -> &'static str {
    if matches!(name, "Receive Lag" | "Replay Lag") { "Lag" } else { name }
}

fn columns(members: &[Value], extended: bool) -> Vec<Column<'static>> {
    let mut columns = vec![
        ("Cluster", Left),
        ("Member", Left),
        ("Host", Left),
        ("Role", Left),
        ("State", Left),
        ("TL", Right),
        ("Receive LSN", Right),
        ("Receive Lag", Right),
        ("Replay LSN", Right),
        ("Replay Lag", Right),
    ];
    for (name, field) in [
        ("Pending restart", "pending_restart"),
        ("Pending restart reason", "pending_restart_reason"),
        ("Scheduled restart", "scheduled_restart"),
        ("Tags", "tags"),
    ] {
        if extended || members.iter().any(|member| member.get("host").is_some() && member.get(field).is_some()) {
            columns.push((name, Left));
        }
    }
    columns
}

/// Ports are shown where they tell something: one is not 5432, or members share a host.
fn needs_port(members: &[Value]) -> bool {
    let hosts: Vec<_> = members.iter().filter_map(|member| member.get("host")?.as_str()).collect();
    let distinct: std::collections::BTreeSet<_> = hosts.iter().collect();
    let unusual = |member: &Value| member.get("port").is_some_and(|port| port != 5432);
    members.iter().any(unusual) || distinct.len() < hosts.len()
}

fn row(scope: &str, member: &Value, columns: &[Column<'_>], with_port: bool, style: Style) -> Vec<Value> {
    let field = |name: &str| member.get(name).cloned().unwrap_or_else(|| "".into());
    let (receive, replay) = positions(member);
    let cell = |name: &str| match name {
        "Cluster" => scope.into(),
        "Member" => field("name"),
        "Host" => match (member.get("host").and_then(Value::as_str), member.get("port")) {
            (Some(host), Some(port)) if with_port => format!("{host}:{port}").into(),
            _ => field("host"),
        },
        "Role" => title_case(field("role").as_str().unwrap_or_default()).into(),
        "State" => field("state"),
        "TL" => field("timeline"),
        "Receive LSN" => receive.0.clone(),
        "Receive Lag" => receive.1.clone(),
        "Replay LSN" => replay.0.clone(),
        "Replay Lag" => replay.1.clone(),
        "Pending restart" => if member.get("pending_restart").is_some() { "*" } else { "" }.into(),
        "Pending restart reason" => reasons(member, style.format).into(),
        "Scheduled restart" => scheduled(member).into(),
        "Tags" => tags(member, style),
        _ => unreachable!("{name} is one of the columns"),
    };
    columns.iter().map(|(name, _)| cell(name)).collect()
}

/// Received and replayed: position and lag in MiB. Members that know one position alone have it where it belongs.
fn positions(member: &Value) -> ((Value, Value), (Value, Value)) {
    let field = |name: &str| member.get(name).cloned().unwrap_or_else(|| "".into());
    let mut receive = (field("receive_lsn"), field("receive_lag"));
    let mut replay = (field("replay_lsn"), field("replay_lag"));
    let single = (field("lsn"), field("lag"));
    if receive.0 == "unknown" && replay.0 == "unknown" && single.0 != "unknown" && single.0 != "" {
        if member.get("state").is_some_and(|state| state == "streaming") {
            receive = single;
        } else {
            replay = single;
        }
    }
    ((receive.0, mebibytes(&receive.1)), (replay.0, mebibytes(&replay.1)))
}

fn mebibytes(lag: &Value) -> Value {
    match lag.as_u64() {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // rounded anyhow
        Some(bytes) => ((bytes as f64 / 1_048_576.0).round_ties_even() as u64).into(),
        None => "".into(),
    }
}

/// `sync_standby` is shown as `Sync Standby`.
fn title_case(role: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    role.split('_').map(capital).collect::<Vec<_>>().join(" ")
}

fn reasons(member: &Value, format: Format) -> String {
    let changes = member.get("pending_restart_reason").and_then(Value::as_object).into_iter().flatten();
    let line = |(name, change): (&String, &Value)| {
        let value = |which: &str| output::text(change.get(which).unwrap_or(&Value::Null));
        let full = format!("{name}: {}->{}", value("old_value"), value("new_value"));
        let hidden = format == Format::Pretty && full.chars().count() > LONGEST_REASON;
        if hidden { format!("{name}: [hidden - too long]") } else { full }
    };
    changes.map(line).collect::<Vec<_>>().join("\n")
}

fn scheduled(member: &Value) -> String {
    let Some(restart) = member.get("scheduled_restart") else { return String::new() };
    let at = output::text(restart.get("schedule").unwrap_or(&Value::Null));
    match restart.get("postgres_version").and_then(Value::as_str) {
        Some(version) => format!("{at} if version < {version}"),
        None => at,
    }
}

fn tags(member: &Value, style: Style) -> Value {
    let Some(tags) = member.get("tags") else { return "".into() };
    match style.format {
        // Members below each other stay on one line each.
        Format::Pretty if style.topology => yaml::flow(tags).into(),
        Format::Pretty => yaml::block(tags).trim().into(),
        Format::Tsv => yaml::flow(tags).into(),
        Format::Json | Format::Yaml => tags.clone(),
    }
}

/// Members below the one they replicate from, as `topology_sort` orders and indents them.
fn by_upstream(members: Vec<Value>) -> Vec<Value> {
    let is_leader =
        |member: &Value| member.get("role").and_then(Value::as_str).is_some_and(|role| role.ends_with("leader"));
    let name = |member: &Value| member.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let leader = members.iter().find(|member| is_leader(member)).cloned();
    let replicas: Vec<_> = members.into_iter().filter(|member| !is_leader(member)).collect();
    let names: Vec<_> = replicas.iter().map(name).collect();
    let parent = |member: &Value| {
        let wanted = member.pointer("/tags/replicatefrom").and_then(Value::as_str).unwrap_or_default();
        let follows = wanted != name(member) && names.iter().any(|name| name == wanted);
        if follows { Some(wanted.to_owned()) } else { leader.as_ref().map(name) }
    };
    let below: Vec<(Option<String>, Value)> = replicas.iter().map(|member| (parent(member), member.clone())).collect();
    let mut sorted = Vec::new();
    match &leader {
        Some(leader) => hang(leader, 0, &below, &mut sorted),
        None => {
            for (_, member) in below.iter().filter(|(parent, _)| parent.is_none()) {
                hang(member, 1, &below, &mut sorted);
            }
        }
    }
    sorted
}

fn hang(member: &Value, level: usize, below: &[(Option<String>, Value)], sorted: &mut Vec<Value>) {
    let name = member.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    // Two that name each other hang nowhere; nobody is shown twice.
    if level > below.len() + 1 {
        return;
    }
    let mut shown = member.clone();
    if level > 0 {
        shown["name"] = format!("{}+ {name}", " ".repeat((level - 1) * 2)).into();
    }
    sorted.push(shown);
    for (_, child) in below.iter().filter(|(parent, _)| parent.as_deref() == Some(&*name)) {
        hang(child, level + 1, below, sorted);
    }
}

fn footer(document: &Map<String, Value>) -> String {
    let mut lines = Vec::new();
    if document.get("pause") == Some(&json!(true)) {
        lines.push("Maintenance mode: on".to_owned());
    }
    if let Some(scheduled) = document.get("scheduled_switchover") {
        let mut text = format!("Switchover scheduled at: {}", output::text(&scheduled["at"]));
        for name in ["from", "to"] {
            if let Some(member) = scheduled.get(name) {
                text += &format!("\n{name:>24}: {}", output::text(member));
            }
        }
        lines.push(text);
    }
    if lines.is_empty() { String::new() } else { format!(" {}\n", lines.join("\n ")) }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
