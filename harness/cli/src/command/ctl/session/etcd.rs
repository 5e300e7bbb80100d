//! Where etcd is, and who asks it: the section `etcd3`, and `-d`.

use std::path::PathBuf;

use pgdrill_agent::config::{EtcdConfig, EtcdTls, EtcdUrl, HostPort, Password, User, is_https};
use pgdrill_yaml::{Reader, without_secrets};

use super::{
    super::{Stop, usage},
    section::Section,
    settings::Settings,
};

/// `etcd3`: the first of `hosts`, `host` and `url` that is there.
pub(super) fn etcd(reader: &mut Reader<'_>, section: &Section<'_>) -> EtcdConfig {
    if let Some(srv) = section.given("srv") {
        section.misread(reader, &srv, "hosts: members found by DNS are not supported");
    }
    let hosts = ["hosts", "host"].into_iter().find_map(|name| named(reader, section, name));
    let url = section.text(reader, "url", "a URL, such as https://10.0.0.1:2379");
    let in_url = url.as_deref().and_then(EtcdUrl::parse);
    if let Some(given) = section.given("url").filter(|_| url.is_some() && in_url.is_none()) {
        section.misread(reader, &given, "a URL, such as https://10.0.0.1:2379").help =
            "a user comes with a password: https://NAME:PASSWORD@10.0.0.1:2379".into();
    }
    let protocol = section.text(reader, "protocol", "http or https");
    let [cacert, cert, key] =
        ["cacert", "cert", "key"].map(|name| section.text(reader, name, "a path").map(PathBuf::from));
    let tls = is_https(url.as_deref(), protocol.as_deref()).then_some(EtcdTls { cacert, cert, key });
    let password = section.text(reader, "password", "a password").map(Password::new);
    let user = section.text(reader, "username", "a user's name").map(|username| User { username, password });
    let (host, user) = match in_url {
        // As in Patroni, what the URL says counts.
        Some(url) => (Some(url.host), url.user.or(user)),
        None => (None, user),
    };
    EtcdConfig { hosts: hosts.unwrap_or_else(|| host.into_iter().collect()), tls, user }
}

fn named(reader: &mut Reader<'_>, section: &Section<'_>, name: &str) -> Option<Vec<HostPort>> {
    let given = section.given(name)?;
    let text = section.text(reader, name, "HOST:PORT")?;
    let mut hosts = Vec::new();
    for host in text.split(',').map(|host| host.trim().trim_matches(['\'', '"'])).filter(|host| !host.is_empty()) {
        match host_port(host) {
            Some(host) => hosts.push(host),
            None if host.contains("://") => {
                _ = section.misread(reader, &given, "HOST:PORT, and protocol: https where they speak TLS");
            }
            None => _ = section.misread(reader, &given, "HOST:PORT"),
        }
    }
    Some(hosts)
}

/// `HOST:PORT`, `HOST`, `[::1]:2379`.
fn host_port(text: &str) -> Option<HostPort> {
    if text.contains(['/', '@']) {
        return None;
    }
    EtcdUrl::parse(&format!("http://{text}")).map(|url| url.host)
}

/// `-d`: `etcd3://HOST:PORT/NAMESPACE`, or without the scheme; `NAME:PASSWORD@` may be before the host.
pub(super) fn from_url(settings: &mut Settings, url: &str) -> Result<(), Stop> {
    let wrong = |why: &str| {
        let shown = without_secrets(url);
        usage(format!("--dcs-url {shown}: {why}; expected etcd3://HOST:PORT or HOST:PORT"))
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("etcd3", url));
    if scheme != "etcd3" {
        return Err(wrong(&format!("{scheme} is not known here, only etcd by its v3 API")));
    }
    let address = EtcdUrl::parse(&format!("http://{rest}")).ok_or_else(|| wrong("that is no address"))?;
    settings.etcd.hosts = vec![address.host];
    settings.etcd.user = address.user.or(settings.etcd.user.take());
    let namespace = rest.split_once('/').map_or("", |(_, namespace)| namespace).trim_matches('/');
    if !namespace.is_empty() {
        settings.namespace = namespace.to_owned();
    }
    Ok(())
}
