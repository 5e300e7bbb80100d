//! `PATRONI_*` variables (Patroni's documentation, "Environment Configuration Settings"; `_build_environment_configuration`).

use std::collections::BTreeMap;

use pgdrill_yaml::{Document, Key, Node, Place, Reader, Value, did_you_mean, parse};

use super::{connection::passed_on, postgresql::PROGRAMS};

const PREFIX: &str = "PATRONI_";
/// The variable that holds a whole configuration file.
const WHOLE: &str = "PATRONI_CONFIGURATION";

/// The variables that begin with `PATRONI_`.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl std::fmt::Debug for Environment {
    /// Names only: values may be passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// What a variable's text stands for.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// A number, a switch, a list or a group: read as YAML.
    Yaml,
    /// A list, with or without brackets.
    List,
    /// A group, with or without braces.
    Group,
}

/// Variables by their name without the prefix, which is their path with `_` for `.`, in capitals.
const PLAIN: [&str; 38] = [
    "name",
    "namespace",
    "scope",
    "thread_pool_size",
    "thread_stack_size",
    "restapi.listen",
    "restapi.connect_address",
    "restapi.certfile",
    "restapi.keyfile",
    "restapi.keyfile_password",
    "restapi.cafile",
    "restapi.ciphers",
    "restapi.verify_client",
    "restapi.server_tokens",
    "ctl.cacert",
    "ctl.certfile",
    "ctl.keyfile",
    "ctl.keyfile_password",
    "postgresql.listen",
    "postgresql.connect_address",
    "postgresql.proxy_address",
    "postgresql.config_dir",
    "postgresql.data_dir",
    "postgresql.pgpass",
    "postgresql.bin_dir",
    "log.type",
    "log.level",
    "log.traceback_level",
    "log.format",
    "log.dateformat",
    "log.dir",
    "etcd3.host",
    "etcd3.url",
    "etcd3.proxy",
    "etcd3.srv",
    "etcd3.srv_suffix",
    "etcd3.protocol",
    "etcd3.cacert",
];

/// The same, for values that are no texts.
const OTHER: [(&str, Kind); 15] = [
    ("restapi.allowlist", Kind::List),
    ("restapi.allowlist_include_members", Kind::Yaml),
    ("restapi.http_extra_headers", Kind::Group),
    ("restapi.https_extra_headers", Kind::Group),
    ("restapi.request_queue_size", Kind::Yaml),
    ("restapi.thread_pool_size", Kind::Yaml),
    ("ctl.insecure", Kind::Yaml),
    ("log.static_fields", Kind::Group),
    ("log.loggers", Kind::Group),
    ("log.max_queue_size", Kind::Yaml),
    ("log.mode", Kind::Yaml),
    ("log.file_size", Kind::Yaml),
    ("log.file_num", Kind::Yaml),
    ("log.deduplicate_heartbeat_logs", Kind::Yaml),
    ("etcd3.hosts", Kind::List),
];

/// The rest of `etcd3`, and where variables are not named by their path.
const MORE: [(&str, &str, Kind); 10] = [
    ("ETCD3_CERT", "etcd3.cert", Kind::Text),
    ("ETCD3_KEY", "etcd3.key", Kind::Text),
    ("ETCD3_USE_PROXIES", "etcd3.use_proxies", Kind::Yaml),
    ("ETCD3_USERNAME", "etcd3.username", Kind::Text),
    ("ETCD3_PASSWORD", "etcd3.password", Kind::Text),
    ("RESTAPI_USERNAME", "restapi.authentication.username", Kind::Text),
    ("RESTAPI_PASSWORD", "restapi.authentication.password", Kind::Text),
    ("CTL_USERNAME", "ctl.authentication.username", Kind::Text),
    ("CTL_PASSWORD", "ctl.authentication.password", Kind::Text),
    ("LOGLEVEL", "log.level", Kind::Text),
];

/// Sections of other stores: whatever of them is set is refused with the section.
const REFUSED: [&str; 7] = ["ETCD", "CONSUL", "ZOOKEEPER", "EXHIBITOR", "KUBERNETES", "RAFT", "CITUS"];

impl Environment {
    /// Of this process.
    #[must_use]
    pub fn of_the_process() -> Self {
        // A value that is no UTF-8 becomes one that no field accepts.
        Self::of(
            std::env::vars_os()
                .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())),
        )
    }

    /// Those of these variables that begin with `PATRONI_`. Empty ones count as not set, as in Patroni.
    #[must_use]
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let ours = |(name, value): &(String, String)| name.starts_with(PREFIX) && !value.is_empty();
        Self { variables: variables.into_iter().filter(ours).collect() }
    }

    /// `PATRONI_CONFIGURATION`.
    pub(super) fn whole(&self) -> Option<String> {
        self.variables.get(WHOLE).cloned()
    }

    /// The names, in the order in which [`Self::tree`] counts its sources.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// The configuration that the variables make; those that mean nothing are warned of. `first` is the number of the first
    /// variable among the reader's sources.
    pub(super) fn tree(&self, reader: &mut Reader<'_>, first: usize) -> Node {
        let mut root = Node { value: Value::Map(Vec::new()), place: Place::default() };
        let known = known();
        for (n, (name, text)) in self.variables.iter().enumerate() {
            let place = Place { source: first + n, ..Place::default() };
            let short = &name[PREFIX.len()..];
            if let Some((path, kind)) = known.get(short) {
                let node = value(reader, place, path, text, *kind);
                root.patch(nested(path, node, place));
            } else if let Some(section) = refused(short) {
                root.patch(nested(&section, Node { value: Value::Text(String::new()), place }, place));
            } else if let Some((path, node)) = user(reader, place, short, text) {
                root.patch(nested(&path, node, place));
            } else if name != WHOLE {
                reader.warning(|reader| {
                    reader.problem(place, "", "a variable that means nothing", "one of Patroni's variables").help =
                        did_you_mean(short, known.keys().map(String::as_str)).replace("mean ", "mean PATRONI_");
                });
            } else {
                self.whole_unused(reader, place);
            }
        }
        root
    }

    fn whole_unused(&self, reader: &mut Reader<'_>, place: Place) {
        reader.warning(|reader| {
            reader.problem(place, "", "a whole configuration beside a file", "one of the two").help =
                "the file is read, the variable is not".into();
        });
    }

    /// Variables beside `PATRONI_CONFIGURATION`: Patroni passes them over, without a word.
    pub(super) fn unused(&self, reader: &mut Reader<'_>, first: usize) {
        for (n, name) in self.variables.keys().enumerate() {
            if name != WHOLE {
                let place = Place { source: first + n, ..Place::default() };
                reader.warning(|reader| {
                    reader.problem(place, "", "a variable beside PATRONI_CONFIGURATION", "one of the two").help =
                        "PATRONI_CONFIGURATION is everything there is; the other variables are passed over".into();
                });
            }
        }
    }
}

