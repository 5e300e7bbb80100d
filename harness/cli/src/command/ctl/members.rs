//! What is asked of single members: `restart`, `reload`, `reinit`, `flush`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use http::{Method, StatusCode};
use pgdrill_agent::rest::{client::Answer, config_of, isoformat, parse_version};
use pgdrill_ha::{
    records::{Key, MemberRecord, MemberRole},
    view::Cluster,
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Done, Screen, Session, Stop, ask, failed,
    listing::{self, Style},
    pause::leader_first,
    session::text_of,
    switchover::{next_hour, parse_time},
    usage,
};

/// Which members are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    /// Whoever holds the leader lock
    Leader,
    /// The leader, unless it leads a standby cluster
    Primary,
    /// The leader of a standby cluster
    StandbyLeader,
    /// Whoever does not lead
    Replica,
    /// The same as replica
    Standby,
    /// All
    Any,
}

#[derive(Debug, Args)]
pub(super) struct RestartArgs {
    /// Name of the cluster (scope)
    cluster_name: String,
    /// Names of members; all if none is given
    member_names: Vec<String>,
    /// Only members with this role
    #[arg(short = 'r', long, value_enum, default_value = "any")]
    role: Role,
    /// A single one of them
    #[arg(long)]
    any: bool,
    /// When, such as 2026-11-24T20:00+00:00; without an offset the local time counts
    #[arg(long, value_name = "TIME")]
    scheduled: Option<String>,
    /// Only if PostgreSQL is older than this, such as 16.4
    #[arg(long, value_name = "VERSION")]
    pg_version: Option<String>,
    /// Only if a changed setting waits for a restart
    #[arg(long)]
    pending: bool,
    /// Fail, and fail over if necessary, when it takes longer than this
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<String>,
    /// Do not ask
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    /// Name of the cluster (scope)
    cluster_name: String,
    /// Names of members; all if none is given
    member_names: Vec<String>,
    /// Only members with this role
    #[arg(short = 'r', long, value_enum, default_value = "any")]
    role: Role,
    /// Do not ask
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReinitArgs {
    /// Name of the cluster (scope)
    cluster_name: String,
    /// Names of replicas
    member_names: Vec<String>,
    /// Copy from the leader
    #[arg(long)]
    from_leader: bool,
    /// Wait until it is done
    #[arg(long)]
    wait: bool,
    /// Do not ask; cancel what is in the way
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct FlushArgs {
    /// Name of the cluster (scope)
    cluster_name: String,
    /// Names of members, all if none is given; then what is taken back: restart or switchover
    #[arg(required = true, value_name = "[MEMBER_NAMES]... <restart|switchover>")]
    members_and_target: Vec<String>,
    /// Only members with this role
    #[arg(short = 'r', long, value_enum, default_value = "any")]
    role: Role,
    /// Do not ask
    #[arg(long)]
    force: bool,
}

/// A member that is meant.
type Member = (String, MemberRecord);

/// Members of a role, by name.
pub(super) fn of_role(cluster: &Cluster, role: Role) -> Vec<Member> {
    let standby_leader = |record: &MemberRecord| record.role == Some(MemberRole::StandbyLeader);
    let is = |(name, record): &(&String, &MemberRecord)| match role {
        Role::Leader => cluster.is_leader(name),
        Role::Primary => cluster.is_leader(name) && !standby_leader(record),
        Role::StandbyLeader => cluster.is_leader(name) && standby_leader(record),
        Role::Replica | Role::Standby => !cluster.is_leader(name),
        Role::Any => true,
    };
    cluster.members.iter().filter(is).map(|(name, record)| (name.clone(), record.clone())).collect()
}

/// Shows the cluster and finds who is meant (`get_members`).
fn select(
    screen: &mut Screen,
    scope: &str,
    cluster: &Cluster,
    names: &[String],
    role: Role,
    action: &str,
) -> Result<Vec<Member>, Stop> {
    let candidates = of_role(cluster, role);
    if names.is_empty() && candidates.is_empty() {
        return Err(failed(format!("{scope} cluster doesn't have any members")));
    }
    screen.print(&listing::members(scope, cluster, Style::PLAIN));
    let mut names = names.to_vec();
    if names.is_empty() && action == "reinitialize" {
        let all: Vec<_> = candidates.iter().map(|(name, _)| name.as_str()).collect();
        names =
            vec![ask::text(&format!("Which member do you want to {action} [{}]?", all.join(", ")), "", "its name")?];
    }
    if let Some(other) = names.iter().find(|name| candidates.iter().all(|(candidate, _)| candidate != *name)) {
        let why = if cluster.members.contains_key(other) { "has another role" } else { "is not a member of cluster" };
        return Err(failed(format!("{other} {why}")));
    }
    Ok(candidates.into_iter().filter(|(name, _)| names.is_empty() || names.contains(name)).collect())
}

fn confirm(members: &[Member], force: bool, action: &str) -> Result<(), Stop> {
    let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
    if force || ask::confirm(&format!("Are you sure you want to {action} members {}?", names.join(", ")))? {
        return Ok(());
    }
    Err(failed(format!("Aborted {action}")))
}

/// Calls one member; what went wrong is kept, and the others are asked all the same.
async fn call(
    session: &Session,
    member: &Member,
    method: Method,
    name: &str,
    body: Option<&Value>,
) -> Result<Answer, String> {
    let (who, record) = member;
    let url = record.api_url.as_deref().ok_or_else(|| format!("{who} has no REST API"))?;
    session.call(url, method, name, body).await.map_err(|error| format!("{who} did not answer: {error}"))
}

/// The end of a command that asked several members.
fn ended(failures: &[String]) -> Done {
    if failures.is_empty() { Ok(()) } else { Err(failed(failures.join("\n"))) }
}

fn refused(action: &str, name: &str, answer: &Answer) -> String {
    format!("Failed: {action} for member {name}, status code={}, ({})", answer.status.as_u16(), text_of(answer))
}

/// `reload`.
pub(super) async fn reload(session: &Session, screen: &mut Screen, args: &ReloadArgs) -> Done {
    let scope = &args.cluster_name;
    let cluster = session.cluster(scope).await?;
    let members = select(screen, scope, &cluster, &args.member_names, args.role, "reload")?;
    confirm(&members, args.force, "reload")?;
    let seconds = config_of(&cluster).loop_wait.as_secs();
    let mut failures = Vec::new();
    for member in &members {
        let name = &member.0;
        match call(session, member, Method::POST, "reload", None).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                screen.print(&format!("No changes to apply on member {name}\n"));
            }
            Ok(answer) if answer.status == StatusCode::ACCEPTED => screen.print(&format!(
                "Reload request received for member {name} and will be processed within {seconds} seconds\n"
            )),
            Ok(answer) => failures.push(refused("reload", name, &answer)),
            Err(error) => failures.push(error),
        }
    }
    ended(&failures)
}

