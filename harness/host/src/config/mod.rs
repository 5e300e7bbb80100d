//! Patroni's own configuration file, read strictly: what it says becomes the agent's configuration, and whatever it says that
//! pgdrill does not know or cannot honour is refused with its place and what would be right.
//!
//! | look in | for |
//! |---|---|
//! | `source`, `environment` | files, folders and `PATRONI_*` variables, merged as Patroni merges them |
//! | `etcd`, `restapi`, `postgresql`, `authentication`, `methods`, `bootstrap`, `dynamic`, `running`, `tags` | one section each |
//! | `value` | kinds of values that several sections have |
//! | `machine` | what can only be seen on the machine: folders, programs, ports |
//! | `reload` | what a changed file may change while the agent runs |
//!
//! The words are those of Patroni 4.1 (documentation, "YAML Configuration Settings" and "Environment Configuration Settings").

mod authentication;
mod bootstrap;
mod connection;
mod dynamic;
mod environment;
mod etcd;
mod machine;
mod methods;
mod postgresql;
mod reload;
mod restapi;
mod running;
mod source;
mod tags;
mod value;

use std::path::Path;

pub use environment::Environment;
pub use machine::{Checks, Misfit, check as check_machine};
use pgdrill_agent::AgentConfig;
use pgdrill_settings::{postgresql::FROM_DCS_ONLY, value::switch};
use pgdrill_yaml::{At, Fields, Node, Problem, Reader, Severity, first_of_each, patroni as warts};
pub use reload::{Changes, ConfigFile, changes, with_live};
use source::Sources;

/// A configuration that can be used, and what its author may want to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: AgentConfig,
    /// Warnings: legal, but known to hurt or without effect.
    pub warnings: Vec<Problem>,
}

/// Reads the configuration of one agent as Patroni does: `path` is a file, or a folder whose `*.yml` and `*.yaml` files are
/// merged in the order of their names, and `PATRONI_*` variables are over it. Without a path everything comes from
/// `PATRONI_CONFIGURATION`, or else from the other variables.
///
/// # Errors
/// What is wrong, in the order of the files, of each file the first problems; warnings are among it.
pub fn read(path: Option<&Path>, environment: &Environment) -> Result<Loaded, Vec<Problem>> {
    let sources = Sources::gather(path, environment)?;
    let mut reader = sources.reader();
    let root = sources.root(&mut reader, path.is_some(), environment);
    let config = whole(&mut reader, &root);
    if let Some(config) = &config {
        running::margin(&mut reader, &root, config);
    }
    warn(&mut reader, &root, &config);
    sources.readable_by_all(&mut reader);
    let mut problems = reader.problems;
    problems.sort_by(|a, b| (a.line == 0, &a.file, a.line, a.column).cmp(&(b.line == 0, &b.file, b.line, b.column)));
    let problems = first_of_each(problems);
    match config {
        Some(config) if problems.iter().all(|problem| problem.severity == Severity::Warning) => {
            Ok(Loaded { config, warnings: problems })
        }
        _ => Err(problems),
    }
}

