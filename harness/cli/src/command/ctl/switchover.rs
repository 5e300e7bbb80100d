//! `switchover` and `failover`, through the leader's REST API, or by the key in etcd where nobody answers.

use clap::Args;
use http::{Method, StatusCode};
use jiff::{Timestamp, Zoned, civil::DateTime, tz::TimeZone};
use pgdrill_agent::rest::{config_of, isoformat};
use pgdrill_ha::{
    records::{FailoverRecord, Key},
    view::Cluster,
};
use serde_json::json;

use super::{
    ClusterArg, Done, Screen, Session, Stop, ask, failed,
    listing::{Style, members},
    session::text_of,
    usage,
};

#[derive(Debug, Args)]
pub(super) struct SwitchoverArgs {
    #[command(flatten)]
    cluster: ClusterArg,
    /// Who leads now
    #[arg(long, visible_alias = "primary", value_name = "MEMBER")]
    leader: Option<String>,
    /// Who is to lead
    #[arg(long, value_name = "MEMBER")]
    candidate: Option<String>,
    /// When, such as 2026-11-24T20:00+00:00; without an offset the local time counts
    #[arg(long, value_name = "TIME")]
    scheduled: Option<String>,
    /// Do not ask
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct FailoverArgs {
    #[command(flatten)]
    cluster: ClusterArg,
    /// Who is to lead
    #[arg(long, value_name = "MEMBER")]
    candidate: Option<String>,
    /// Do not ask
    #[arg(long)]
    force: bool,
}

/// What is wanted, as far as it was said.
struct Wanted {
    is_switchover: bool,
    leader: Option<String>,
    candidate: Option<String>,
    scheduled: Option<String>,
    force: bool,
}

impl Wanted {
    fn action(&self) -> &'static str {
        if self.is_switchover { "switchover" } else { "failover" }
    }
}

/// `switchover`.
pub(super) async fn switchover(session: &Session, screen: &mut Screen, args: SwitchoverArgs) -> Done {
    let SwitchoverArgs { cluster, leader, candidate, scheduled, force } = args;
    let wanted = Wanted { is_switchover: true, leader, candidate, scheduled, force };
    perform(session, screen, &session.scope(&cluster)?, wanted).await
}

/// `failover`.
pub(super) async fn failover(session: &Session, screen: &mut Screen, args: FailoverArgs) -> Done {
    let FailoverArgs { cluster, candidate, force } = args;
    let wanted = Wanted { is_switchover: false, leader: None, candidate, scheduled: None, force };
    perform(session, screen, &session.scope(&cluster)?, wanted).await
}

async fn perform(session: &Session, screen: &mut Screen, scope: &str, mut wanted: Wanted) -> Done {
    let cluster = session.cluster(scope).await?;
    screen.print(&format!("Current cluster topology\n{}", members(scope, &cluster, Style::PLAIN)));
    choose_leader(&cluster, scope, &mut wanted)?;
    choose_candidate(&cluster, scope, &mut wanted)?;
    let at = choose_time(&cluster, &mut wanted)?;
    if !wanted.force {
        confirm(&cluster, scope, &wanted, at)?;
    }
    let record =
        FailoverRecord { leader: wanted.leader.clone(), candidate: wanted.candidate.clone(), scheduled_at: at };
    send(session, screen, scope, &cluster, &wanted, &record).await?;
    screen.print(&members(scope, &session.cluster(scope).await?, Style::PLAIN));
    Ok(())
}

fn choose_leader(cluster: &Cluster, scope: &str, wanted: &mut Wanted) -> Result<(), Stop> {
    if !wanted.is_switchover {
        return Ok(());
    }
    let leader = cluster.leader_name().ok_or_else(|| failed("This cluster has no leader"))?;
    if wanted.leader.is_none() {
        let kind = if config_of(cluster).standby_cluster.is_some() { "Standby Leader" } else { "Primary" };
        wanted.leader =
            Some(if wanted.force { leader.to_owned() } else { ask::text(kind, leader, "--leader or --force")? });
    }
    match &wanted.leader {
        Some(named) if named != leader => Err(failed(format!("Member {named} is not the leader of cluster {scope}"))),
        _ => Ok(()),
    }
}

fn choose_candidate(cluster: &Cluster, scope: &str, wanted: &mut Wanted) -> Result<(), Stop> {
    let may = |(name, record): &(&String, &pgdrill_ha::records::MemberRecord)| {
        !cluster.is_leader(name) && !record.tags.nofailover()
    };
    let candidates: Vec<&str> = cluster.members.iter().filter(may).map(|(name, _)| name.as_str()).collect();
    if candidates.is_empty() {
        return Err(failed(format!("No candidates found to {} to", wanted.action())));
    }
    if wanted.candidate.is_none() && !wanted.force {
        let list: Vec<_> = candidates.iter().map(|name| format!("'{name}'")).collect();
        let answer = ask::text(&format!("Candidate [{}]", list.join(", ")), "", "--candidate or --force")?;
        wanted.candidate = Some(answer).filter(|answer| !answer.is_empty());
    }
    match wanted.candidate.as_deref() {
        None if !wanted.is_switchover => Err(failed("Failover could be performed only to a specific candidate")),
        Some(name) if cluster.is_leader(name) => {
            Err(failed(format!("Member {name} is already the leader of cluster {scope}")))
        }
        Some(name) if !candidates.contains(&name) => {
            Err(failed(format!("Member {name} does not exist in cluster {scope} or is tagged as nofailover")))
        }
        Some(name) if !wanted.force && !wanted.is_switchover && is_asynchronous(cluster, name) => {
            match ask::confirm(&format!("Are you sure you want to failover to the asynchronous node {name}?"))? {
                true => Ok(()),
                false => Err(failed("Aborting failover")),
            }
        }
        _ => Ok(()),
    }
}

