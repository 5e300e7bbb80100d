//! What a command is told: a `patroni.yml` or `patronictl.yaml`, the environment, the command line. Only what concerns
//! `pgdrill ctl` is read (`scope`, `namespace`, `etcd3`, `ctl`, `restapi`); the agent checks the rest.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use pgdrill_agent::config::{CtlConfig, EtcdConfig, EtcdTls, HostPort, Password, User, is_https};
use pgdrill_settings::value::switch;
use serde_json::{Map, Value};

use super::super::{Stop, usage};

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

/// Reads the file, the environment over it, and the command line over both. A default file that is not there is no mistake.
pub(in super::super) fn read(file: Option<&Path>, dcs_url: Option<&str>, insecure: bool) -> Result<Settings, Stop> {
    let var = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let named = file.map(Path::to_owned).or_else(|| var("PATRONICTL_CONFIG_FILE").map(PathBuf::from));
    let (name, text) = match &named {
        Some(path) => {
            (path.display().to_string(), Some(fs::read_to_string(path).map_err(|error| unreadable(path, &error))?))
        }
        None => {
            let home =
                var("XDG_CONFIG_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(var("HOME")?).join(".config")));
            let path = home.unwrap_or_default().join("patroni/patronictl.yaml");
            (path.display().to_string(), fs::read_to_string(&path).ok())
        }
    };
    let mut settings = parse(&name, text.as_deref().unwrap_or_default(), &var)?;
    if let Some(url) = dcs_url.map(str::to_owned).or_else(|| var("DCS_URL")) {
        from_url(&mut settings, &url)?;
    }
    settings.ctl.insecure |= insecure;
    Ok(settings)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Stop {
    usage(format!("cannot read {}: {error}\n  give the configuration file's path with -c", path.display()))
}

fn parse(file: &str, text: &str, var: &dyn Fn(&str) -> Option<String>) -> Result<Settings, Stop> {
    let document: Value = match text.trim().is_empty() {
        true => Value::Null,
        false => serde_saphyr::from_str(text).map_err(|error| usage(format!("{file}: {error}")))?,
    };
    let empty = Map::new();
    let fields = match &document {
        Value::Null => &empty,
        Value::Object(fields) => fields,
        _ => return Err(usage(format!("{file}: expected sections such as scope: and etcd3:"))),
    };
    let root = Section { file, path: "", fields, prefix: "PATRONI", var };
    let etcd3 = root.section("etcd3")?;
    if let Some(other) =
        ["etcd", "consul", "zookeeper", "kubernetes", "exhibitor", "raft"].iter().find(|n| fields.contains_key(**n))
        && !fields.contains_key("etcd3")
        && etcd3.text("hosts")?.is_none()
    {
        return Err(usage(format!(
            "{file}: {other}: pgdrill knows etcd by its v3 API alone: expected a section etcd3"
        )));
    }
    let (ctl, restapi) = (root.section("ctl")?, root.section("restapi")?);
    if ctl.text("keyfile_password")?.is_some() {
        return Err(usage(format!(
            "{file}: ctl.keyfile_password: found a passphrase, expected none, and a keyfile that is not encrypted\n  pgdrill \
             reads no encrypted keys: `openssl pkey -in KEYFILE -out KEYFILE.new` takes the passphrase away"
        )));
    }
    Ok(Settings {
        scope: root.text("scope")?,
        namespace: root.text("namespace")?.unwrap_or_else(|| "service".into()),
        etcd: etcd(&etcd3)?,
        ctl: CtlConfig {
            authentication: match ctl.user()? {
                Some(user) => Some(user),
                None => restapi.user()?,
            },
            insecure: ctl.switch("insecure")?,
            cacert: ctl.text("cacert")?.or(restapi.text("cafile")?).map(Into::into),
            certfile: ctl.text("certfile")?.map(Into::into),
            keyfile: ctl.text("keyfile")?.map(Into::into),
        },
    })
}

/// A section, with the environment's variables over its fields.
struct Section<'a> {
    file: &'a str,
    path: &'a str,
    fields: &'a Map<String, Value>,
    prefix: &'a str,
    var: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Section<'a> {
    fn section(&self, name: &'static str) -> Result<Section<'a>, Stop> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        let fields = match self.fields.get(name) {
            None | Some(Value::Null) => &*NONE,
            Some(Value::Object(fields)) => fields,
            Some(other) => return Err(usage(format!("{}: {name}: found {other}, expected a section", self.file))),
        };
        Ok(Section { path: name, fields, ..*self })
    }

    fn variable(&self, name: &str) -> Option<String> {
        let section = if self.path.is_empty() { String::new() } else { format!("{}_", self.path) };
        (self.var)(&format!("{}_{}{}", self.prefix, section, name).to_uppercase())
    }

    fn text(&self, name: &str) -> Result<Option<String>, Stop> {
        if let Some(value) = self.variable(name) {
            return Ok(Some(value));
        }
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Array(items)) => {
                let items: Option<Vec<_>> = items.iter().map(Value::as_str).collect();
                items.map(|items| Some(items.join(","))).ok_or_else(|| self.wrong(name, "a list of texts"))
            }
            Some(_) => Err(self.wrong(name, "a text")),
        }
    }

    fn switch(&self, name: &str) -> Result<bool, Stop> {
        let given = self.variable(name).map(Value::from).or_else(|| self.fields.get(name).cloned());
        match given.filter(|value| !value.is_null()) {
            None => Ok(false),
            Some(value) => switch(&value).ok_or_else(|| self.wrong(name, "true or false")),
        }
    }

    fn wrong(&self, name: &str, expected: &str) -> Stop {
        let dot = if self.path.is_empty() { "" } else { "." };
        let found = self.fields.get(name).map(Value::to_string).unwrap_or_default();
        usage(format!("{}: {}{dot}{name}: found {found}, expected {expected}", self.file, self.path))
    }

    /// `authentication: {username, password}`, or the older `auth: name:password`.
    fn user(&self) -> Result<Option<User>, Stop> {
        if let Some(auth) = self.text("auth")? {
            let (name, password) = auth.split_once(':').ok_or_else(|| self.wrong("auth", "name:password"))?;
            return Ok(Some(User { username: name.into(), password: Some(Password::new(password)) }));
        }
        let inner = self.section("authentication")?;
        let of = |name: &str| match (self.var)(&format!("{}_{}_{name}", self.prefix, self.path).to_uppercase()) {
            Some(value) => Ok(Some(value)),
            None => inner.text(name),
        };
        let Some(username) = of("username")? else { return Ok(None) };
        Ok(Some(User { username, password: of("password")?.map(Password::new) }))
    }
}

