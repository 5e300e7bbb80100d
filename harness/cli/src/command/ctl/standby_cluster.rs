//! `demote-cluster` and `promote-cluster`: a cluster becomes the copy of another one, or stands on its own again.

use std::time::Duration;

use clap::Args;
use http::{Method, StatusCode};
use jiff::Zoned;
use pgdrill_ha::{
    records::{MemberRole, MemberState},
    view::Cluster,
};
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::{
    ClusterArg, Done, Screen, Session, Stop, ask, failed,
    listing::{Style, members},
    session::text_of,
    usage,
};

/// How often the cluster is looked at while it changes.
const POLL: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct DemoteClusterArgs {
    #[command(flatten)]
    cluster: ClusterArg,
    /// Do not ask for confirmation at any point
    #[arg(long)]
    force: bool,
    /// Address of the remote node
    #[arg(long)]
    host: Option<String>,
    /// Port of the remote node
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Command to restore WAL records from the remote primary
    #[arg(long, value_name = "COMMAND")]
    restore_command: Option<String>,
    /// Name of the slot on the remote node to use for replication
    #[arg(long, value_name = "NAME")]
    primary_slot_name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct PromoteClusterArgs {
    #[command(flatten)]
    cluster: ClusterArg,
    /// Do not ask for confirmation at any point
    #[arg(long)]
    force: bool,
}

/// `demote-cluster`.
pub(super) async fn demote(session: &Session, screen: &mut Screen, args: &DemoteClusterArgs) -> Done {
    let change = Change::Demote(section(args)?);
    perform(session, screen, &session.scope(&args.cluster)?, args.force, &change).await
}

/// `promote-cluster`.
pub(super) async fn promote(session: &Session, screen: &mut Screen, args: &PromoteClusterArgs) -> Done {
    perform(session, screen, &session.scope(&args.cluster)?, args.force, &Change::Promote).await
}

/// `standby_cluster` of the dynamic configuration.
fn section(args: &DemoteClusterArgs) -> Result<Value, Stop> {
    let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty()).map(Value::from);
    let (host, port, restore) = (text(&args.host), args.port.map(Value::from), text(&args.restore_command));
    if host.is_none() && port.is_none() && restore.is_none() {
        return Err(usage("At least --host, --port or --restore-command should be specified"));
    }
    let slot = text(&args.primary_slot_name);
    let fields = [("host", host), ("port", port), ("primary_slot_name", slot), ("restore_command", restore)];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(Value::Object(given.collect::<Map<_, _>>()))
}

/// What becomes of the cluster.
#[derive(Debug)]
enum Change {
    /// A standby cluster, with this `standby_cluster`.
    Demote(Value),
    /// One that stands on its own.
    Promote,
}

impl Change {
    const fn verb(&self) -> &'static str {
        match self {
            Self::Demote(_) => "demote",
            Self::Promote => "promote",
        }
    }

    fn noun(&self) -> String {
        self.verb().replace("mote", "motion")
    }

    /// What the leader is in the end.
    const fn role(&self) -> MemberRole {
        match self {
            Self::Demote(_) => MemberRole::StandbyLeader,
            Self::Promote => MemberRole::Primary,
        }
    }

    const fn section(&self) -> Option<&Value> {
        match self {
            Self::Demote(section) => Some(section),
            Self::Promote => None,
        }
    }

    /// Whose leader is asked; an error when there is nothing to change.
    fn leader<'c>(&self, cluster: &'c Cluster) -> Result<&'c str, Stop> {
        let none = || failed(format!("Cluster has no leader, {} is not possible", self.noun()));
        let leader = cluster.leader_name().ok_or_else(none)?;
        match role_of(cluster, leader) {
            Some(role) if role == self.role() => Err(failed("Cluster is already in the required state")),
            _ => Ok(leader),
        }
    }

    /// Whether the cluster is what it was to become; `before` led it when that began.
    fn is_done(&self, cluster: &Cluster, before: &str) -> bool {
        let runs = |name: &str| state_of(cluster, name) == Some(MemberState::Running);
        let leads = |name: &str| role_of(cluster, name) == Some(self.role()) && runs(name);
        cluster.leader_name().is_some_and(leads) && (matches!(self, Self::Promote) || runs(before))
    }

    /// How far it has come, as `change_cluster_role` prints it.
    fn progress(&self, cluster: &Cluster, before: &str) -> String {
        let leader = cluster.leader_name();
        let unlocked = if leader.is_none() { "True" } else { "False" };
        let role = word(leader.and_then(|name| role_of(cluster, name)));
        let state = word(leader.and_then(|name| state_of(cluster, name)));
        let mut line = format!("cluster is unlocked: {unlocked}, leader role: {role}, leader state: {state}");
        let was_another = matches!(self, Self::Demote(_)) && leader.is_some_and(|name| name != before);
        if let Some(state) = state_of(cluster, before).filter(|_| was_another) {
            line += &format!(", previous leader state: '{}'", word(Some(state)));
        }
        line
    }
}

fn role_of(cluster: &Cluster, name: &str) -> Option<MemberRole> {
    cluster.members.get(name)?.role
}

fn state_of(cluster: &Cluster, name: &str) -> Option<MemberState> {
    cluster.members.get(name)?.state
}

/// As it stands in the member key.
fn word(value: Option<impl serde::Serialize>) -> String {
    value.and_then(|value| json!(value).as_str().map(str::to_owned)).unwrap_or_else(|| "None".into())
}

