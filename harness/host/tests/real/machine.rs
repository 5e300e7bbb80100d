//! What the tests need of this machine: programs, an ordinary user, a folder on memory, and processes that end with the test.

use std::{
    env, fs, io,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use nix::unistd::{Gid, Uid, User, chown};

/// Where the programs are.
pub(crate) struct Programs;

impl Programs {
    /// The folder with the programs of a PostgreSQL, 15 to 18, or why there is none.
    pub(crate) fn postgres() -> Result<String, String> {
        let dir =
            env::var("PGDRILL_POSTGRES_BIN").map_err(|_| "PGDRILL_POSTGRES_BIN names no PostgreSQL".to_owned())?;
        let postgres = Path::new(&dir).join("postgres");
        let said = Command::new(&postgres).arg("--version").output();
        let said = said.map_err(|error| format!("PGDRILL_POSTGRES_BIN: {}: {error}", postgres.display()))?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        if ["15", "16", "17", "18"].iter().any(|major| said.contains(&format!("PostgreSQL) {major}"))) {
            Ok(dir)
        } else {
            Err(format!("{}: {said}", postgres.display()))
        }
    }

    /// As [`Self::postgres`], of programs that were built with TLS: where those are not, Debian's, of any version that the agent
    /// works with.
    pub(crate) fn postgres_with_tls() -> Result<String, String> {
        let named = Self::postgres()?;
        let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let debian =
            debian.filter(|entry| entry.file_name().to_string_lossy().parse().is_ok_and(|major: u32| major >= 13));
        let mut all: Vec<_> = debian.map(|entry| entry.path().join("bin").to_string_lossy().into_owned()).collect();
        all.sort();
        all.push(named);
        let speaks_tls = |dir: &String| {
            let said = Command::new(Path::new(dir).join("postgres")).args(["-C", "ssl", "-c", "ssl=on"]).output();
            said.is_ok_and(|said| !String::from_utf8_lossy(&said.stderr).contains("SSL is not supported"))
        };
        let found = all.into_iter().rev().find(speaks_tls);
        found.ok_or_else(|| {
            "PGDRILL_POSTGRES_BIN was built without TLS, and /usr/lib/postgresql has nothing else".to_owned()
        })
    }

    /// That there is `openssl`, or why it cannot be started.
    pub(crate) fn openssl() -> Result<(), String> {
        Command::new("openssl").arg("version").output().map(drop).map_err(|error| format!("openssl: {error}"))
    }

    /// The name of etcd's program, or why it cannot be started.
    pub(crate) fn etcd() -> Result<String, String> {
        let output = Command::new("etcd").arg("--version").output();
        output.map(|_| "etcd".to_owned()).map_err(|error| format!("etcd: {error}"))
    }
}

/// A folder of the ordinary user, removed in the end.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    user: Option<(Uid, Gid)>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
        let dir = tempfile::Builder::new().prefix("pgdrill-real-").tempdir_in(parent).expect("a folder");
        let user = Uid::effective().is_root().then(|| {
            let found = User::from_name("postgres").ok().flatten().or_else(|| User::from_name("nobody").ok().flatten());
            let user = found.expect("postgres or nobody");
            (user.uid, user.gid)
        });
        let place = Self { dir, user };
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        place.give(place.path());
        // The build's folder may be closed to the ordinary user.
        place.install(&env::current_exe().expect("there is one"), &place.path().join("real"));
        place
    }

    /// Makes a program of that file, for the cluster's user. By a process of its own: what this one has open for writing, a child
    /// of another trial has, too, until it runs its own program, and nobody can run the new one meanwhile ("Text file busy").
    pub(crate) fn install(&self, from: &Path, to: &Path) {
        let installed = Command::new("install").args(["-m", "755"]).args([from, to]).status();
        assert!(installed.expect("install runs").success(), "{} is not installed", to.display());
        self.give(to);
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A folder in it.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let dir = self.path().join(name);
        fs::create_dir_all(&dir).expect("it is created");
        self.give(&dir);
        dir
    }

    /// The agent's test certificates, with keys that nobody else can read.
    pub(crate) fn certificates(&self) -> PathBuf {
        let dir = self.folder("tls");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/src/fixtures/tls");
        let of_ours = ["ca.pem", "server.pem", "server.key", "client.pem", "client.key"].map(str::to_owned);
        let of_openssl =
            ["self.pem", "self.key", "v1.pem", "v1.key", "namesake.pem"].map(|name| format!("openssl/{name}"));
        for name in of_ours.iter().chain(&of_openssl) {
            let file = dir.join(Path::new(name).file_name().expect("a file"));
            fs::copy(from.join(name), &file).expect("it is copied");
            self.protect(&file);
        }
        let lists = from.join("openssl/revocation");
        for name in ["self.crl", "self-gone.crl"] {
            fs::copy(lists.join(name), dir.join(name)).expect("it is copied");
            self.protect(&dir.join(name));
        }
        for (folder, files) in [("hashed", fs::read_dir(lists.join("hashed")).ok()), ("empty", None)] {
            let folder = dir.join(folder);
            fs::create_dir_all(&folder).expect("it is created");
            self.protect(&folder);
            for file in files.into_iter().flatten().flatten() {
                let to = folder.join(file.file_name());
                fs::copy(file.path(), &to).expect("it is copied");
                self.protect(&to);
            }
        }
        // Who has signed the ones of openssl.
        let trusted =
            ["self.pem", "root.pem"].map(|name| fs::read(from.join("openssl").join(name)).expect("it is there"));
        fs::write(dir.join("trusted.pem"), trusted.concat()).expect("it is written");
        self.protect(&dir.join("trusted.pem"));
        dir
    }

    /// A certificate that is its own authority, for these addresses, as users make it: `all.pem` and `all.key`.
    pub(crate) fn certificate_for_everything(&self, addresses: &[String]) -> PathBuf {
        let dir = self.folder("everything");
        let names: Vec<_> = addresses.iter().map(|address| format!("IP:{address}")).collect();
        let mut command = Command::new("openssl");
        command.args(["req", "-nodes", "-new", "-x509", "-subj", "/CN=a", "-newkey", "rsa:2048", "-days", "30"]);
        command.args(["-addext", &format!("subjectAltName={}", names.join(","))]);
        let made = command.arg("-keyout").arg(dir.join("all.key")).arg("-out").arg(dir.join("all.pem")).output();
        let made = made.expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        ["all.key", "all.pem"].iter().for_each(|name| self.protect(&dir.join(name)));
        dir
    }

    fn protect(&self, file: &Path) {
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("it is ours");
        self.give(file);
    }

    pub(crate) fn give(&self, path: &Path) {
        if let Some((uid, gid)) = self.user {
            chown(path, Some(uid), Some(gid)).expect("root may do that");
        }
    }

    /// This program, or another one, as the ordinary user.
    pub(crate) fn command(&self, program: &str) -> Command {
        let own = program == "real";
        let mut command = Command::new(if own { self.path().join(program) } else { program.into() });
        command.current_dir(self.path());
        if let Some((uid, gid)) = self.user {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        command
    }

    /// Whether tests run as root.
    pub(crate) const fn is_root(&self) -> bool {
        self.user.is_some()
    }
}

/// A process that is killed when it is not needed any more.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        // SAFETY: one system call between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: i32) {
        kill(self.0.id(), signal);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Its exit status.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.0.wait().expect("it is ours")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first three bytes of loopback addresses that nobody else has: another of each call, since trials run side by side, and others
/// than those of a process started at about the same time.
pub(crate) fn subnet() -> String {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    const PER_PROCESS: u32 = 32;
    let (pid, taken) = (std::process::id(), TAKEN.fetch_add(1, Ordering::Relaxed));
    format!("127.{}.{}", 64 + pid % 128, (pid / 128 * PER_PROCESS + taken) % 250)
}

/// Waits until something is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < std::time::Duration::from_secs(180), "not in time: {what}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// Sends a signal to a process that is known to be the tests' own.
pub(crate) fn kill(pid: u32, signal: i32) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    // SAFETY: takes two integers.
    unsafe { libc::kill(pid, signal) };
}
