//! `postgresql` of the cluster's dynamic configuration, below what this node's own configuration says (Patroni's
//! `Config._build_effective_configuration`): every field counts there that is not a node's own. Parameters, recovery settings,
//! `pg_hba` and `pg_ident` are put together where PostgreSQL's configuration is written.

use std::{path::PathBuf, time::Duration};

use pgdrill_settings::{places::DYNAMIC_POSTGRESQL, value};
use serde_json::{Map, Value};

use super::{Callbacks, HostPort, PostgresqlConfig, ReplicaMethod};

impl PostgresqlConfig {
    /// This node's configuration with what the dynamic one says about what is left open. What makes no sense there is passed over;
    /// [`pgdrill_settings::check()`] tells it.
    #[must_use]
    pub fn with_dynamic(&self, dynamic: &Value) -> Self {
        let mut it = self.clone();
        let none = Map::new();
        let section = dynamic.get("postgresql").and_then(Value::as_object).unwrap_or(&none);
        let get = |name: &str| section.get(name).filter(|value| !value.is_null() && !self.given.contains(name));
        let flag = |name: &str| get(name).and_then(value::switch);
        let text = |name: &str| get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        it.remove_data_directory_on_rewind_failure |= flag("remove_data_directory_on_rewind_failure") == Some(true);
        it.remove_data_directory_on_diverged_timelines |=
            flag("remove_data_directory_on_diverged_timelines") == Some(true);
        if let Some(seconds) = get("pg_ctl_timeout").and_then(|value| value::integer(value, None)) {
            it.pg_ctl_timeout = Duration::from_secs(seconds.clamp(0, 86_400).try_into().unwrap_or_default());
        }
        it.callbacks = get("callbacks").map_or(it.callbacks, callbacks);
        it.pre_promote = text("pre_promote").or(it.pre_promote);
        it.before_stop = text("before_stop").or(it.before_stop);
        it.bin_dir = text("bin_dir").map(PathBuf::from).or(it.bin_dir);
        it.custom_conf = text("custom_conf").map(PathBuf::from).or(it.custom_conf);
        for (name, called) in get("bin_name").and_then(Value::as_object).into_iter().flatten() {
            it.bin_name.extend(called.as_str().map(|called| (name.clone(), called.to_owned())));
        }
        it.basebackup = get("basebackup").map_or(it.basebackup, options);
        it.rewind_options = get("rewind").map_or(it.rewind_options, options);
        self.overlay_methods(&mut it, section);
        self.overlay_sockets(&mut it, section);
        it
    }

    fn overlay_methods(&self, it: &mut Self, section: &Map<String, Value>) {
        let names = ["create_replica_methods", "create_replica_method"];
        if !names.iter().any(|name| self.given.contains(*name))
            && let Some(list) = names.iter().find_map(|name| section.get(*name)?.as_array())
        {
            it.create_replica_methods = list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
        }
        let own = |name: &str| DYNAMIC_POSTGRESQL.contains(&name) || self.given.contains(name);
        for (name, fields) in section.iter().filter(|(name, _)| !own(name)) {
            it.replica_methods.extend(fields.as_object().map(|fields| (name.clone(), replica_method(fields))));
        }
    }

    fn overlay_sockets(&self, it: &mut Self, section: &Map<String, Value>) {
        let flag = |name: &str| section.get(name).filter(|_| !self.given.contains(name)).and_then(value::switch);
        it.use_unix_socket_repl |= flag("use_unix_socket_repl") == Some(true);
        if flag("use_unix_socket") == Some(true) && !self.use_unix_socket {
            it.use_unix_socket = true;
            let shared = section.get("parameters").and_then(|parameters| parameters.get("unix_socket_directories"));
            it.local_address.host = self.sockets(shared);
        }
    }

    /// As Patroni's `resolve_connection_addresses`: the folders of the server's socket, as libpq takes them for a host. Patroni knows
    /// one place where nobody says; here several are tried, and TCP in the end, since `/config` may name another one. `shared`:
    /// `unix_socket_directories` of the dynamic configuration, which counts where this node's own does not say it.
    #[must_use]
    pub fn sockets(&self, shared: Option<&Value>) -> String {
        /// Where PostgreSQL's builds have their socket when nobody says: Debian's and Red Hat's, and PostgreSQL's own.
        const SOCKETS: &str = "/var/run/postgresql,/tmp";
        let tcp = &self.local_address.host;
        match self.parameters.get("unix_socket_directories").or(shared).and_then(Value::as_str) {
            None => format!("{SOCKETS},{tcp}"),
            Some(configured) => {
                let folders: Vec<_> =
                    configured.split(',').map(str::trim).filter(|folder| folder.starts_with('/')).collect();
                if folders.is_empty() { tcp.clone() } else { folders.join(",") }
            }
        }
    }
}

/// The address of the local server over TCP, as Patroni's `_get_tcp_local_address`: a loopback address if the server listens there,
/// else the first of its addresses.
#[must_use]
pub fn tcp_local_address(listen: &HostPort) -> HostPort {
    for host in listen.host.split(',') {
        match host {
            "localhost" => return HostPort::new("localhost", listen.port),
            "*" | "0.0.0.0" | "127.0.0.1" => return HostPort::new("127.0.0.1", listen.port),
            _ => {}
        }
    }
    HostPort::new(listen.host.split(',').next().unwrap_or_default(), listen.port)
}

