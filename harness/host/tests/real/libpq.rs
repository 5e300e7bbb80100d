//! The agent's own connections beside `psql`: the same parameters, the same server, the same outcome. Every `sslmode`, over TCP and
//! the server's socket, with `ssl` on and off, with a root certificate and without, with revocation lists, and with what `pg_hba.conf`
//! may ask for.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

use pgdrill_agent::{
    config::{HostPort, User},
    postgres::Sql,
};
use pgdrill_net::TokioNet;
use tokio::runtime::Runtime;

use crate::machine::Place;

const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Whether the connection is inside TLS, and with what certificate of ours.
const STATE: &str = "SELECT ssl, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
/// Each is for one line of `pg_hba.conf`.
const USERS: [&str; 4] = ["any", "tls", "plain", "certificate"];

/// The trial: this program as an ordinary user, in whose home folder libpq finds nothing yet.
pub(crate) fn start(bin: &str) {
    let place = Place::new();
    let tls = place.certificates();
    let home = place.folder("home");
    let mut command = place.command("real");
    command.env("HOME", home).env_remove("PGSSLROOTCERT").env_remove("PGSSLMODE");
    let output = command.arg("libpq").arg(place.path()).arg(bin).arg(tls).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    eprint!("{said}");
}

/// The trial's body.
pub(crate) fn play(dir: &str, bin: &str, tls: &str) -> ExitCode {
    let server = Server::new(Path::new(dir), bin, Path::new(tls));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut seen = Seen::default();
    for (certificate, ssl) in [("self", "on"), ("v1", "on"), ("self", "off")] {
        server.start(certificate, ssl);
        for parameters in server.parameters().into_iter().chain(server.with_lists()) {
            for (host, user) in &server.places() {
                let what = format!("{certificate}, ssl {ssl}, {user} at {host}");
                seen.compare(&what, &parameters, server.psql(host, user, &parameters), || {
                    runtime.block_on(server.ours(host, user, &parameters))
                });
            }
        }
        server.stop();
    }
    at_home(Path::new(dir), Path::new(tls));
    server.start("self", "on");
    for lists in [None, Some("self-gone.crl")] {
        if let Some(lists) = lists {
            fs::copy(Path::new(tls).join(lists), Path::new(dir).join("home/.postgresql/root.crl"))
                .expect("it is copied");
        }
        server.compare_at_home(&runtime, &mut seen);
    }
    server.stop();
    eprintln!("{} connections as psql's, {} refused, {} inside TLS", seen.compared, seen.refused, seen.inside);
    assert!(seen.compared > 3500 && seen.refused > 1500 && seen.inside > 400, "{seen:?}");
    ExitCode::SUCCESS
}

/// What was compared.
#[derive(Debug, Default)]
struct Seen {
    compared: usize,
    refused: usize,
    inside: usize,
}

impl Seen {
    fn compare(
        &mut self,
        what: &str,
        parameters: &Parameters,
        theirs: Result<String, String>,
        ours: impl FnOnce() -> Result<String, String>,
    ) {
        let ours = ours();
        assert_eq!(ours.as_ref().ok(), theirs.as_ref().ok(), "{what}: {parameters:?}: {ours:?}, but psql: {theirs:?}");
        self.compared += 1;
        self.refused += usize::from(ours.is_err());
        self.inside += usize::from(ours.is_ok_and(|state| state.starts_with('t')));
    }
}

type Parameters = BTreeMap<String, String>;

struct Server {
    dir: PathBuf,
    bin: PathBuf,
    tls: PathBuf,
    port: u16,
}