fn etcd(section: &Section<'_>) -> Result<EtcdConfig, Stop> {
    let mut hosts = Vec::new();
    for name in ["hosts", "host", "url", "srv"] {
        let Some(text) = section.text(name)?.filter(|_| hosts.is_empty()) else { continue };
        if name == "srv" {
            return Err(section.wrong(name, "hosts: members found by DNS are not supported"));
        }
        for host in text.split(',').map(|host| host.trim().trim_matches(['\'', '"'])).filter(|host| !host.is_empty()) {
            if name != "url" && host.contains("://") {
                return Err(section.wrong(name, "HOST:PORT, and protocol: https where they speak TLS"));
            }
            hosts.push(host_port(host).ok_or_else(|| section.wrong(name, "HOST:PORT"))?);
        }
    }
    let file = |name: &str| Ok::<_, Stop>(section.text(name)?.map(PathBuf::from));
    let (cacert, cert, key) = (file("cacert")?, file("cert")?, file("key")?);
    let https = is_https(section.text("url")?.as_deref(), section.text("protocol")?.as_deref());
    let tls = https.then_some(EtcdTls { cacert, cert, key });
    let password = section.text("password")?.map(Password::new);
    let user = section.text("username")?.map(|username| User { username, password });
    Ok(EtcdConfig { hosts, tls, user })
}

