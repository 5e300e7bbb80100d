//! A scenario with a user's own `patroni.yml`: what a scenario says itself is what it is about, and counts over the file. If the file
//! has one of the modes that the scenario is about the other way round, the scenario would play another cluster than the user's: it
//! does not apply.

use pgdrill_yaml::{At, Node, Reader};

use super::{OwnFile, Patroni, SynchronousMode, WatchdogMode, read::overlay};
use crate::scenario::{Cluster, Devices, Fencing, Scenario, Watchdog};

/// What a scenario says of Patroni's settings, as the file has it. It is told by the settings themselves whether two scenarios are the
/// same, not by how they are written.
#[derive(Clone, Debug, Default)]
pub(in crate::scenario) struct Said(pub Option<Node>);

impl PartialEq for Said {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Gives a scenario the settings of a file, with its own ones over them. Returns why it does not apply to the file, if it does not.
pub(in crate::scenario) fn play_with(scenario: &mut Scenario, file: &OwnFile) -> Option<String> {
    let at_odds = at_odds(&scenario.cluster, file);
    let said = std::mem::take(&mut scenario.cluster.patroni.said);
    let mut settings = file.settings.clone();
    if let Said(Some(node)) = &said {
        // Whatever is wrong with what the scenario says was told when the scenario was read.
        let mut reader = Reader::new(scenario.source.clone(), "");
        let mut fields = reader.fields(&At { node, path: String::new() });
        fields.take("file");
        overlay(&mut reader, &mut fields, &mut settings);
    }
    settings.said = said;
    let cluster = &mut scenario.cluster;
    cluster.fencing = cluster.fencing.or(file.fencing);
    // A file that requires a watchdog is of nodes that have one.
    if cluster.watchdog.is_none() && settings.watchdog.mode == WatchdogMode::Required {
        cluster.watchdog = Some(Watchdog { mode: WatchdogMode::Required, device: Devices::OnAll });
    }
    cluster.patroni = settings;
    at_odds
}

/// Which mode the scenario is about that the file has otherwise.
fn at_odds(cluster: &Cluster, file: &OwnFile) -> Option<String> {
    let (own, users) = (&cluster.patroni, &file.settings);
    let says = |name: &str| is_said(own, name);
    let word = |on: bool| if on { "on" } else { "off" };
    let mode = |setting: &str, own: &str, users: &str| {
        (own != users).then(|| format!("it is about {setting}: {own}, and the file has {users}"))
    };
    let synchronous = says("synchronous_mode")
        .then(|| mode("synchronous_mode", name(own.synchronous_mode), name(users.synchronous_mode)))
        .flatten();
    let flag =
        |setting: &str, own: bool, users: bool| says(setting).then(|| mode(setting, word(own), word(users))).flatten();
    synchronous
        .or_else(|| own_names(own, users))
        .or_else(|| standby_cluster(own, users))
        .or_else(|| flag("synchronous_mode_strict", own.synchronous_mode_strict, users.synchronous_mode_strict))
        .or_else(|| flag("failsafe_mode", own.failsafe_mode, users.failsafe_mode))
        .or_else(|| watchdog(cluster.watchdog.as_ref()?, users.watchdog.mode))
        .or_else(|| fencing(cluster.fencing?, file.fencing?))
}

/// Commits wait with PostgreSQL's own `synchronous_standby_names`, too, unless the scenario has others.
fn own_names(own: &Patroni, users: &Patroni) -> Option<String> {
    const NAMES: &str = "synchronous_standby_names";
    let names = users.postgresql.parameters.get(NAMES)?;
    let asynchronous = is_said(own, "synchronous_mode") && own.synchronous_mode == SynchronousMode::Off;
    let waits = names.as_str().is_some_and(|names| !names.trim().is_empty());
    (asynchronous && waits && !own.postgresql.parameters.contains_key(NAMES))
        .then(|| format!("it is about commits that wait for no standby, and the file has {NAMES}: {names}"))
}

/// Whether there are clients that write.
fn standby_cluster(own: &Patroni, users: &Patroni) -> Option<String> {
    match (&own.standby_cluster, &users.standby_cluster) {
        (None, Some(_)) => {
            Some("its leader is a primary, and the file makes a standby cluster (standby_cluster)".into())
        }
        (Some(_), None) => Some("it is about a standby cluster, and the file makes none".into()),
        _ => None,
    }
}

/// Whether the scenario itself says anything about a dynamic setting.
fn is_said(own: &Patroni, setting: &str) -> bool {
    let at = |path: &str| own.said.0.as_ref().and_then(|node| node.at(path)).is_some();
    at(setting) || at(&format!("bootstrap.dcs.{setting}"))
}

fn watchdog(own: &Watchdog, users: WatchdogMode) -> Option<String> {
    match (own.mode, users) {
        (WatchdogMode::Off, WatchdogMode::Required) => {
            Some("it shows what happens without a watchdog, and the file requires one".into())
        }
        (WatchdogMode::Automatic | WatchdogMode::Required, WatchdogMode::Off) => {
            Some("it shows what a watchdog does, and the file has watchdog.mode: off".into())
        }
        _ => None,
    }
}

fn fencing(own: Fencing, users: Fencing) -> Option<String> {
    match (own, users) {
        (Fencing::Off, Fencing::Required) => {
            Some("it shows what happens without the dead-man process, and the file requires it".into())
        }
        (Fencing::Automatic | Fencing::Required, Fencing::Off) => {
            Some("it shows what the dead-man process does, and the file has pgdrill.fencing.mode: off".into())
        }
        _ => None,
    }
}

const fn name(mode: SynchronousMode) -> &'static str {
    match mode {
        SynchronousMode::Off => "off",
        SynchronousMode::On => "on",
        SynchronousMode::Quorum => "quorum",
    }
}
