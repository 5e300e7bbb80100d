//! What a command is told: a `patroni.yml` or `patronictl.yaml`, the environment, the command line. Only what concerns
//! `pgdrill ctl` is read (`scope`, `namespace`, `etcd3`, `ctl`, `restapi`); the agent checks the rest.

use std::{
    env,
    path::{Path, PathBuf},
};

use pgdrill_agent::config::{CtlConfig, EtcdConfig, Password, User};
use pgdrill_yaml::{At, Document, Node, Place, Reader, Value, parse, text_of};

use super::{
    super::{Stop, invalid},
    etcd,
    section::Section,
};

/// What a command is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Settings {
    /// `scope`.
    pub scope: Option<String>,
    /// `namespace`.
    pub namespace: String,
    /// `etcd3`.
    pub etcd: EtcdConfig,
    /// `ctl`, with what `restapi` has where it says nothing.
    pub ctl: CtlConfig,
}

/// What is expected of the file.
const CONFIGURATION: Document =
    Document { what: "configuration file", fields: "sections such as scope and etcd3", yaml_1_1: true };

/// Stores of Patroni's that pgdrill does not speak to.
const OTHERS: [&str; 6] = ["etcd", "consul", "zookeeper", "kubernetes", "exhibitor", "raft"];

/// Reads the file, the environment over it, and the command line over both. A default file that is not there is no mistake.
pub(in super::super) fn read(file: Option<&Path>, dcs_url: Option<&str>, insecure: bool) -> Result<Settings, Stop> {
    let var = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let named = file.map(Path::to_owned).or_else(|| var("PATRONICTL_CONFIG_FILE").map(PathBuf::from));
    let text_of = |path: &Path| text_of(path, CONFIGURATION.what);
    let (path, text) = match named {
        Some(path) => {
            let help = "give the configuration file's path with -c";
            let text = text_of(&path).map_err(|problem| invalid(vec![problem.with_help(help)]))?;
            (path, text)
        }
        None => {
            let home =
                var("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(var("HOME")?).join(".config")));
            let path = home.unwrap_or_default().join("patroni/patronictl.yaml");
            let text =
                if path.exists() { text_of(&path).map_err(|problem| invalid(vec![*problem]))? } else { String::new() };
            (path, text)
        }
    };
    let mut settings = from_text(&path, &text, &var)?;
    if let Some(url) = dcs_url.map(str::to_owned).or_else(|| var("DCS_URL")) {
        etcd::from_url(&mut settings, &url)?;
    }
    settings.ctl.insecure |= insecure;
    Ok(settings)
}

fn from_text(path: &Path, text: &str, var: &dyn Fn(&str) -> Option<String>) -> Result<Settings, Stop> {
    let says_nothing = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let root = match text.lines().all(says_nothing) {
        true => Node { value: Value::Map(Vec::new()), place: Place::default() },
        false => parse(path, text, CONFIGURATION).map_err(|problem| invalid(vec![*problem]))?,
    };
    let mut reader = Reader::new(path.to_owned(), text);
    let settings = settings(&mut reader, &root, var);
    if reader.problems.is_empty() { Ok(settings) } else { Err(invalid(reader.problems)) }
}

/// Where something is wrong the reader has the problem, and what is returned does not count.
fn settings(reader: &mut Reader<'_>, root: &Node, var: &dyn Fn(&str) -> Option<String>) -> Settings {
    let top = Section::root(root, var);
    let etcd3 = top.section(reader, "etcd3");
    let other = OTHERS.into_iter().find_map(|name| Some(At { node: root.get(name)?, path: name.to_owned() }));
    if let Some(at) = other.filter(|_| root.get("etcd3").is_none() && etcd3.text(reader, "hosts", "").is_none()) {
        let found = format!("{} as the store", at.path);
        reader.problem(at.node.place, &at.path, found, "a section etcd3").help =
            "pgdrill knows etcd by its v3 API alone".into();
    }
    let (ctl, restapi) = (top.section(reader, "ctl"), top.section(reader, "restapi"));
    if let Some(passphrase) = ctl.given("keyfile_password") {
        let expected = "none, and a keyfile that is not encrypted";
        ctl.wrong(reader, &passphrase, "a passphrase".into(), expected).help =
            "pgdrill reads no encrypted keys: `openssl pkey -in KEYFILE -out KEYFILE.new` takes the passphrase away"
                .into();
    }
    let file =
        |section: &Section<'_>, reader: &mut Reader<'_>, name| section.text(reader, name, "a path").map(PathBuf::from);
    let cafile = file(&restapi, reader, "cafile");
    Settings {
        scope: top.text(reader, "scope", "a name"),
        namespace: top.text(reader, "namespace", "a path").unwrap_or_else(|| "service".into()),
        etcd: etcd::etcd(reader, &etcd3),
        ctl: CtlConfig {
            authentication: user(reader, &ctl).or_else(|| user(reader, &restapi)),
            insecure: ctl.switch(reader, "insecure"),
            cacert: file(&ctl, reader, "cacert").or(cafile),
            certfile: file(&ctl, reader, "certfile"),
            keyfile: file(&ctl, reader, "keyfile"),
        },
    }
}

/// `authentication: {username, password}`, or the older `auth: name:password`.
fn user(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<User> {
    if let Some(given) = section.given("auth") {
        let auth = section.text(reader, "auth", "name:password")?;
        let Some((name, password)) = auth.split_once(':') else {
            section.wrong(reader, &given, "something else".into(), "name:password");
            return None;
        };
        return Some(User { username: name.into(), password: Some(Password::new(password)) });
    }
    let inner = section.users(reader);
    let username = inner.text(reader, "username", "a user's name")?;
    let password = inner.text(reader, "password", "that user's password").map(Password::new);
    Some(User { username, password })
}

#[cfg(test)]
mod tests {
    use pgdrill_agent::config::HostPort;

    use super::*;

    fn of(text: &str) -> Result<Settings, String> {
        from_text(Path::new("patroni.yml"), text, &|_| None).map_err(said)
    }

    fn said(stop: Stop) -> String {
        match stop {
            Stop::Invalid(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            Stop::Usage(text) | Stop::Failed(text) => text,
        }
    }

    #[test]
    fn a_patroni_yml_says_where_etcd_is_and_how_members_are_called() {
        let text = "scope: demo\nnamespace: /db/\nname: pg1\netcd3:\n  hosts: [10.0.0.1:2379, '10.0.0.2:2380']\n  \
                    protocol: https\n  cacert: /ca.pem\n  username: root\n  password: secret\nrestapi:\n  cafile: /rest-ca.pem\n  \
                    authentication: {username: admin, password: x}\n";
        let settings = of(text).unwrap();
        assert_eq!((settings.scope.as_deref(), settings.namespace.as_str()), (Some("demo"), "/db/"));
        assert_eq!(settings.etcd.hosts, [HostPort::new("10.0.0.1", 2379), HostPort::new("10.0.0.2", 2380)]);
        assert_eq!(settings.etcd.tls.unwrap().cacert, Some("/ca.pem".into()));
        assert_eq!(settings.etcd.user.unwrap().username, "root");
        assert_eq!(settings.ctl.authentication.unwrap().username, "admin");
        assert_eq!(settings.ctl.cacert, Some("/rest-ca.pem".into()));
        assert_eq!(of("# only words\n").unwrap(), of("").unwrap());
        assert_eq!(of("ctl: {auth: 'a:b:c'}").unwrap().ctl.authentication.unwrap().password.unwrap().reveal(), "b:c");
    }

    #[test]
    fn tls_is_spoken_where_the_agent_would_speak_it() {
        for (text, tls) in [
            ("etcd3: {host: a, protocol: https}", true),
            ("etcd3: {url: 'https://a'}", true),
            ("etcd3: {host: a, cacert: /ca.pem, cert: /c.pem}", false),
            ("etcd3: {url: 'http://a', protocol: https}", false),
        ] {
            assert_eq!(of(text).unwrap().etcd.tls.is_some(), tls, "{text}");
        }
    }

    #[test]
    fn a_url_of_etcd_may_name_who_asks() {
        let etcd = of("etcd3: {url: 'https://root:s3:c@10.0.0.1:4001/'}").unwrap().etcd;
        assert_eq!(etcd.hosts, [HostPort::new("10.0.0.1", 4001)]);
        assert_eq!(etcd.user.unwrap().password.unwrap().reveal(), "s3:c");
        let mut settings = Settings::default();
        etcd::from_url(&mut settings, "etcd3://root:s3c@10.0.0.1/mine").unwrap();
        assert_eq!(settings.etcd.hosts, [HostPort::new("10.0.0.1", 2379)]);
        assert_eq!((settings.etcd.user.unwrap().username.as_str(), settings.namespace.as_str()), ("root", "mine"));
    }

    #[test]
    fn a_switch_may_be_written_in_every_way() {
        for (text, insecure) in [("ctl: {insecure: 'On'}", true), ("ctl: {insecure: 0}", false), ("ctl: {}", false)] {
            assert_eq!(of(text).unwrap().ctl.insecure, insecure, "{text}");
        }
        assert!(of("ctl: {insecure: perhaps}").unwrap_err().contains("ctl.insecure"));
        let var = |name: &str| (name == "PATRONI_CTL_INSECURE").then(|| "yes".to_owned());
        assert!(from_text(Path::new("x"), "ctl: {insecure: false}\n", &var).unwrap().ctl.insecure);
    }

    #[test]
    fn the_environment_and_the_command_line_are_over_the_file() {
        let var = |name: &str| (name == "PATRONI_ETCD3_HOSTS").then(|| "'a:1','b'".to_owned());
        let mut settings = from_text(Path::new("x"), "etcd3: {host: c}\n", &var).unwrap();
        assert_eq!(settings.etcd.hosts, [HostPort::new("a", 1), HostPort::new("b", 2379)]);
        etcd::from_url(&mut settings, "etcd3://[::1]:4001/mine").unwrap();
        assert_eq!((settings.etcd.hosts, settings.namespace.as_str()), (vec![HostPort::new("::1", 4001)], "mine"));
        let var = |name: &str| (name == "PATRONI_CTL_PASSWORD").then(|| "s3cret".to_owned());
        let text = "ctl: {authentication: {username: admin, password: x}}\n";
        let user = from_text(Path::new("x"), text, &var).unwrap().ctl.authentication.unwrap();
        assert_eq!(user.password.unwrap().reveal(), "s3cret");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_without_passwords() {
        for (text, expected) in [
            ("etcd3: {hosts: [{}]}", "patroni.yml:1:17: etcd3.hosts[0]: found a group of fields, expected HOST:PORT"),
            ("etcd3: 7", "patroni.yml:1:8: etcd3: found 7, expected a group of fields"),
            ("ctl: {keyfile_password: s3cret}", "ctl.keyfile_password: found a passphrase, expected none"),
            ("etcd3: {host: 'a:b'}", "found \"a:b\", expected HOST:PORT"),
            ("etcd3: {hosts: 'https://a:1'}", "expected HOST:PORT, and protocol: https"),
            ("etcd3: {url: 'https://root:s3cret@'}", "found \"https://root:********@\", expected a URL"),
            ("etcd3: {url: 'etcd:x'}", "expected a URL"),
            ("ctl: {auth: s3cret}", "ctl.auth: found something else, expected name:password"),
            (
                "restapi: {authentication: 'admin:s3cret'}",
                "found a value that is not shown, expected a group of fields",
            ),
            ("consul: {host: a}", "consul: found consul as the store, expected a section etcd3"),
            ("- a", "expected sections"),
            ("a: [", "patroni.yml:"),
        ] {
            let found = of(text).unwrap_err();
            assert!(found.contains(expected) && !found.contains("s3cret"), "{text}: {found}");
        }
        for url in ["consul://a", "etcd3://root:s3cret@:x", "root:s3cret@"] {
            let found = said(etcd::from_url(&mut Settings::default(), url).unwrap_err());
            assert!(found.contains("--dcs-url") && !found.contains("s3cret"), "{found}");
        }
    }
}
