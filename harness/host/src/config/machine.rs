//! What a configuration needs of the machine beside PostgreSQL's programs and data directory, which every start of the agent
//! looks at: ports, files, etcd. As `patroni --validate-config` looks at them.

use std::{
    fmt, fs,
    net::{TcpListener, TcpStream, ToSocketAddrs},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    time::Duration,
};

use pgdrill_agent::{
    AgentConfig,
    config::{HostPort, PostgresqlConfig},
    tls,
};
use pgdrill_file::CERTIFICATES;

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Whether the ports of `listen` must be free (Patroni's `--ignore-listen-port` leaves it out).
    pub listen_ports: bool,
    /// Whether at least one member of etcd must answer.
    pub etcd: bool,
}

/// Something of the machine that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The field.
    pub field: &'static str,
    /// What was found.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", self.field, self.found, self.expected)
    }
}

/// Looks at the machine. Nothing is changed; ports are bound for a moment.
#[must_use]
pub fn check(config: &AgentConfig, checks: Checks) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    let mut wrong = |field, found: String, expected: &str| {
        misfits.push(Misfit { field, found, expected: expected.to_owned() });
    };
    if checks.listen_ports {
        free(&config.restapi.listen, "restapi.listen", &mut wrong);
        // A server that runs in the data directory is adopted by the agent: its port is in use.
        if !Path::new(&config.postgresql.data_dir).join("postmaster.pid").exists() {
            free(&config.postgresql.listen, "postgresql.listen", &mut wrong);
        }
    }
    if checks.etcd && !config.etcd.hosts.iter().any(answers) {
        let hosts: Vec<String> = config.etcd.hosts.iter().map(ToString::to_string).collect();
        wrong("etcd3.hosts", format!("no answer from {}", hosts.join(", ")), "at least one member that can be reached");
    }
    files(config, &mut wrong);
    misfits
}

type Wrong<'a> = dyn FnMut(&'static str, String, &str) + 'a;

fn free(listen: &HostPort, field: &'static str, wrong: &mut Wrong<'_>) {
    for host in listen.host.split(',') {
        let host = if host == "*" { "0.0.0.0" } else { host };
        if let Err(error) = TcpListener::bind((host, listen.port)) {
            let found = format!("{} ({error})", HostPort::new(host, listen.port));
            wrong(field, found, "an address of this machine whose port is free");
        }
    }
}

fn answers(host: &HostPort) -> bool {
    let addresses = (host.host.as_str(), host.port).to_socket_addrs();
    addresses
        .is_ok_and(|mut all| all.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(3)).is_ok()))
}

/// Files that must be there.
fn files(config: &AgentConfig, wrong: &mut Wrong<'_>) {
    let served = config.restapi.tls.as_ref();
    let etcd = config.etcd.tls.as_ref();
    for (field, file) in [
        ("restapi.certfile", served.map(|tls| &tls.certfile)),
        ("restapi.keyfile", served.and_then(|tls| tls.keyfile.as_ref())),
        ("restapi.cafile", served.and_then(|tls| tls.cafile.as_ref())),
        ("etcd3.cacert", etcd.and_then(|tls| tls.cacert.as_ref())),
        ("etcd3.cert", etcd.and_then(|tls| tls.cert.as_ref())),
        ("etcd3.key", etcd.and_then(|tls| tls.key.as_ref())),
        ("ctl.cacert", config.ctl.cacert.as_ref()),
        ("ctl.certfile", config.ctl.certfile.as_ref()),
        ("ctl.keyfile", config.ctl.keyfile.as_ref()),
        ("postgresql.custom_conf", config.postgresql.custom_conf.as_ref()),
    ] {
        if let Some(file) = file {
            readable(field, file, wrong);
        }
    }
    for (field, file) in [
        ("restapi.keyfile", served.map(|tls| tls.keyfile.as_ref().unwrap_or(&tls.certfile))),
        ("etcd3.key", etcd.and_then(|tls| tls.key.as_ref().or(tls.cert.as_ref()))),
        ("ctl.keyfile", config.ctl.keyfile.as_ref().or(config.ctl.certfile.as_ref())),
    ] {
        if let Some(file) = file {
            not_encrypted(field, file, wrong);
        }
    }
    users_files(&config.postgresql, wrong);
    if let Some(folder) = config.log.dir.as_ref().filter(|folder| !folder.is_dir()) {
        wrong("log.dir", format!("{}, which is no folder", folder.display()), "a folder that exists");
    }
}

fn readable(field: &'static str, file: &Path, wrong: &mut Wrong<'_>) {
    if let Err(error) = pgdrill_file::bytes(file, CERTIFICATES) {
        wrong(field, format!("{} ({error})", file.display()), "a file that can be read");
    }
}

fn not_encrypted(field: &'static str, file: &Path, wrong: &mut Wrong<'_>) {
    if pgdrill_file::text(file, CERTIFICATES).is_ok_and(|text| tls::is_encrypted(&text)) {
        let expected = "a private key without passphrase: `openssl pkey -in FILE -out FILE.new` takes it away";
        wrong(field, format!("{}, whose private key is encrypted", file.display()), expected);
    }
}

