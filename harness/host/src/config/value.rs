//! Kinds of values that several sections have.

use std::{collections::BTreeMap, path::PathBuf};

use pgdrill_agent::config::{HostPort, Password, User};
pub(super) use pgdrill_yaml::patroni::{switch, whole};
use pgdrill_yaml::{At, Fields, Node, Reader, Value, patroni as warts};

use crate::own_options;

/// A text that is not empty.
pub(super) fn word(reader: &mut Reader<'_>, at: &At<'_>, expected: &str) -> Option<String> {
    if let Value::Number(number) = &at.node.value {
        reader.wrong(at, format!("{expected}, in quotes: \"{number}\""));
        return None;
    }
    let text = reader.text(at, expected)?;
    if text.trim().is_empty() {
        reader.wrong(at, expected);
        return None;
    }
    Some(text)
}

/// A path. An empty one counts as none, as in Patroni.
pub(super) fn path(reader: &mut Reader<'_>, at: &At<'_>) -> Option<PathBuf> {
    reader.text(at, "a path").filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// A command: words as a shell would split them.
pub(super) fn command(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let text = word(reader, at, "a command")?;
    if text.matches('"').count() % 2 == 1 || text.matches('\'').count() % 2 == 1 {
        reader.wrong(at, "a command whose quotes are closed").help =
            "it is split into words as a shell does, and run without one".into();
        return None;
    }
    Some(text)
}

/// A secret. No message shows what was found.
pub(super) fn secret(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Password> {
    match &at.node.value {
        Value::Text(text) => Some(Password::new(text.clone())),
        Value::Null => None,
        Value::Number(_) => {
            reader.problem(at.node.place, &at.path, "a number", "a password in quotes").help =
                "as a number it would lose zeros in front, and Patroni ignores it in initdb".into();
            None
        }
        _ => {
            reader.problem(at.node.place, &at.path, "something else", "a password in quotes");
            None
        }
    }
}

/// `username` and `password`, for HTTP or etcd: both.
pub(super) fn user_and_password(reader: &mut Reader<'_>, at: &At<'_>) -> Option<User> {
    if !matches!(at.node.value, Value::Map(_)) {
        // It may be "name:password".
        reader.problem(at.node.place, &at.path, "something else", "a group: { username: ..., password: ... }");
        return None;
    }
    let mut fields = reader.fields(at);
    let username = super::required(reader, &mut fields, "username", "a user's name");
    let username = username.and_then(|at| word(reader, &at, "a user's name"));
    let password = super::required(reader, &mut fields, "password", "that user's password");
    let password = password.and_then(|at| secret(reader, &at));
    warts::finish(reader, &fields);
    Some(User { username: username?, password: Some(password?) })
}

/// `host:port`, `[::1]:port`; the port may be left out.
pub(super) fn host_port(reader: &mut Reader<'_>, at: &At<'_>, port: u16) -> Option<HostPort> {
    let expected = format!("host:port, such as 10.0.0.1:{port}");
    let text = word(reader, at, &expected)?;
    let parsed = parse_host_port(&text, port);
    if parsed.is_none() {
        reader.wrong(at, expected);
    }
    parsed
}

/// As Patroni's `split_host_port`: the port is behind the last colon, an IPv6 address in brackets.
pub(super) fn parse_host_port(text: &str, default: u16) -> Option<HostPort> {
    let text = text.trim();
    let (host, port) = match text.rsplit_once(':') {
        // Brackets around all of it: an IPv6 address without a port.
        _ if text.ends_with(']') => (text, default),
        Some((host, port)) => (host, port.trim().parse().ok().filter(|port| *port > 0)?),
        None => (text, default),
    };
    let hosts: Vec<&str> = host.split(',').map(|host| host.trim().trim_matches(['[', ']'])).collect();
    let legal = |host: &&str| {
        !host.is_empty() && !host.contains(char::is_whitespace) && !host.contains('/') && !host.contains('@')
    };
    hosts.iter().all(legal).then(|| HostPort::new(hosts.join(","), port))
}

/// An address that others reach something by: not one that means another machine to each of them.
pub(super) fn reachable(reader: &mut Reader<'_>, at: &At<'_>, port: u16) -> Option<HostPort> {
    let address = host_port(reader, at, port)?;
    let expected = "an address that the other members reach this one by";
    if address.host.contains(',') {
        reader.wrong(at, "one address");
        return None;
    }
    match address.host.as_str() {
        "0.0.0.0" | "*" | "::" => {
            reader.wrong(at, expected).help = "to listen on every address is for `listen`".into();
            None
        }
        "127.0.0.1" | "localhost" | "::1" => {
            reader.warning(|reader| {
                reader.wrong(at, expected).help = "it only works while all are on one machine".into()
            });
            Some(address)
        }
        _ => Some(address),
    }
}

/// `connect_address`; without one, `listen` serves for both, as in Patroni.
pub(super) fn connect_address(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    listen: Option<&At<'_>>,
    port: u16,
) -> Option<HostPort> {
    let own = fields.take_set("connect_address");
    let path = fields.at.field("connect_address");
    let at = own.or_else(|| listen.map(|at| At { node: at.node, path }))?;
    reachable(reader, &at, port)
}

/// Options for one of PostgreSQL's programs: words, and groups of one name and its value; or one group of all.
pub(super) fn options(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    program: &str,
    owned: &[&str],
) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    if matches!(at.node.value, Value::Map(_)) {
        option_group(reader, at, &mut found);
    } else {
        for item in reader.items(at) {
            match &item.node.value {
                Value::Text(name) => found.push((name.trim_start_matches("--").to_owned(), None, item)),
                Value::Map(entries) if entries.len() == 1 => option_group(reader, &item, &mut found),
                _ => _ = reader.wrong(&item, "an option, or one option and its value: `encoding: UTF8`"),
            }
        }
    }
    let mut legal = Vec::new();
    for (name, value, at) in found {
        if owned.contains(&name.as_str()) {
            reader
                .problem(at.node.place, &at.path, format!("the option {name}"), format!("other options of {program}"))
                .help = "the agent sets it itself".into();
        } else if !own_options::is_long(&name) {
            let expected = "the name of a long option, such as data-checksums";
            reader.problem(at.node.place, &at.path, format!("{name:?}"), expected).help =
                "a value is written beside it: `encoding: UTF8`".into();
        } else {
            legal.push((name, value));
        }
    }
    legal
}

type Found<'n> = Vec<(String, Option<String>, At<'n>)>;