fn known() -> BTreeMap<String, (String, Kind)> {
    let upper = |path: &str| path.replace('.', "_").to_uppercase();
    let mut known: BTreeMap<String, (String, Kind)> = BTreeMap::new();
    known.extend(PLAIN.iter().map(|path| (upper(path), ((*path).to_owned(), Kind::Text))));
    known.extend(OTHER.iter().map(|(path, kind)| (upper(path), ((*path).to_owned(), *kind))));
    known.extend(MORE.iter().map(|(name, path, kind)| ((*name).to_owned(), ((*path).to_owned(), *kind))));
    // Names of before Patroni 1.6.
    known.insert("LOGFORMAT".into(), ("log.format".into(), Kind::Text));
    known.insert("LOG_DATEFMT".into(), ("log.dateformat".into(), Kind::Text));
    for program in PROGRAMS {
        let name = format!("POSTGRESQL_BIN_{}", program.to_uppercase());
        known.insert(name, (format!("postgresql.bin_name.{program}"), Kind::Text));
    }
    for user in ["superuser", "replication", "rewind"] {
        for field in ["username", "password"].into_iter().chain(passed_on()) {
            let path = format!("postgresql.authentication.{user}.{field}");
            known.insert(format!("{user}_{field}").to_uppercase(), (path, Kind::Text));
        }
    }
    known
}

/// The section of a variable of another store.
fn refused(short: &str) -> Option<String> {
    let (section, field) = short.split_once('_')?;
    (REFUSED.contains(&section) && !field.is_empty()).then(|| section.to_lowercase())
}

/// `PATRONI_<username>_PASSWORD` and `PATRONI_<username>_OPTIONS`: one of `bootstrap.users`.
fn user(reader: &mut Reader<'_>, place: Place, short: &str, text: &str) -> Option<(String, Node)> {
    let (name, field) = short.rsplit_once('_')?;
    let section = ["RESTAPI", "CTL", "POSTGRESQL", "LOG", "ETCD3", "WATCHDOG"].contains(&name);
    if name.is_empty() || name.contains('.') || section {
        return None;
    }
    let path = format!("bootstrap.users.{name}.{}", field.to_lowercase());
    match field {
        "PASSWORD" => Some((path.clone(), value(reader, place, &path, text, Kind::Text))),
        "OPTIONS" => Some((path.clone(), value(reader, place, &path, text, Kind::List))),
        _ => None,
    }
}

/// The value that a variable's text stands for, as Patroni's `_parse_list`, `_parse_dict`, `parse_bool` and `parse_int` read it.
fn value(reader: &mut Reader<'_>, place: Place, path: &str, text: &str, kind: Kind) -> Node {
    let yaml = match kind {
        Kind::Text => return Node { value: Value::Text(text.to_owned()), place },
        Kind::List if text.trim_start().starts_with('-') || text.contains('[') => text.to_owned(),
        Kind::List => format!("[{text}]"),
        Kind::Group if text.trim_start().starts_with('{') => text.to_owned(),
        Kind::Group => format!("{{{text}}}"),
        Kind::Yaml => text.to_owned(),
    };
    let document = Document { what: "variable", fields: "a value", yaml_1_1: true };
    // Only a group can be read: the value is put into one.
    let indented: String = yaml.lines().map(|line| format!("\n {line}")).collect();
    let parsed = parse(std::path::Path::new(path), &format!("value:{indented}\n"), document);
    match parsed.ok().and_then(|mut root| match &mut root.value {
        Value::Map(fields) => fields.pop().map(|(_, node)| node),
        _ => None,
    }) {
        Some(mut node) => {
            put(&mut node, place);
            node
        }
        None => {
            reader.problem(place, path, "no valid YAML", "a value in YAML, as it would be written in the file");
            Node { value: Value::Null, place }
        }
    }
}

/// Says of all of a tree that it is at this place: a variable has no lines.
fn put(node: &mut Node, place: Place) {
    node.place = place;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| put(item, place)),
        Value::Map(fields) => {
            for (key, node) in fields {
                key.place = place;
                put(node, place);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

/// The tree in which `node` is at `path`.
fn nested(path: &str, node: Node, place: Place) -> Node {
    path.rsplit('.')
        .fold(node, |node, name| Node { value: Value::Map(vec![(Key { name: name.to_owned(), place }, node)]), place })
}
