//! `etcd3`, and the stores that pgdrill does not speak to.

use pgdrill_agent::config::{EtcdConfig, EtcdTls, EtcdUrl, HostPort, User, is_https};
use pgdrill_yaml::{At, Fields, Node, Reader, Value, patroni as warts};

use super::value::{host_port, parse_host_port, path, secret, switch, word};

const PORT: u16 = 2379;

/// Patroni's other stores, and why they are refused.
const OTHERS: [(&str, &str); 6] = [
    (
        "etcd",
        "it is etcd's API v2, which etcd 3.6 has removed; keys of v2 are not visible in v3, so no cluster moves by itself",
    ),
    ("consul", "pgdrill keeps the cluster's state in etcd only"),
    ("zookeeper", "pgdrill keeps the cluster's state in etcd only"),
    ("exhibitor", "pgdrill keeps the cluster's state in etcd only"),
    ("kubernetes", "pgdrill keeps the cluster's state in etcd only"),
    ("raft", "pgdrill keeps the cluster's state in etcd only, and Patroni has deprecated it"),
];

/// The store.
pub(super) fn etcd(reader: &mut Reader<'_>, fields: &mut Fields<'_>, root: &Node) -> Option<EtcdConfig> {
    let mut refused = false;
    for (store, why) in OTHERS {
        if let Some(at) = fields.take_unlisted(store).filter(|at| at.node.value != Value::Null) {
            refused = true;
            reader.problem(at.node.place, &at.path, format!("{store} as the store"), "etcd3").help = why.into();
        }
    }
    if let Some(at) = fields.take_unlisted("citus") {
        reader.problem(at.node.place, &at.path, "the section citus", "one PostgreSQL cluster without Citus").help =
            "pgdrill does not register workers with a coordinator".into();
    }
    let Some(at) = fields.take_set("etcd3") else {
        if !refused {
            reader.problem(root.place, "etcd3", "nothing", "etcd's members: etcd3: { hosts: [10.0.0.1:2379, ...] }");
        }
        return None;
    };
    section(reader, &at)
}

fn section(reader: &mut Reader<'_>, at: &At<'_>) -> Option<EtcdConfig> {
    let mut fields = reader.fields(at);
    let members = hosts(reader, &mut fields);
    for (name, instead, why) in [
        ("proxy", "etcd3.hosts with the members", "the agent itself turns to another member when one is silent"),
        ("srv", "etcd3.hosts with the members", "the agent does not look up SRV records"),
        ("srv_suffix", "etcd3.hosts with the members", "the agent does not look up SRV records"),
    ] {
        if let Some(at) = fields.take_set(name) {
            let found = format!("the field {name}");
            reader.problem(at.node.place, &at.path, found, instead).help = why.into();
        }
    }
    let protocol = fields.take_set("protocol").and_then(|at| reader.word(&at, &[("http", "http"), ("https", "https")]));
    let url = at.node.get("url").and_then(|node| match &node.value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let tls = tls(reader, &mut fields, is_https(url, protocol));
    let user = user(reader, &mut fields, url);
    // The agent never looks for other members than those it is told.
    if let Some(at) = fields.take_set("use_proxies") {
        switch(reader, &at);
    }
    warts::finish(reader, &fields);
    Some(EtcdConfig { hosts: members?, tls, user })
}

/// `cacert`, `cert` and `key`. Without https they are not looked at, as in Patroni: said, because the password may be sent in
/// the clear against all intentions.
fn tls(reader: &mut Reader<'_>, fields: &mut Fields<'_>, https: bool) -> Option<EtcdTls> {
    let files = ["cacert", "cert", "key"].map(|name| fields.take_set(name));
    for at in files.iter().flatten().filter(|_| !https) {
        reader.warning(|reader| {
            reader.wrong(at, "etcd3.protocol: https beside it").help =
                "without it, or a url that begins with https://, etcd is spoken to without TLS".into();
        });
    }
    if let [_, None, Some(key)] = &files
        && https
    {
        reader.wrong(key, "etcd3.cert beside it").help = "a key without its certificate proves nothing".into();
    }
    let [cacert, cert, key] = files.map(|at| at.and_then(|at| path(reader, &at)));
    https.then_some(EtcdTls { cacert, cert, key })
}

/// `username` and `password`, or `url: https://NAME:PASSWORD@HOST:PORT`.
fn user(reader: &mut Reader<'_>, fields: &mut Fields<'_>, url: Option<&str>) -> Option<User> {
    let name = fields.take_set("username");
    let password = fields.take_set("password");
    let in_url = url.and_then(EtcdUrl::parse).and_then(|url| url.user);
    let place = fields.at.node.place;
    match (name, password, in_url) {
        (None, None, in_url) => in_url,
        (Some(name), Some(password), None) => {
            let username = word(reader, &name, "a user's name");
            let password = secret(reader, &password);
            Some(User { username: username?, password: Some(password?) })
        }
        (Some(_), None, None) => {
            reader.problem(place, &fields.at.field("password"), "nothing", "that user's password");
            None
        }
        (None, Some(_), None) => {
            reader.problem(place, &fields.at.field("username"), "nothing", "a user's name");
            None
        }
        (.., Some(_)) => {
            let found = "username or password beside a url that has them";
            reader.problem(place, &fields.at.path, found, "them in one place").help =
                "it is not said which counts".into();
            None
        }
    }
}

/// `host`, `hosts` or `url`: exactly one of them.
fn hosts(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Vec<HostPort>> {
    let host = fields.take_set("host");
    let hosts = fields.take_set("hosts");
    let url = fields.take_set("url");
    if [&host, &hosts, &url].into_iter().flatten().count() > 1 {
        let at = fields.at.clone();
        reader.problem(at.node.place, &at.path, "more than one of host, hosts and url", "one of them").help =
            "it is not said which counts".into();
        return None;
    }
    match (host, hosts, url) {
        (Some(at), ..) => host_port(reader, &at, PORT).map(|host| vec![host]),
        (_, Some(at), _) => members(reader, &at),
        (.., Some(at)) => from_url(reader, &at).map(|host| vec![host]),
        (None, None, None) => {
            let place = fields.at.node.place;
            reader.problem(place, &fields.at.field("hosts"), "nothing", "etcd's members: [10.0.0.1:2379, ...]");
            None
        }
    }
}

/// A list, or a text with commas.
fn members(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<HostPort>> {
    let found = match &at.node.value {
        Value::Text(text) => {
            let members: Option<Vec<_>> = text.split(',').map(|member| parse_host_port(member, PORT)).collect();
            if members.is_none() {
                reader.wrong(at, "host:port, with commas between them: 10.0.0.1:2379,10.0.0.2:2379");
            }
            members?
        }
        _ => {
            let items = reader.items(at);
            let members: Vec<_> = items.iter().filter_map(|item| host_port(reader, item, PORT)).collect();
            (members.len() == items.len()).then_some(members)?
        }
    };
    if found.is_empty() {
        reader.wrong(at, "at least one member, such as 10.0.0.1:2379");
        return None;
    }
    Some(found)
}

fn from_url(reader: &mut Reader<'_>, at: &At<'_>) -> Option<HostPort> {
    let text = word(reader, at, "a URL, such as https://10.0.0.1:2379")?;
    let parsed = EtcdUrl::parse(&text).map(|url| url.host);
    if parsed.is_none() {
        // It may hold a password before an @.
        reader.problem(at.node.place, &at.path, "something else", "a URL, such as https://10.0.0.1:2379").help =
            "a user comes with a password: https://NAME:PASSWORD@10.0.0.1:2379".into();
    }
    parsed
}
