//! The part of `patroni.yml` that a plain cluster needs, until the full reader is there.

use std::{fs, path::Path};

use pgdrill_agent::{
    AgentConfig,
    config::{BootstrapConfig, HostPort, Password, User},
};
use serde_json::Value;

pub(super) fn read(file: &Path) -> Result<AgentConfig, String> {
    let told = |text: String| format!("{}: {text}", file.display());
    let text = fs::read_to_string(file).map_err(|error| told(error.to_string()))?;
    let root: Value = serde_saphyr::from_str(&text).map_err(|error| told(error.to_string()))?;
    config(&root).map_err(told)
}

fn config(root: &Value) -> Result<AgentConfig, String> {
    let text = |path: &str| root.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let need = |path: &str| text(path).ok_or_else(|| format!("{path} is missing"));
    let address = |path: &str| need(path).and_then(|value| host_port(&value, path));
    let hosts = match root.pointer("/etcd3/hosts") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(list)) => list.split(',').map(|host| host.trim().to_owned()).collect(),
        _ => vec![need("/etcd3/host")?],
    };
    let hosts: Result<Vec<_>, _> = hosts.iter().map(|host| host_port(host, "/etcd3/hosts")).collect();
    let connect = address("/postgresql/connect_address")?;
    let mut config = AgentConfig::new(&need("/scope")?, &need("/name")?, &connect.host, hosts?);
    if let Some(namespace) = text("/namespace") {
        namespace.trim_matches('/').clone_into(&mut config.namespace);
    }
    config.restapi.listen = address("/restapi/listen")?;
    config.restapi.connect_address = address("/restapi/connect_address")?;
    let postgresql = &mut config.postgresql;
    postgresql.listen = address("/postgresql/listen")?;
    let local = if postgresql.listen.host == "0.0.0.0" { "127.0.0.1" } else { &postgresql.listen.host };
    postgresql.local_address = HostPort::new(local, postgresql.listen.port);
    postgresql.connect_address = connect;
    postgresql.data_dir = need("/postgresql/data_dir")?;
    postgresql.bin_dir = text("/postgresql/bin_dir").map(Into::into);
    postgresql.pgpass = text("/postgresql/pgpass").map(Into::into);
    let user = |name: &str| {
        text(&format!("/postgresql/authentication/{name}/username")).map(|username| User {
            username,
            password: text(&format!("/postgresql/authentication/{name}/password")).map(Password::new),
        })
    };
    postgresql.superuser = user("superuser").unwrap_or_else(|| User::named("postgres"));
    postgresql.replication = user("replication").unwrap_or_else(|| User::named("replicator"));
    postgresql.rewind = user("rewind");
    postgresql.parameters =
        root.pointer("/postgresql/parameters").and_then(Value::as_object).cloned().unwrap_or_default();
    postgresql.pg_hba = root.pointer("/postgresql/pg_hba").map(strings);
    config.bootstrap = root.get("bootstrap").map(|bootstrap| BootstrapConfig {
        dcs: bootstrap.get("dcs").cloned().unwrap_or_default(),
        initdb: bootstrap.get("initdb").and_then(Value::as_array).into_iter().flatten().flat_map(initdb).collect(),
        pg_hba: bootstrap.get("pg_hba").map(strings),
        ..BootstrapConfig::default()
    });
    config.tags = root.get("tags").and_then(Value::as_object).cloned().unwrap_or_default();
    config.log.dir = text("/log/dir").map(Into::into);
    Ok(config)
}

fn initdb(option: &Value) -> Vec<(String, Option<String>)> {
    match option {
        Value::String(name) => vec![(name.clone(), None)],
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), Some(value.as_str().unwrap_or_default().to_owned())))
            .collect(),
        _ => Vec::new(),
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|line| line.as_str().map(str::to_owned)).collect()
}

fn host_port(text: &str, path: &str) -> Result<HostPort, String> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("{path}: {text} has no port"))?;
    Ok(HostPort::new(host, port.parse().map_err(|_| format!("{path}: {port} is no port"))?))
}