/// `HOST:PORT`, `HOST`, `[::1]:2379`, with or without a scheme.
fn host_port(text: &str) -> Option<HostPort> {
    let text = text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/');
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, 2379),
    };
    let host = host.trim_matches(['[', ']']);
    (!host.is_empty() && !host.contains('/')).then(|| HostPort::new(host, port))
}

/// `-d`: `etcd3://HOST:PORT/NAMESPACE`, or without the scheme.
fn from_url(settings: &mut Settings, url: &str) -> Result<(), Stop> {
    let wrong = |why: &str| usage(format!("--dcs-url {url}: {why}; expected etcd3://HOST:PORT or HOST:PORT"));
    let (scheme, rest) = url.split_once("://").unwrap_or(("etcd3", url));
    if scheme != "etcd3" {
        return Err(wrong(&format!("{scheme} is not known here, only etcd by its v3 API")));
    }
    let (address, namespace) = rest.split_once('/').unwrap_or((rest, ""));
    let host = host_port(address).ok_or_else(|| wrong("that is no address"))?;
    settings.etcd.hosts = vec![host];
    if !namespace.trim_matches('/').is_empty() {
        settings.namespace = namespace.trim_matches('/').to_owned();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Settings, String> {
        parse("patroni.yml", text, &|_| None).map_err(|stop| format!("{stop:?}"))
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
    fn the_environment_and_the_command_line_are_over_the_file() {
        let var = |name: &str| (name == "PATRONI_ETCD3_HOSTS").then(|| "'a:1','b'".to_owned());
        let mut settings = parse("x", "etcd3: {host: c}\n", &var).unwrap();
        assert_eq!(settings.etcd.hosts, [HostPort::new("a", 1), HostPort::new("b", 2379)]);
        from_url(&mut settings, "etcd3://[::1]:4001/mine").unwrap();
        assert_eq!((settings.etcd.hosts, settings.namespace.as_str()), (vec![HostPort::new("::1", 4001)], "mine"));
    }

    #[test]
    fn a_switch_may_be_written_in_every_way() {
        for (text, insecure) in [("ctl: {insecure: 'On'}", true), ("ctl: {insecure: 0}", false), ("ctl: {}", false)] {
            assert_eq!(of(text).unwrap().ctl.insecure, insecure, "{text}");
        }
        assert!(of("ctl: {insecure: perhaps}").unwrap_err().contains("ctl.insecure"));
        let var = |name: &str| (name == "PATRONI_CTL_INSECURE").then(|| "yes".to_owned());
        assert!(parse("x", "ctl: {insecure: false}\n", &var).unwrap().ctl.insecure);
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_field() {
        for (text, expected) in [
            ("etcd3: {hosts: [1]}", "patroni.yml: etcd3.hosts: found [1], expected a list of texts"),
            ("etcd3: 7", "patroni.yml: etcd3: found 7, expected a section"),
            ("ctl: {keyfile_password: x}", "patroni.yml: ctl.keyfile_password: found a passphrase, expected none"),
            ("etcd3: {host: 'a:b'}", "expected HOST:PORT"),
            ("etcd3: {hosts: 'https://a:1'}", "expected HOST:PORT, and protocol: https"),
            ("consul: {host: a}", "patroni.yml: consul: pgdrill knows etcd by its v3 API alone"),
            ("- a", "expected sections"),
            ("a: [", "patroni.yml: "),
        ] {
            let found = of(text).unwrap_err();
            assert!(found.contains(expected), "{text}: {found}");
        }
        let mut settings = Settings::default();
        assert!(matches!(from_url(&mut settings, "consul://a"), Err(Stop::Usage(text)) if text.contains("consul")));
    }
}