/// `restart`.
pub(super) async fn restart(session: &Session, screen: &mut Screen, args: &RestartArgs) -> Done {
    let scope = &args.cluster_name;
    let cluster = session.cluster(scope).await?;
    let mut members = select(screen, scope, &cluster, &args.member_names, args.role, "restart")?;
    let scheduled = match &args.scheduled {
        None if !args.force => {
            let question = format!("When should the restart take place (e.g. {}) ", next_hour());
            Some(ask::text(&question, "now", "--scheduled or --force")?)
        }
        given => given.clone(),
    };
    let at = parse_time(scheduled.as_deref())?;
    if args.pending && at.is_none() {
        members.retain(|(_, record)| record.pending_restart == Some(true));
    }
    if args.any {
        members.truncate(1);
    }
    if !args.force {
        confirm_restart(&members, at.map(isoformat), args.pending)?;
    }
    let mut body = json!({});
    if args.pending {
        body["restart_pending"] = true.into();
    }
    let version = match &args.pg_version {
        None if !args.force => {
            let question = "Restart if the PostgreSQL version is less than provided (e.g. 9.5.2) ";
            Some(ask::text(question, "", "--pg-version or --force")?)
        }
        given => given.clone(),
    };
    if let Some(version) = version.filter(|version| !version.is_empty()) {
        parse_version(&version).map_err(usage)?;
        body["postgres_version"] = version.into();
    }
    if let Some(at) = at {
        if config_of(&cluster).paused {
            return Err(failed("Can't schedule restart in the paused state"));
        }
        body["schedule"] = isoformat(at).into();
    }
    if let Some(timeout) = &args.timeout {
        body["timeout"] = timeout.as_str().into();
    }
    let mut failures = Vec::new();
    for member in &members {
        match restart_one(session, member, &body, args.force).await {
            Ok(text) => screen.print(&text),
            Err(text) => failures.push(text),
        }
    }
    ended(&failures)
}

fn confirm_restart(members: &[Member], at: Option<String>, pending: bool) -> Result<(), Stop> {
    let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
    let question = match at {
        None => return confirm(members, false, "restart"),
        Some(_) if pending => {
            "The nodes needing a restart will be identified at the scheduled time, and might be different \
            from the ones showing pending restart right now. Is this fine?"
                .to_owned()
        }
        Some(at) => format!("Are you sure you want to schedule restart of members {} at {at}?", names.join(", ")),
    };
    if ask::confirm(&question)? { Ok(()) } else { Err(failed("Aborted scheduled restart")) }
}

async fn restart_one(session: &Session, member: &Member, body: &Value, force: bool) -> Result<String, String> {
    let name = &member.0;
    if body.get("schedule").is_some() && force && member.1.scheduled_restart.is_some() {
        let answer = call(session, member, Method::DELETE, "restart", None).await?;
        if answer.status.is_client_error() && answer.status != StatusCode::NOT_FOUND {
            return Err(refused("flush scheduled restart", name, &answer));
        }
    }
    let answer = call(session, member, Method::POST, "restart", Some(body)).await?;
    match answer.status {
        StatusCode::OK => Ok(format!("Success: restart on member {name}\n")),
        StatusCode::ACCEPTED => Ok(format!("Success: restart scheduled on member {name}\n")),
        StatusCode::CONFLICT => Err(format!("Failed: another restart is already scheduled on member {name}")),
        _ => Err(refused("restart", name, &answer)),
    }
}