fn option_group<'n>(reader: &mut Reader<'_>, at: &At<'n>, found: &mut Found<'n>) {
    for (key, node) in reader.fields(at).rest() {
        let at = At { node, path: at.field(&key.name) };
        match scalar(node) {
            Some(value) => found.push((key.name.trim_start_matches("--").to_owned(), Some(value), at)),
            None => _ = reader.wrong(&at, "a single value"),
        }
    }
}

/// A single value as text.
pub(super) fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// A list of texts.
pub(super) fn texts(reader: &mut Reader<'_>, at: &At<'_>, expected: &str) -> Vec<String> {
    reader.items(at).iter().filter_map(|item| word(reader, item, expected)).collect()
}

/// A group of names and single values.
pub(super) fn scalars(reader: &mut Reader<'_>, at: &At<'_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (key, node) in reader.fields(at).rest() {
        match scalar(node) {
            Some(value) => _ = found.insert(key.name.clone(), value),
            None => _ = reader.wrong(&At { node, path: at.field(&key.name) }, "a single value"),
        }
    }
    found
}

/// A group of names and single values, as they are.
pub(super) fn settings(reader: &mut Reader<'_>, at: &At<'_>) -> serde_json::Map<String, serde_json::Value> {
    let mut found = serde_json::Map::new();
    for (key, node) in reader.fields(at).rest() {
        match node.value {
            Value::List(_) | Value::Map(_) => {
                reader.wrong(&At { node, path: at.field(&key.name) }, "a single value");
            }
            _ => _ = found.insert(key.name.clone(), node.to_json()),
        }
    }
    found
}