/// Every section. `None` only beside an error.
fn whole(reader: &mut Reader<'_>, root: &Node) -> Option<AgentConfig> {
    let at = At { node: root, path: String::new() };
    let mut fields = reader.fields(&at);
    let name = required(reader, &mut fields, "name", "this member's name, such as pg1");
    let name = name.and_then(|at| key_part(reader, &at)).filter(|name| {
        let reserved = name == "__patroni_strict_sync_replica_placeholder__";
        if reserved {
            reader.problem(root.place, "name", format!("{name:?}"), "another name").help =
                "Patroni reserves it for itself".into();
        }
        !reserved
    });
    let scope = required(reader, &mut fields, "scope", "the cluster's name").and_then(|at| key_part(reader, &at));
    let namespace = fields.take_set("namespace").and_then(|at| reader.text(&at, "a path, such as service"));
    for without_effect in ["thread_pool_size", "thread_stack_size"] {
        // Python's threads: there is nothing here that it could change.
        fields.take(without_effect);
    }
    let etcd = etcd::etcd(reader, &mut fields, root);
    let restapi = required(reader, &mut fields, "restapi", "the REST API's address: restapi: { listen: ..., ... }");
    let restapi = restapi.and_then(|at| restapi::restapi(reader, &at));
    let ctl = fields.take_set("ctl").map(|at| restapi::ctl(reader, &at)).unwrap_or_default();
    let bootstrap = fields.take_set("bootstrap").map(|at| bootstrap::bootstrap(reader, &at, root));
    let postgresql = required(reader, &mut fields, "postgresql", "the local server: postgresql: { listen: ..., ... }");
    let postgresql = postgresql.and_then(|at| postgresql::postgresql(reader, &at, root));
    let watchdog = fields.take_set("watchdog").map(|at| running::watchdog(reader, &at)).unwrap_or_default();
    let log = fields.take_set("log").map(|at| running::log(reader, &at)).unwrap_or_default();
    let fencing = fields.take_set("pgdrill").map(|at| running::pgdrill(reader, &at)).unwrap_or_default();
    let tags = fields.take_set("tags").map(|at| tags::tags(reader, &at)).unwrap_or_default();
    dynamic::misplaced(reader, &mut fields);
    warts::finish(reader, &fields);
    Some(AgentConfig {
        name: name?,
        scope: scope?,
        namespace: namespace.unwrap_or_else(|| "service".into()).trim_matches('/').to_owned(),
        etcd: etcd?,
        restapi: restapi?,
        ctl,
        postgresql: postgresql?,
        bootstrap,
        watchdog,
        fencing,
        log,
        tags,
    })
}

/// A field that must be there, with a value.
fn required<'n>(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'n>,
    name: &'static str,
    expected: &str,
) -> Option<At<'n>> {
    let found = fields.take_set(name);
    if found.is_none() && matches!(fields.at.node.value, pgdrill_yaml::Value::Map(_)) {
        let path = fields.at.field(name);
        reader.problem(fields.at.node.place, &path, "nothing", expected);
    }
    found
}

/// A name that becomes part of a key in the DCS.
fn key_part(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let text = value::word(reader, at, "a name")?;
    if text.contains('/') || text.chars().any(char::is_whitespace) {
        reader.wrong(at, "a name without / and spaces").help = "it is part of keys in etcd".into();
        return None;
    }
    Some(text)
}

/// What is legal and known to hurt.
fn warn(reader: &mut Reader<'_>, root: &Node, config: &Option<AgentConfig>) {
    reader.warning(|reader| {
        warts::hba(reader, root);
        warts::open_restapi(reader, root);
        warts::slashes(reader, root);
        warts::one_member_only(reader, root, "etcd3");
        let of = |path: &str| warts::at(root, path).and_then(|at| at.node.to_json().as_object().cloned());
        let mut parameters = of("bootstrap.dcs.postgresql.parameters").unwrap_or_default();
        let local = of("postgresql.parameters").into_iter().flatten();
        parameters.extend(local.filter(|(name, _)| !FROM_DCS_ONLY.contains(&name.as_str())));
        let dynamic = config.as_ref().and_then(|config| config.bootstrap.as_ref()).map(|bootstrap| &bootstrap.dcs);
        let rewind = config.as_ref().and_then(|config| config.postgresql.use_pg_rewind);
        let rewind =
            rewind.or_else(|| dynamic.and_then(|dcs| dcs.pointer("/postgresql/use_pg_rewind")).and_then(switch));
        let initdb = config.as_ref().and_then(|config| config.bootstrap.as_ref()).map(|bootstrap| &bootstrap.initdb);
        let facts = warts::Facts {
            parameters: &parameters,
            use_pg_rewind: rewind.unwrap_or(false),
            data_checksums: initdb.is_some_and(|options| options.iter().any(|(name, _)| name == "data-checksums")),
        };
        warts::parameters(reader, root, facts);
    });
}