/// The cluster is synchronous and this node is not: it may lack what was acknowledged.
fn is_asynchronous(cluster: &Cluster, name: &str) -> bool {
    let sync = &cluster.sync.value;
    let is_named = sync.is_standby(name) || sync.leader.as_deref() == Some(name);
    config_of(cluster).is_synchronous() && sync.leader.is_some() && !is_named
}

fn choose_time(cluster: &Cluster, wanted: &mut Wanted) -> Result<Option<Timestamp>, Stop> {
    if !wanted.is_switchover {
        return Ok(None);
    }
    if wanted.scheduled.is_none() && !wanted.force {
        let question = format!("When should the switchover take place (e.g. {} ) ", next_hour());
        wanted.scheduled = Some(ask::text(&question, "now", "--scheduled or --force")?);
    }
    let at = parse_time(wanted.scheduled.as_deref())?;
    if at.is_some() && config_of(cluster).paused {
        return Err(failed("Can't schedule switchover in the paused state"));
    }
    Ok(at)
}

/// An example that lies ahead.
pub(super) fn next_hour() -> String {
    let later = Zoned::now().checked_add(jiff::Span::new().hours(1)).unwrap_or_else(|_| Zoned::now());
    later.strftime("%Y-%m-%dT%H:%M").to_string()
}

/// `now` is none; without an offset the local time counts.
pub(super) fn parse_time(text: Option<&str>) -> Result<Option<Timestamp>, Stop> {
    let Some(text) = text.filter(|text| !text.is_empty() && *text != "now") else { return Ok(None) };
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Some(at));
    }
    let local = text.parse::<DateTime>().ok().and_then(|at| at.to_zoned(TimeZone::system()).ok());
    local.map(|at| Some(at.timestamp())).ok_or_else(|| {
        usage(format!(
            "Unable to parse scheduled timestamp ({text}). It should be in an unambiguous format (e.g. ISO 8601)"
        ))
    })
}

fn confirm(cluster: &Cluster, scope: &str, wanted: &Wanted, at: Option<Timestamp>) -> Result<(), Stop> {
    let demoting =
        cluster.leader_name().map(|leader| format!(", demoting current leader {leader}")).unwrap_or_default();
    let (question, action) = match at {
        Some(at) => {
            let at = isoformat(at);
            (
                format!("Are you sure you want to schedule switchover of cluster {scope} at {at}{demoting}?"),
                "scheduled switchover",
            )
        }
        None => {
            let action = wanted.action();
            (format!("Are you sure you want to {action} cluster {scope}{demoting}?"), action)
        }
    };
    if ask::confirm(&question)? { Ok(()) } else { Err(failed(format!("Aborting {action}"))) }
}

async fn send(
    session: &Session,
    screen: &mut Screen,
    scope: &str,
    cluster: &Cluster,
    wanted: &Wanted,
    record: &FailoverRecord,
) -> Done {
    let mut body = json!({ "candidate": record.candidate });
    if let Some(leader) = &record.leader {
        body["leader"] = leader.as_str().into();
    }
    if let Some(at) = record.scheduled_at {
        body["scheduled_at"] = isoformat(at).into();
    }
    let action = wanted.action();
    let asked = cluster.leader_name().or(record.candidate.as_deref()).unwrap_or_default();
    let url = cluster.members.get(asked).and_then(|record| record.api_url.clone());
    let answer = match &url {
        Some(url) => session.call(url, Method::POST, action, Some(&body)).await.map_err(|error| error.to_string()),
        None => Err(format!("{asked} has no REST API")),
    };
    match answer {
        Ok(answer) if [StatusCode::OK, StatusCode::ACCEPTED].contains(&answer.status) => {
            screen.print(&format!("{} {}\n", now(), text_of(&answer)));
            Ok(())
        }
        Ok(answer) => {
            let capital = if wanted.is_switchover { "Switchover" } else { "Failover" };
            Err(failed(format!("{capital} failed, details: {}, {}", answer.status.as_u16(), text_of(&answer))))
        }
        Err(error) => {
            screen.print(&format!("{} Could not {action} using Patroni api ({error}), falling back to DCS\n", now()));
            session.put(scope, &Key::Failover, &record.to_json()).await
        }
    }
}

/// `2026-11-24 15:06:43.12345`, the local time as patronictl prints it.
pub(super) fn now() -> String {
    Zoned::now().strftime("%Y-%m-%d %H:%M:%S.%5f").to_string()
}