async fn perform(session: &Session, screen: &mut Screen, scope: &str, force: bool, change: &Change) -> Done {
    let cluster = session.cluster(scope).await?;
    let leader = change.leader(&cluster)?;
    screen.print(&format!("Current cluster topology\n{}", members(scope, &cluster, Style::PLAIN)));
    let verb = change.verb();
    if !force && !ask::confirm(&format!("Are you sure you want to {verb} {scope} cluster?"))? {
        return Err(failed(format!("Aborted cluster {}", change.noun())));
    }
    order(session, scope, &cluster, leader, change).await?;
    loop {
        let cluster = session.cluster(scope).await?;
        let now = Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        if change.is_done(&cluster, leader) {
            screen.print(&format!("{now} cluster is successfully {verb}d\n"));
            break;
        }
        screen.print(&format!("{now} {}\n", change.progress(&cluster, leader)));
        sleep(POLL).await;
    }
    screen.print(&members(scope, &session.cluster(scope).await?, Style::PLAIN));
    Ok(())
}

async fn order(session: &Session, scope: &str, cluster: &Cluster, leader: &str, change: &Change) -> Done {
    let not_done = |why: String| failed(format!("Failed to {} {scope} cluster: {why}", change.verb()));
    let url = cluster.members.get(leader).and_then(|record| record.api_url.clone());
    let url = url.ok_or_else(|| not_done(format!("{leader} has no REST API")))?;
    let body = json!({ "standby_cluster": change.section() });
    let answer = session.call(&url, Method::PATCH, "config", Some(&body)).await;
    let answer = answer.map_err(|error| not_done(error.to_string()))?;
    if answer.status == StatusCode::OK {
        return Ok(());
    }
    Err(not_done(format!("/config PATCH status code={}, ({})", answer.status.as_u16(), text_of(&answer))))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pgdrill_ha::{records::MemberRecord, view::Leader};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DemoteClusterArgs,
    }

    fn demotion(line: &[&str]) -> Result<Value, Stop> {
        let line = Line::try_parse_from([&["demote-cluster", "demo"], line].concat()).expect("it is well-formed");
        section(&line.args)
    }

    /// Members as `(name, role, state)`, the first one with the lock.
    fn cluster(members: &[(&str, &str, &str)]) -> Cluster {
        let mut cluster = Cluster::default();
        for (name, role, state) in members {
            let record = json!({ "role": role, "state": state }).to_string();
            cluster.members.insert((*name).into(), MemberRecord::parse(&record));
        }
        cluster.leader = members.first().map(|m| Leader { name: m.0.into(), mod_revision: 1, lease_id: 1 });
        cluster
    }

    fn said(stop: Result<impl std::fmt::Debug, Stop>) -> String {
        match stop.expect_err("it is refused") {
            Stop::Usage(text) | Stop::Failed(text) => text,
            Stop::Invalid(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_remote_is_an_address_or_a_command_and_only_what_is_given_is_written() {
        assert_eq!(demotion(&["--host", "dc1"]).expect("enough"), json!({"host": "dc1"}));
        let all = ["--host=dc1", "--port=5433", "--primary-slot-name=dc2", "--restore-command=cp /a/%f %p"];
        let expected =
            json!({"host": "dc1", "port": 5433, "primary_slot_name": "dc2", "restore_command": "cp /a/%f %p"});
        assert_eq!(demotion(&all).expect("enough"), expected);
        for little in [&["--primary-slot-name=dc2"][..], &["--host="], &[]] {
            assert_eq!(said(demotion(little)), "At least --host, --port or --restore-command should be specified");
        }
        assert!(Line::try_parse_from(["demote-cluster", "demo", "--port=0"]).is_err());
    }

    #[test]
    fn a_cluster_without_leader_and_one_that_is_there_already_are_not_asked() {
        let demote = Change::Demote(json!({}));
        assert_eq!(said(demote.leader(&cluster(&[]))), "Cluster has no leader, demotion is not possible");
        assert_eq!(said(Change::Promote.leader(&cluster(&[]))), "Cluster has no leader, promotion is not possible");
        let (own, standby) = (("pg1", "primary", "running"), ("pg1", "standby_leader", "running"));
        assert_eq!(demote.leader(&cluster(&[own])).expect("it may"), "pg1");
        assert_eq!(Change::Promote.leader(&cluster(&[standby])).expect("it may"), "pg1");
        for (change, member) in [(&demote, standby), (&Change::Promote, own)] {
            assert_eq!(said(change.leader(&cluster(&[member]))), "Cluster is already in the required state");
        }
    }

    #[test]
    fn it_is_done_when_the_leader_runs_in_its_new_role_and_the_old_one_is_back() {
        let demote = Change::Demote(json!({}));
        let (new, starting) = (("pg2", "standby_leader", "running"), ("pg2", "standby_leader", "starting"));
        let (back, stopping) = (("pg1", "replica", "running"), ("pg1", "demoted", "stopping"));
        assert!(demote.is_done(&cluster(&[new, back]), "pg1"));
        for members in [&[new, stopping][..], &[starting, back], &[("pg2", "primary", "running"), back], &[new], &[]] {
            assert!(!demote.is_done(&cluster(members), "pg1"), "{members:?}");
        }
        let promoted = ("pg2", "primary", "running");
        assert!(Change::Promote.is_done(&cluster(&[promoted, stopping]), "pg1"), "nobody has to come back");
        let lines = [
            demote.progress(&cluster(&[("pg1", "primary", "stopping")]), "pg1"),
            demote.progress(&cluster(&[]), "pg1"),
            demote.progress(&cluster(&[starting, stopping]), "pg1"),
            Change::Promote.progress(&cluster(&[new, back]), "pg1"),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        cluster is unlocked: False, leader role: primary, leader state: stopping
        cluster is unlocked: True, leader role: None, leader state: None
        cluster is unlocked: False, leader role: standby_leader, leader state: starting, previous leader state: 'stopping'
        cluster is unlocked: False, leader role: standby_leader, leader state: running
        ");
    }
}
