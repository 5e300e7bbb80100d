//! Plain containers to do faults to: a network, some hosts with Python, and this build of `pgdrill` in them.

use std::{collections::BTreeMap, future::Future, path::PathBuf, time::Duration};

use pgdrill_containers::{
    docker::{
        Docker, HOST, Mounted, Owner, Plan, Subnet, connect, create_network, create_volume, remove_run, start_container,
    },
    machine::Machine,
};

/// Has Python, which talks over sockets in these tests.
const IMAGE: &str = "pgdrill/patroni:latest";

/// The hosts of a test.
pub struct Bench {
    pub machines: BTreeMap<String, Machine>,
}

impl Bench {
    pub fn machine(&self, name: &str) -> &Machine {
        &self.machines[name]
    }

    /// Runs Python on a host and returns what it printed.
    pub async fn python(&self, host: &str, script: &str) -> String {
        self.machine(host).succeed(&["python3", "-c", script]).await.expect("the script runs")
    }

    /// Starts Python on a host and leaves it running; its output goes to a file.
    pub async fn python_beside(&self, host: &str, script: &str, output: &str) {
        let start = r#"nohup python3 -u -c "$1" > "$2" 2>&1 & echo $!"#;
        self.machine(host).succeed(&["sh", "-c", start, "sh", script, output]).await.expect("it is started");
    }

    /// A server of TCP that sends back what it gets.
    pub async fn echo(&self, host: &str) {
        let script = "import socketserver\n\
            class Echo(socketserver.BaseRequestHandler):\n\
            \x20 def handle(self):\n\
            \x20  while (data := self.request.recv(65536)): self.request.sendall(data)\n\
            socketserver.ThreadingTCPServer(('', 7), Echo).serve_forever()";
        self.python_beside(host, script, "/tmp/echo.log").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    /// Talks to the echo server over one connection for ever: a line with the seconds of each round trip.
    pub async fn talk(&self, from: &str, to: &str) {
        let script = format!(
            "import socket, time\n\
             s = socket.create_connection(('{}', 7))\n\
             s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n\
             while True:\n\
             \x20 t = time.monotonic(); s.sendall(b'x')\n\
             \x20 if not s.recv(1): print('closed'); break\n\
             \x20 print(time.monotonic() - t); time.sleep(0.02)",
            self.machine(to).address
        );
        self.python_beside(from, &script, "/tmp/talk.log").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    /// The round trips of [`Bench::talk`] so far, in seconds. A conversation that was closed is a failure.
    pub async fn trips(&self, host: &str) -> Vec<f64> {
        let log = self.machine(host).script("cat /tmp/talk.log").await.expect("there is a log");
        log.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("it said {line:?}"))).collect()
    }

    /// Sends so many bytes to [`Bench::echo`] and reads them back; how long that took, in seconds.
    pub async fn send(&self, from: &str, to: &str, bytes: u32) -> f64 {
        let script = format!(
            "import socket, time\n\
             s = socket.create_connection(('{}', 7)); t = time.monotonic(); n = 0\n\
             s.sendall(b'x' * {bytes}); s.shutdown(1)\n\
             while (d := s.recv(65536)): n += len(d)\n\
             assert n == {bytes}; print(time.monotonic() - t)",
            self.machine(to).address
        );
        self.python(from, &script).await.trim().parse().expect("a number")
    }

    /// How many of `count` UDP packets arrive at the other host.
    pub async fn arrive(&self, from: &str, to: &str, count: u32) -> u32 {
        let receive = "import socket\n\
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 9)); s.settimeout(2); n = 0\n\
            try:\n\
            \x20 while True: s.recv(100); n += 1\n\
            except TimeoutError: print(n)";
        self.python_beside(to, receive, "/tmp/udp.log").await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        let send = format!(
            "import socket, time\n\
             s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             for n in range({count}): s.sendto(b'x', ('{}', 9)); time.sleep(0.001)",
            self.machine(to).address
        );
        self.python(from, &send).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let said = self.machine(to).script("cat /tmp/udp.log").await.expect("there is a log");
        said.trim().parse().unwrap_or_else(|_| panic!("it said {said:?}"))
    }

    /// What pgdrill has left in a host's packet filter.
    pub async fn rules_left(&self, host: &str) -> String {
        let list = "iptables -S; iptables -t mangle -S; iptables -t raw -S";
        let listed = self.machine(host).script(list).await.expect("iptables answers");
        listed.lines().filter(|line| line.contains("pgdrill")).collect()
    }
}

/// Gives a test the hosts it names, with a small volume in memory each, and removes them however it ends.
pub fn with_hosts<F: Future<Output = ()>>(test: &str, hosts: &[&str], body: impl FnOnce(Bench) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let docker = connect().await.expect("Docker answers");
        let run = format!("pgdrill-test-{}-{test}", std::process::id());
        let bench = start(&docker, &run, hosts);
        let tested = async { body(bench.await).await };
        let ended = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(tested)).await;
        remove_run(&docker, &run).await.expect("it can be removed");
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
}

async fn start(docker: &Docker, run: &str, hosts: &[&str]) -> Bench {
    let labels = Owner::this_process().expect("this process has an owner").labels(run);
    let from = std::process::id().wrapping_mul(7) % 512;
    let subnet: Subnet = create_network(docker, run, &labels, from).await.expect("a network");
    let mut machines = BTreeMap::new();
    for (n, name) in (11..).zip(hosts) {
        let volume = format!("{run}-{name}");
        create_volume(docker, &volume, &labels, Some(16 << 20)).await.expect("a volume");
        let mut labels = labels.clone();
        labels.insert(HOST.to_owned(), (*name).to_owned());
        let plan = Plan {
            name: format!("{run}-{name}"),
            hostname: (*name).to_owned(),
            image: IMAGE.to_owned(),
            network: run.to_owned(),
            address: subnet.address(n),
            programs: vec![],
            volumes: vec![Mounted::new(volume, "/volume")],
            labels,
        };
        let container = start_container(docker, &plan).await.expect("a container");
        let machine = Machine::new(docker.clone(), *name, container, subnet.address(n));
        if let Some(program) = pgdrill() {
            machine.put("/usr/local/bin/pgdrill", &program).await.expect("pgdrill can be put there");
        }
        machines.insert((*name).to_owned(), machine);
    }
    Bench { machines }
}

/// This build of the program, where there is one; else the image's own is used.
fn pgdrill() -> Option<Vec<u8>> {
    let test = std::env::current_exe().expect("the test has a path");
    let beside: PathBuf = test.ancestors().nth(2)?.join("pgdrill");
    let stripped = tempfile::tempdir().expect("a folder").keep().join("pgdrill");
    let strip = std::process::Command::new("strip").arg("-o").arg(&stripped).arg(&beside).status();
    let from = if strip.is_ok_and(|status| status.success()) { &stripped } else { &beside };
    let program = std::fs::read(from).ok();
    // A stripped copy that stays behind is litter in /tmp, no failure.
    let _ = std::fs::remove_dir_all(stripped.parent()?);
    program
}
