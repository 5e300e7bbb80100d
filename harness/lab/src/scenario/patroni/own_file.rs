//! A user's own `patroni.yml`: read as Patroni reads it, so nothing in it is an error; what Patroni would ignore or adjust, and
//! what is known to hurt, becomes a warning with the reason and what would be right.

use std::path::Path;

use pgdrill_settings::{
    Dynamic,
    places::{CLUSTER_WIDE, STANDBY_CLUSTER},
    postgresql::{FROM_DCS_ONLY, follows, rename},
    slots::permanent_slots,
    value::{switch, watchdog_mode},
};
use pgdrill_yaml::{
    At, Document, Fields, Node, Problem, Reader, Value, first_of_each, hide_secrets, parse, patroni as warts, text_of,
};
use serde_json::{Map, Value as Json};

use super::{
    Account, Patroni, Postgresql, SynchronousMode, WatchdogMode,
    account::is_taken,
    read::{OWNED_BY_LAB, initdb, scope_and_namespace},
};
use crate::scenario::Fencing;

/// What is expected at a path that is named as a user's own file.
const PATRONI_YML: Document = Document {
    what: "patroni.yml",
    fields: "fields: scope, name, etcd3, restapi, bootstrap, postgresql, ...",
    yaml_1_1: true,
};

/// A user's own file, read.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnFile {
    /// Patroni's settings.
    pub settings: Patroni,
    /// `pgdrill.fencing.mode`, if the file has it.
    pub fencing: Option<Fencing>,
    /// What is questionable.
    pub warnings: Vec<Problem>,
    /// What of the file is played.
    pub account: Account,
}

/// Reads a user's file.
///
/// # Errors
/// When the file cannot be read at all or is no YAML: then Patroni would not start either.
pub(in crate::scenario) fn read_patroni_yml(file: &Path) -> Result<OwnFile, Vec<Problem>> {
    let text = text_of(file, PATRONI_YML.what).map_err(|problem| vec![*problem])?;
    let root = parse(file, &text, PATRONI_YML).map_err(|problem| vec![*problem])?;
    let mut reader = Reader::of_patroni_yml(file.to_owned(), &text);
    let (mut settings, fencing) = settings(&mut reader, &root);
    settings.file = Some(file.display().to_string());
    warts::hba(&mut reader, &root);
    warts::passwords(&mut reader, &root);
    warts::open_restapi(&mut reader, &root);
    warts::slashes(&mut reader, &root);
    let parameters = all_parameters(&root);
    let facts = warts::Facts {
        parameters: &parameters,
        use_pg_rewind: settings.postgresql.use_pg_rewind,
        data_checksums: settings.data_checksums,
    };
    warts::parameters(&mut reader, &root, facts);
    store(&mut reader, &root);
    watchdog_left_open(&mut reader, &root);
    reader.problems.sort_by_key(|problem| (problem.line, problem.column));
    Ok(OwnFile { settings, fencing, warnings: first_of_each(reader.problems), account: Account::of(&root) })
}

fn settings(reader: &mut Reader<'_>, root: &Node) -> (Patroni, Option<Fencing>) {
    let dcs = warts::at(root, "bootstrap.dcs");
    let json = dcs.as_ref().map_or(Json::Null, |at| at.node.to_json());
    // Where Patroni's own default differs from a scenario's, a file means Patroni's.
    let mut it = Patroni { data_checksums: false, ..dynamic(&json) };
    let mut fields = reader.fields(&At { node: root, path: String::new() });
    scope_and_namespace(reader, &mut fields, &mut it);
    if let Some(dcs) = &dcs {
        tell_dynamic(reader, dcs);
    }
    if let Some(at) = fields.take("bootstrap")
        && let Some(options) = at.node.get("initdb")
    {
        it.data_checksums = initdb(reader, &At { node: options, path: at.field("initdb") });
    }
    if let Some(at) = fields.take_set("postgresql") {
        for (section, tell) in [
            ("parameters", warts::local_values as fn(&mut Reader<'_>, &At<'_>)),
            ("recovery_conf", warts::local_recovery),
        ] {
            if let Some(node) = at.node.get(section) {
                tell(reader, &At { node, path: at.field(section) });
            }
        }
    }
    it.postgresql = postgresql(root);
    if let Some(at) = fields.take_set("watchdog") {
        watchdog(reader, &at, &mut it);
    }
    let fencing = fields.take_set("pgdrill").and_then(|at| fencing(reader, &at));
    if let Some(at) = fields.take_set("tags") {
        one_nodes_tags(reader, &at);
    }
    for name in OWNED_BY_LAB {
        fields.take(name);
    }
    misplaced(reader, &fields);
    without_secrets(&mut it);
    (it, fencing)
}