fn callbacks(value: &Value) -> Callbacks {
    let command =
        |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    Callbacks {
        on_start: command("on_start"),
        on_stop: command("on_stop"),
        on_restart: command("on_restart"),
        on_reload: command("on_reload"),
        on_role_change: command("on_role_change"),
    }
}

fn replica_method(fields: &Map<String, Value>) -> ReplicaMethod {
    const OWN: [&str; 5] = ["command", "keep_data", "no_params", "no_leader", "no_master"];
    let flag = |name: &str| fields.get(name).and_then(value::switch).unwrap_or(false);
    let params = fields.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    ReplicaMethod {
        command: fields.get("command").and_then(Value::as_str).map(str::to_owned),
        keep_data: flag("keep_data"),
        no_params: flag("no_params"),
        no_leader: flag("no_leader") || flag("no_master"),
        params: params.filter_map(|(name, value)| Some((name.clone(), scalar(value)?))).collect(),
    }
}

/// Options for one of PostgreSQL's programs: words, and groups of names and their values.
fn options(value: &Value) -> Vec<(String, Option<String>)> {
    let name = |name: &str| name.trim_start_matches("--").to_owned();
    let group = |group: &Map<String, Value>| {
        group.iter().filter_map(|(option, value)| Some((name(option), Some(scalar(value)?)))).collect::<Vec<_>>()
    };
    match value {
        Value::Object(all) => group(all),
        Value::Array(items) => items
            .iter()
            .flat_map(|item| match item {
                Value::String(option) => vec![(name(option), None)],
                Value::Object(options) => group(options),
                _ => Vec::new(),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// A single value as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dynamic() -> Value {
        json!({"postgresql": {
            "remove_data_directory_on_rewind_failure": "yes",
            "remove_data_directory_on_diverged_timelines": true,
            "pg_ctl_timeout": "90",
            "callbacks": {"on_start": "tell start", "on_stop": null},
            "pre_promote": "may-i",
            "before_stop": "",
            "bin_dir": "/usr/lib/postgresql/17/bin",
            "bin_name": {"pg_ctl": "pg_ctl_x"},
            "basebackup": ["verbose", {"max-rate": "100M"}],
            "rewind": {"debug": true},
            "create_replica_methods": ["pgbackrest", "basebackup"],
            "pgbackrest": {"command": "pgbackrest restore", "no_master": "on", "keep_data": 1, "stanza": "main", "jobs": 4},
            "use_unix_socket": "On",
            "parameters": {"unix_socket_directories": "/run/pg, x"},
            "data_dir": "/elsewhere",
            "listen": "1.2.3.4:1",
        }})
    }

    #[test]
    fn everything_that_is_not_a_nodes_own_counts_from_the_dynamic_configuration() {
        let own = PostgresqlConfig::new("10.0.0.1");
        let it = own.with_dynamic(&dynamic());
        assert!(it.remove_data_directory_on_rewind_failure && it.remove_data_directory_on_diverged_timelines);
        assert_eq!(it.pg_ctl_timeout, Duration::from_secs(90));
        assert_eq!((it.callbacks.on_start.as_deref(), it.callbacks.on_stop.as_deref()), (Some("tell start"), None));
        assert_eq!((it.pre_promote.as_deref(), it.before_stop), (Some("may-i"), None));
        assert_eq!(
            (it.bin_dir, it.bin_name["pg_ctl"].as_str()),
            (Some("/usr/lib/postgresql/17/bin".into()), "pg_ctl_x")
        );
        assert_eq!(it.basebackup, [("verbose".into(), None), ("max-rate".into(), Some("100M".into()))]);
        assert_eq!(it.rewind_options, [("debug".into(), Some("true".into()))]);
        assert_eq!(it.create_replica_methods, ["pgbackrest", "basebackup"]);
        let method = &it.replica_methods["pgbackrest"];
        assert!(method.no_leader && method.keep_data && !method.no_params);
        assert_eq!(method.params, [("stanza".into(), "main".into()), ("jobs".into(), "4".into())]);
        assert_eq!((it.use_unix_socket, it.local_address), (true, HostPort::new("/run/pg", 5432)));
        assert_eq!((it.data_dir, it.listen), (own.data_dir, own.listen), "what is a node's own stays it");
    }

    #[test]
    fn this_nodes_own_configuration_wins_field_by_field() {
        let mut own = PostgresqlConfig::new("10.0.0.1");
        own.pg_ctl_timeout = Duration::from_secs(30);
        own.given.extend(["pg_ctl_timeout", "remove_data_directory_on_rewind_failure", "callbacks"].map(str::to_owned));
        own.given.extend(["create_replica_methods", "pgbackrest", "use_unix_socket"].map(str::to_owned));
        let it = own.with_dynamic(&dynamic());
        assert!(!it.remove_data_directory_on_rewind_failure && it.remove_data_directory_on_diverged_timelines);
        assert_eq!((it.pg_ctl_timeout, it.callbacks), (own.pg_ctl_timeout, Callbacks::default()));
        assert!(it.create_replica_methods.is_empty() && it.replica_methods.is_empty() && !it.use_unix_socket);
        assert_eq!(own.with_dynamic(&json!({})), own, "nothing said changes nothing");
    }
}