impl Server {
    fn new(dir: &Path, bin: &str, tls: &Path) -> Self {
        let port = 20_000 + u16::try_from(std::process::id() % 10_000).expect("it is small");
        let it = Self { dir: dir.to_owned(), bin: bin.into(), tls: tls.to_owned(), port };
        it.run("initdb", &["-D", &it.data(), "-N", "-A", "trust", "-U", "postgres", "--locale=C.UTF-8"]);
        let conf = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\nfsync = off\nshared_buffers = '16MB'\n",
            dir.display()
        );
        it.append("postgresql.conf", &conf);
        let lines = "local all all trust\nhost all any,postgres 127.0.0.1/32 trust\nhostssl all tls 127.0.0.1/32 trust\n\
            hostnossl all plain 127.0.0.1/32 trust\nhostssl all certificate 127.0.0.1/32 trust clientcert=verify-ca\n";
        fs::write(Path::new(&it.data()).join("pg_hba.conf"), lines).expect("it is ours");
        it.start("self", "off");
        for user in USERS {
            it.run(
                "psql",
                &[
                    "-h",
                    &it.socket(),
                    "-p",
                    &port.to_string(),
                    "-U",
                    "postgres",
                    "-qc",
                    &format!("CREATE ROLE \"{user}\" LOGIN"),
                    "postgres",
                ],
            );
        }
        it.stop();
        it
    }

    fn data(&self) -> String {
        self.dir.join("libpq").to_string_lossy().into_owned()
    }

    fn socket(&self) -> String {
        self.dir.to_string_lossy().into_owned()
    }

    /// Where and as whom: over the socket, by its address as each user, and by its name.
    fn places(&self) -> Vec<(String, &'static str)> {
        let by_address = USERS.map(|user| ("127.0.0.1".to_owned(), user));
        [(self.socket(), "any"), ("localhost".into(), "any")].into_iter().chain(by_address).collect()
    }

    fn append(&self, file: &str, text: &str) {
        let file = Path::new(&self.data()).join(file);
        let before = fs::read_to_string(&file).expect("initdb has made it");
        fs::write(file, before + text).expect("it is ours");
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = Command::new(self.bin.join(program)).args(arguments).output().expect("it runs");
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn start(&self, certificate: &str, ssl: &str) {
        let file = |name: &str| self.tls.join(name).to_string_lossy().into_owned();
        let (cert, key, ca) = (format!("{certificate}.pem"), format!("{certificate}.key"), "trusted.pem");
        let options = format!(
            "-c ssl={ssl} -c ssl_cert_file={} -c ssl_key_file={} -c ssl_ca_file={}",
            file(&cert),
            file(&key),
            file(ca)
        );
        let log = self.dir.join("libpq.log").to_string_lossy().into_owned();
        self.run("pg_ctl", &["start", "-w", "-D", &self.data(), "-l", &log, "-o", &options]);
    }

    fn stop(&self) {
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &self.data()]);
    }

    /// Every `sslmode` with every root certificate, named and at home, and some certificates of ours.
    fn parameters(&self) -> Vec<Parameters> {
        let file = |name: &str| self.tls.join(name).to_string_lossy().into_owned();
        let roots = [None, Some("trusted.pem"), Some("namesake.pem"), Some("missing.pem")];
        let shown = [None, Some("self"), Some("v1"), Some("missing")];
        let mut all = Vec::new();
        for mode in MODES {
            for root in roots {
                for cert in shown {
                    let mut it = Parameters::from([("sslmode".into(), mode.to_owned())]);
                    it.extend(root.map(|root| ("sslrootcert".into(), file(root))));
                    if let Some(cert) = cert {
                        it.insert("sslcert".into(), file(&format!("{cert}.pem")));
                        it.insert("sslkey".into(), file(&format!("{cert}.key")));
                    }
                    all.push(it);
                }
            }
        }
        all
    }

    /// Every `sslmode` with revocation lists: good and bad, missing, none at all in a file, and by the folder.
    fn with_lists(&self) -> Vec<Parameters> {
        let file = |name: &str| self.tls.join(name).to_string_lossy().into_owned();
        let lists = [
            (Some("self.crl"), None),
            (Some("self-gone.crl"), None),
            (Some("missing.crl"), None),
            (Some("missing.crl"), Some("empty")),
            (Some("self.pem"), None),
            (Some("self.key"), None),
            (None, Some("hashed")),
            (None, Some("empty")),
            (Some("self-gone.crl"), Some("hashed")),
        ];
        let mut all = Vec::new();
        for mode in MODES {
            for root in [None, Some("trusted.pem")] {
                for (list, folder) in lists {
                    let mut it = Parameters::from([("sslmode".into(), mode.to_owned())]);
                    it.extend(root.map(|root| ("sslrootcert".into(), file(root))));
                    it.extend(list.map(|list| ("sslcrl".into(), file(list))));
                    it.extend(folder.map(|folder| ("sslcrldir".into(), file(folder))));
                    all.push(it);
                }
            }
        }
        all
    }

    /// With libpq's own files alone.
    fn compare_at_home(&self, runtime: &Runtime, seen: &mut Seen) {
        for parameters in MODES.map(|mode| Parameters::from([("sslmode".into(), mode.to_owned())])) {
            for (host, user) in &self.places() {
                let what = format!("files at home, {user} at {host}");
                seen.compare(&what, &parameters, self.psql(host, user, &parameters), || {
                    runtime.block_on(self.ours(host, user, &parameters))
                });
            }
        }
    }

    fn psql(&self, host: &str, user: &str, parameters: &Parameters) -> Result<String, String> {
        let quoted = |value: &str| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
        let mut conninfo =
            format!("host={} port={} user={user} dbname=postgres gssencmode=disable", quoted(host), self.port);
        for (name, value) in parameters {
            conninfo += &format!(" {name}={}", quoted(value));
        }
        let output = Command::new(self.bin.join("psql")).args(["-XAtc", STATE, &conninfo]).output().expect("it runs");
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    async fn ours(&self, host: &str, user: &str, parameters: &Parameters) -> Result<String, String> {
        let sql = Sql::new(TokioNet, HostPort::new(host, self.port), User::named(user)).with_options(parameters);
        let rows = sql.query_slow(STATE, Duration::from_secs(20)).await.map_err(|error| error.to_string())?;
        let field = |index: usize| rows.first().and_then(|row| row.get(index)).unwrap_or_default();
        Ok(format!("{}|{}", field(0), field(1)))
    }
}

/// With libpq's own files in the home folder, which count where none are named.
fn at_home(place: &Path, tls: &Path) {
    let home = place.join("home/.postgresql");
    fs::create_dir_all(&home).expect("it is ours");
    for (from, to) in [("trusted.pem", "root.crt"), ("self.pem", "postgresql.crt"), ("self.key", "postgresql.key")] {
        let to = home.join(to);
        fs::copy(tls.join(from), &to).expect("it is copied");
        fs::set_permissions(to, fs::Permissions::from_mode(0o600)).expect("it is ours");
    }
}