/// The dynamic settings, as Patroni reads them.
fn dynamic(dcs: &Json) -> Patroni {
    let read = Dynamic::of(dcs);
    let seconds = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
    let group = |name: &str| dcs.get(name).and_then(Json::as_object).cloned();
    Patroni {
        ttl: seconds(read.timing.ttl),
        loop_wait: seconds(read.timing.loop_wait),
        retry_timeout: seconds(read.timing.retry_timeout),
        maximum_lag_on_failover: read.maximum_lag_on_failover,
        maximum_lag_on_syncnode: read.maximum_lag_on_syncnode.and_then(|bytes| bytes.try_into().ok()).unwrap_or(-1),
        check_timeline: read.check_timeline,
        max_timelines_history: read.max_timelines_history,
        primary_start_timeout: seconds(read.primary_start_timeout),
        primary_stop_timeout: seconds(read.primary_stop_timeout),
        synchronous_mode: match read.synchronous_mode {
            pgdrill_settings::SynchronousMode::Off => SynchronousMode::Off,
            pgdrill_settings::SynchronousMode::On => SynchronousMode::On,
            pgdrill_settings::SynchronousMode::Quorum => SynchronousMode::Quorum,
        },
        synchronous_mode_strict: read.synchronous_mode_strict,
        synchronous_node_count: read.synchronous_node_count,
        failsafe_mode: read.failsafe_mode,
        member_slots_ttl: seconds(read.member_slots_ttl),
        slots: permanent_slots(dcs).cloned().unwrap_or_default(),
        ignore_slots: dcs.get("ignore_slots").and_then(Json::as_array).cloned().unwrap_or_default(),
        standby_cluster: group("standby_cluster").filter(|_| read.is_standby_cluster),
        pause: read.pause,
        ..Patroni::default()
    }
}

/// `postgresql`: what the node's own section says over the dynamic one (`Config._build_effective_configuration`). Addresses,
/// directories, passwords and commands are the lab's own.
fn postgresql(root: &Node) -> Postgresql {
    let of =
        |path: &str| root.at(path).map(Node::to_json).and_then(|json| json.as_object().cloned()).unwrap_or_default();
    let (dynamic, local) = (of("bootstrap.dcs.postgresql"), of("postgresql"));
    let get =
        |name: &str| [&local, &dynamic].into_iter().find_map(|section| section.get(name).filter(|v| !v.is_null()));
    let flag = |name: &str| get(name).and_then(switch).unwrap_or(false);
    let timeout = get("pg_ctl_timeout").and_then(|value| pgdrill_settings::value::integer(value, None));
    let recovery = get("recovery_conf").and_then(Json::as_object).cloned().unwrap_or_default();
    Postgresql {
        parameters: all_parameters(root).into_iter().filter(|(name, _)| is_taken(name)).collect(),
        use_pg_rewind: flag("use_pg_rewind"),
        use_slots: dynamic.get("use_slots").and_then(switch).unwrap_or(true),
        recovery_conf: recovery.into_iter().filter(|(name, _)| !name.ends_with("_command")).collect(),
        pg_ctl_timeout: timeout.map_or(60, |seconds| seconds.clamp(0, 86_400) as u32),
        remove_data_directory_on_rewind_failure: flag("remove_data_directory_on_rewind_failure"),
        remove_data_directory_on_diverged_timelines: flag("remove_data_directory_on_diverged_timelines"),
        // Their addresses are those of the user's networks, not of the lab's.
        pg_hba: Vec::new(),
        pg_ident: Vec::new(),
    }
}

/// PostgreSQL's parameters as the whole file comes to.
fn all_parameters(root: &Node) -> Map<String, Json> {
    let of =
        |path: &str| root.at(path).map(Node::to_json).and_then(|json| json.as_object().cloned()).unwrap_or_default();
    let mut all = of("bootstrap.dcs.postgresql.parameters");
    rename(&mut all);
    let local = of("postgresql.parameters").into_iter();
    all.extend(local.filter(|(name, _)| !FROM_DCS_ONLY.contains(&name.as_str())));
    all.retain(|name, value| !value.is_null() && follows(name).is_none());
    all
}