/// Of each user.
const USERS_FILES: [[&str; 5]; 3] = [
    [
        "postgresql.authentication.superuser.sslrootcert",
        "postgresql.authentication.superuser.sslcert",
        "postgresql.authentication.superuser.sslkey",
        "postgresql.authentication.superuser.sslcrl",
        "postgresql.authentication.superuser.sslcrldir",
    ],
    [
        "postgresql.authentication.replication.sslrootcert",
        "postgresql.authentication.replication.sslcert",
        "postgresql.authentication.replication.sslkey",
        "postgresql.authentication.replication.sslcrl",
        "postgresql.authentication.replication.sslcrldir",
    ],
    [
        "postgresql.authentication.rewind.sslrootcert",
        "postgresql.authentication.rewind.sslcert",
        "postgresql.authentication.rewind.sslkey",
        "postgresql.authentication.rewind.sslcrl",
        "postgresql.authentication.rewind.sslcrldir",
    ],
];

fn users_files(config: &PostgresqlConfig, wrong: &mut Wrong<'_>) {
    let users = &config.connection;
    for (options, fields) in [&users.superuser, &users.replication, &users.rewind].into_iter().zip(USERS_FILES) {
        if options.get("sslmode").is_some_and(|mode| mode == "disable") {
            continue;
        }
        let system = options.get("sslrootcert").is_some_and(|file| file == "system");
        for field in fields {
            let name = field.rsplit('.').next().unwrap_or_default();
            if system && name.starts_with("sslcrl") {
                continue;
            }
            let Some(file) = options.get(name).filter(|file| *file != "system").map(Path::new) else { continue };
            if name == "sslcrldir" {
                if !file.is_dir() {
                    wrong(
                        field,
                        format!("{}, which is no folder", file.display()),
                        "a folder that `openssl rehash` has prepared",
                    );
                }
                continue;
            }
            readable(field, file, wrong);
            if name == "sslkey" {
                not_encrypted(field, file, wrong);
                private(field, file, wrong);
            }
        }
    }
}

/// PostgreSQL's programs take no other key (`initialize_SSL` of `fe-secure-openssl.c`).
fn private(field: &'static str, file: &Path, wrong: &mut Wrong<'_>) {
    let Ok(meta) = fs::metadata(file) else { return };
    let (mode, forbidden) = (meta.permissions().mode() & 0o777, if meta.uid() == 0 { 0o037 } else { 0o077 });
    if mode & forbidden != 0 {
        let found = format!("{} with permissions {mode:04o}", file.display());
        wrong(field, found, "permissions 0600, or 0640 when it belongs to root: PostgreSQL's programs refuse others");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_users_are_looked_at_as_postgresqls_programs_do() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, mode: u32, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("it is written");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
            path.to_string_lossy().into_owned()
        };
        let (open, encrypted) = ("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
        let missing = dir.path().join("missing").to_string_lossy().into_owned();
        let mut config = PostgresqlConfig::new("");
        for (options, files) in [
            (&mut config.connection.superuser, [file("a.crt", 0o644, ""), file("a.key", 0o644, open)]),
            (&mut config.connection.replication, [missing.clone(), file("b.key", 0o600, encrypted)]),
            (&mut config.connection.rewind, ["system".into(), file("c.key", 0o600, open)]),
        ] {
            options.extend(["sslcrl", "sslcrldir"].map(|name| (name.to_owned(), missing.clone())));
            options.extend(["sslrootcert".to_owned(), "sslkey".into()].into_iter().zip(files));
        }
        let found = |config: &PostgresqlConfig| {
            let mut misfits = Vec::new();
            users_files(config, &mut |field, found, _| misfits.push(format!("{field}: {found}")));
            misfits.join("\n").replace(&format!("{}/", dir.path().display()), "")
        };
        insta::assert_snapshot!(found(&config), @r"
        postgresql.authentication.superuser.sslkey: a.key with permissions 0644
        postgresql.authentication.superuser.sslcrl: missing (No such file or directory (os error 2))
        postgresql.authentication.superuser.sslcrldir: missing, which is no folder
        postgresql.authentication.replication.sslrootcert: missing (No such file or directory (os error 2))
        postgresql.authentication.replication.sslkey: b.key, whose private key is encrypted
        postgresql.authentication.replication.sslcrl: missing (No such file or directory (os error 2))
        postgresql.authentication.replication.sslcrldir: missing, which is no folder
        ");
        for options in [&mut config.connection.superuser, &mut config.connection.replication] {
            options.insert("sslmode".into(), "disable".into());
        }
        assert_eq!(found(&config), "", "libpq does not look at them either");
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        // Of the documentation's network: no machine has it.
        let mut said = String::new();
        free(&HostPort::new("2001:db8::7", 8008), "restapi.listen", &mut |_, found, _| said = found);
        assert!(said.starts_with("[2001:db8::7]:8008 ("), "{said}");
    }
}