/// `reinit`.
pub(super) async fn reinit(session: &Session, screen: &mut Screen, args: &ReinitArgs) -> Done {
    let scope = &args.cluster_name;
    let cluster = session.cluster(scope).await?;
    let members = select(screen, scope, &cluster, &args.member_names, Role::Replica, "reinitialize")?;
    confirm(&members, args.force, "reinitialize")?;
    let (mut failures, mut started) = (Vec::new(), Vec::new());
    for member in &members {
        match reinit_one(session, member, args).await? {
            Ok(()) => {
                screen.print(&format!("Success: reinitialize for member {}\n", member.0));
                started.push(member);
            }
            Err(text) => failures.push(text),
        }
    }
    if args.wait {
        wait_for(session, screen, started).await;
    }
    ended(&failures)
}

async fn reinit_one(session: &Session, member: &Member, args: &ReinitArgs) -> Result<Result<(), String>, Stop> {
    let mut force = args.force;
    loop {
        let body = json!({ "force": force, "from_leader": args.from_leader });
        let answer = match call(session, member, Method::POST, "reinitialize", Some(&body)).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        if answer.status.is_success() {
            return Ok(Ok(()));
        }
        let busy = text_of(&answer).ends_with(" already in progress");
        let refusal = refused("reinitialize", &member.0, &answer);
        if force || !busy || !ask::confirm(&format!("{refusal}\nDo you want to cancel it and reinitialize anyway?"))? {
            return Ok(Err(refusal));
        }
        force = true;
    }
}

async fn wait_for(session: &Session, screen: &mut Screen, mut waiting: Vec<&Member>) {
    let names: Vec<_> = waiting.iter().map(|(name, _)| name.as_str()).collect();
    if !names.is_empty() {
        screen.print(&format!("Waiting for reinitialize to complete on: {}\n", names.join(", ")));
    }
    while !waiting.is_empty() {
        sleep(Duration::from_secs(2)).await;
        let mut still = Vec::new();
        for member in waiting {
            let answer = call(session, member, Method::GET, "patroni", None).await;
            let state = answer.ok().and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok());
            match state.as_ref().and_then(|state| state.get("state")?.as_str()) {
                // A member that does not answer has not said that it is done.
                None | Some("creating replica") => still.push(member),
                Some(_) => screen.print(&format!("Reinitialize is completed on: {}\n", member.0)),
            }
        }
        waiting = still;
    }
}

/// `flush`.
pub(super) async fn flush(session: &Session, screen: &mut Screen, args: &FlushArgs) -> Done {
    let (target, names) = args.members_and_target.split_last().ok_or_else(|| usage("flush what?"))?;
    let scope = &args.cluster_name;
    let cluster = session.cluster(scope).await?;
    match target.as_str() {
        "restart" => {
            let members = select(screen, scope, &cluster, names, args.role, "flush")?;
            confirm(&members, args.force, "flush")?;
            flush_restarts(session, screen, &members).await
        }
        "switchover" => flush_switchover(session, screen, scope, &cluster).await,
        other => Err(usage(format!("flush: found '{other}' at the end, expected restart or switchover"))),
    }
}

async fn flush_restarts(session: &Session, screen: &mut Screen, members: &[Member]) -> Done {
    let mut failures = Vec::new();
    for member in members {
        let name = &member.0;
        if member.1.scheduled_restart.is_none() {
            screen.print(&format!("No scheduled restart for member {name}\n"));
            continue;
        }
        match call(session, member, Method::DELETE, "restart", None).await {
            Ok(answer) if answer.status.is_success() => {
                screen.print(&format!("Success: flush scheduled restart for member {name}\n"));
            }
            Ok(answer) => failures.push(refused("flush scheduled restart", name, &answer)),
            Err(error) => failures.push(error),
        }
    }
    ended(&failures)
}

async fn flush_switchover(session: &Session, screen: &mut Screen, scope: &str, cluster: &Cluster) -> Done {
    let Some(failover) = cluster.failover.as_ref().filter(|failover| failover.value.scheduled_at.is_some()) else {
        screen.print("No pending scheduled switchover\n");
        return Ok(());
    };
    for (name, url) in leader_first(cluster) {
        match session.call(&url, Method::DELETE, "switchover", None).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                screen.print(&format!("Success: {}\n", text_of(&answer)));
                return Ok(());
            }
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                return Err(failed(format!("Failed: {}", text_of(&answer))));
            }
            Ok(answer) => screen.print(&format!("{}\n", refused("flush switchover", &name, &answer))),
            Err(error) => screen.print(&format!("Member {name} is not accessible: {error}\n")),
        }
    }
    screen.print(&format!("Could not find any accessible member of cluster {scope}, falling back to DCS\n"));
    match session.compare_and_set(scope, &Key::Failover, failover.mod_revision, "{}").await? {
        true => Ok(()),
        false => Err(failed("the switchover was changed meanwhile")),
    }
}
