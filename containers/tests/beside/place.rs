//! What a situation is played on: a folder, an ordinary user, an etcd member, and programs that end with the test.

use std::{
    fs, io,
    net::TcpStream,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

/// Where the programs are, by variables of the environment; each has a default that fits the images.
pub(crate) fn program(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// The folder with PostgreSQL's programs.
pub(crate) fn bin_dir() -> String {
    program("PG_BIN", "/usr/lib/postgresql/16/bin")
}

/// A folder of the ordinary user, with one etcd member.
pub(crate) struct Place {
    dir: PathBuf,
    user: (u32, u32),
    /// The first three numbers of every address.
    subnet: String,
    etcd: Option<Process>,
}

impl Place {
    /// Starts etcd, too.
    pub(crate) fn new(dir: &Path) -> Self {
        // Addresses of the loopback net would all be left from 127.0.0.1, which the rules of a new server do not let in.
        let subnet = "198.18.7".to_owned();
        for number in (1..=9).chain([100]) {
            let done =
                Command::new("ip").args(["address", "add", &format!("{subnet}.{number}/32"), "dev", "lo"]).output();
            assert!(done.is_ok_and(|done| done.status.success()), "this needs a network of its own, and NET_ADMIN");
        }
        fs::create_dir_all(dir).expect("it is made");
        let mut place = Self { dir: dir.to_owned(), user: ordinary_user(), subnet, etcd: None };
        place.give(dir);
        place.start_etcd();
        place
    }

    pub(crate) fn path(&self) -> &Path {
        &self.dir
    }

    /// Address of the host with this number.
    pub(crate) fn address(&self, number: usize) -> String {
        format!("{}.{number}", self.subnet)
    }

    /// All addresses, as `pg_hba.conf` writes them.
    pub(crate) fn network(&self) -> String {
        format!("{}.0/24", self.subnet)
    }

    /// Host and port of the etcd member.
    pub(crate) fn etcd(&self) -> String {
        format!("{}:2379", self.address(100))
    }

    pub(crate) fn start_etcd(&mut self) {
        let data = self.folder("etcd");
        let (client, peer) = (format!("http://{}", self.etcd()), format!("http://{}:2380", self.address(100)));
        let mut etcd = self.command(&program("ETCD", "etcd"));
        etcd.arg("--data-dir").arg(data).args(["--name", "e", "--log-level", "error"]);
        etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("e={peer}")]);
        self.etcd = Some(Process::start(etcd, &self.path().join("etcd.log")));
        for _ in 0..200 {
            if TcpStream::connect(self.etcd()).is_ok() {
                return;
            }
            sleep(Duration::from_millis(100));
        }
        panic!("etcd does not listen: {}", fs::read_to_string(self.path().join("etcd.log")).unwrap_or_default());
    }

    /// Nobody can reach the DCS any more.
    pub(crate) fn stop_etcd(&mut self) {
        self.etcd = None;
    }

    pub(crate) const fn has_etcd(&self) -> bool {
        self.etcd.is_some()
    }

    /// Runs `etcdctl`.
    pub(crate) fn etcdctl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("ETCDCTL", "etcdctl"));
        command.env("ETCDCTL_API", "3").arg(format!("--endpoints=http://{}", self.etcd())).args(arguments);
        command.output().expect("etcdctl runs")
    }

    /// A folder that belongs to the ordinary user.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let dir = self.path().join(name);
        fs::create_dir_all(&dir).expect("it is made");
        self.give(&dir);
        dir
    }

    /// A file that only the ordinary user may read.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path().join(name);
        fs::write(&file, text).expect("it is written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).expect("it is ours");
        self.give(&file);
        file
    }

    fn give(&self, path: &Path) {
        std::os::unix::fs::chown(path, Some(self.user.0), Some(self.user.1)).expect("root may do that");
    }

    /// A program as the ordinary user.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).uid(self.user.0).gid(self.user.1);
        command.env("HOME", self.path());
        command
    }

    /// Runs a program of PostgreSQL as the ordinary user, which must succeed.
    pub(crate) fn postgresql(&self, program: &str, arguments: &[&str]) -> String {
        let done = self.command(&format!("{}/{program}", bin_dir())).args(arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{program} {arguments:?}: {said}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

/// Numbers of `postgres`, as whom PostgreSQL's programs run.
fn ordinary_user() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("there is one");
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields[0] == "postgres");
    let fields = fields.expect("there is a user `postgres`");
    (fields[2].parse().expect("a number"), fields[3].parse().expect("a number"))
}

/// A process that is killed when it is not needed any more.
pub(crate) struct Process(Child);

impl Process {
    /// What it writes goes to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("it is open")).stderr(log);
        // SAFETY: one system call between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub(crate) fn signal(&self, signal: i32) {
        kill(self.0.id(), signal);
    }

    /// Its exit code, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<Option<i32>> {
        self.0.try_wait().expect("it is ours").map(|status| status.code())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal to a process of the test's own.
pub(crate) fn kill(pid: u32, signal: i32) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    // SAFETY: takes two integers.
    unsafe { libc::kill(pid, signal) };
}