/// What is wrong with `bootstrap.dcs`: names, then values.
fn tell_dynamic(reader: &mut Reader<'_>, at: &At<'_>) {
    let mut fields = reader.fields(at);
    for name in CLUSTER_WIDE {
        fields.take(name);
    }
    if let Some(at) = fields.take_set("postgresql") {
        let mut section = reader.fields(&at);
        for name in pgdrill_settings::places::DYNAMIC_POSTGRESQL {
            section.take(name);
        }
        // The section of a method.
        section.take_where(|_, node| node.get("command").is_some());
        warts::finish(reader, &section);
    }
    if let Some(node) = at.node.get("standby_cluster").filter(|node| node.value != Value::Null) {
        let mut section = reader.fields(&At { node, path: at.field("standby_cluster") });
        for name in STANDBY_CLUSTER {
            section.take(name);
        }
        warts::finish(reader, &section);
    }
    warts::finish(reader, &fields);
    warts::dynamic_values(reader, at);
}

fn watchdog(reader: &mut Reader<'_>, at: &At<'_>, it: &mut Patroni) {
    if let Some(node) = at.node.get("mode") {
        it.watchdog.mode = match watchdog_mode(&node.to_json()) {
            Some("required") => WatchdogMode::Required,
            Some("automatic") => WatchdogMode::Automatic,
            Some(_) => WatchdogMode::Off,
            None => {
                let at = At { node, path: at.field("mode") };
                reader.wrong(&at, "off, automatic or required").help = "Patroni uses no watchdog then".into();
                WatchdogMode::Off
            }
        };
    }
    if let Some(node) = at.node.get("safety_margin") {
        let at = At { node, path: at.field("safety_margin") };
        let margin = warts::whole(reader, &at, -1..=86_400, "seconds; -1: half the ttl");
        it.watchdog.safety_margin = margin.unwrap_or(it.watchdog.safety_margin);
    }
}

/// `pgdrill.fencing.mode`: of pgdrill's agent.
fn fencing(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Fencing> {
    let node = at.node.at("fencing.mode")?;
    let modes = [("off", Fencing::Off), ("automatic", Fencing::Automatic), ("required", Fencing::Required)];
    reader.word(&At { node, path: at.field("fencing.mode") }, &modes)
}

/// What the user's own programs and servers are told and no simulated one needs is kept out of events, reports and containers.
fn without_secrets(it: &mut Patroni) {
    let settings = [&mut it.postgresql.parameters, &mut it.postgresql.recovery_conf, &mut it.slots];
    settings.into_iter().chain(&mut it.standby_cluster).for_each(hide_secrets);
}

/// The file is one node's: its tags are not every node's.
fn one_nodes_tags(reader: &mut Reader<'_>, at: &At<'_>) {
    for (key, node) in reader.fields(at).rest() {
        if node.value != Value::Bool(false) && node.value != Value::Null {
            let at = At { node, path: at.field(&key.name) };
            reader.wrong(&at, "a tag for this one node").help = format!(
                "it is not taken over for all nodes; say who has it: cluster.tags: {{ pg2: {{ {}: ... }} }}",
                key.name
            );
        }
    }
}

/// What is known elsewhere or nowhere: Patroni starts, and passes it over.
fn misplaced(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    let known =
        ["scope", "namespace", "name", "restapi", "ctl", "etcd3", "bootstrap", "postgresql", "watchdog", "tags", "log"];
    for (key, _) in fields.rest() {
        warts::unknown(reader, &fields.at, key, &known);
    }
}

/// Which store, and how it is reached.
fn store(reader: &mut Reader<'_>, root: &Node) {
    for store in ["etcd3", "etcd"] {
        if let Some(section) = root.get(store) {
            warts::one_member_only(reader, root, store);
            if store == "etcd" {
                reader.problem(section.place, store, "etcd's API v2", "etcd3").help =
                    "etcd 3.4 switched it off, etcd 3.6 has removed it".into();
            }
        }
    }
    for store in ["consul", "zookeeper", "exhibitor", "kubernetes", "raft"] {
        if let Some(section) = root.get(store) {
            let found = format!("{store} as the store");
            reader.problem(section.place, store, found, "etcd3").help =
                "the lab plays every scenario on etcd: what is special about this store is not tested".into();
        }
    }
}

fn watchdog_left_open(reader: &mut Reader<'_>, root: &Node) {
    if root.get("watchdog").is_none() {
        reader.problem(root.place, "watchdog", "no watchdog section", "watchdog: { mode: required }").help =
            "the default, automatic, goes on without a device and says so once in the log; then a frozen or killed agent \
             leaves a primary that takes writes beside the new one"
                .into();
    }
}
