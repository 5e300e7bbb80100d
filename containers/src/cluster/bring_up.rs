//! From a scenario to running containers: network, volumes, containers, settings, services.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use futures::future::try_join_all;
use pgdrill_lab::{
    event::Recorder,
    scenario::{Process, Router, Scenario},
    world::{HAPROXY, draw},
};
use pgdrill_net::TokioNet;
use pgdrill_probe::{Journal, observe::etcd_leader};
use tokio::time::{Instant, sleep};

use super::{Agent, Cluster, Host, Kind, Running, image};
use crate::{
    clock::Clock,
    config::{Passwords, Settings},
    docker::{
        Command, Docker, HOST, Mounted, Owner, Plan, Subnet, Trouble, create_network, create_volume, start_container,
    },
    machine::steering,
    paths::{HAPROXY_CFG, PATRONI_YML},
    shim,
};

/// A host's data is in memory, at most so much of it beside what the scenario says that there is to copy.
const SPACE: u64 = 1 << 30;

/// Names a `pgdrill` binary of this machine to be used in the containers instead of the images' own: for whoever works on
/// pgdrill and does not want to build images for every change. It must run on the images' C library.
pub(crate) const BINARY: &str = "PGDRILL_CONTAINER_BINARY";

/// Where the images have their own.
const PGDRILL: &str = "/usr/local/bin/pgdrill";

/// Between the starts of two agents, so that the seed decides who is first.
const STAGGER: Duration = Duration::from_millis(300);

/// An etcd cluster that has no leader by then will have none.
const ETCD_LIMIT: Duration = Duration::from_secs(60);

/// What a run is made with.
pub(crate) struct Order<'a> {
    pub(crate) docker: &'a Docker,
    pub(crate) scenario: &'a Arc<Scenario>,
    pub(crate) agent: Agent,
    pub(crate) seed: u64,
    /// The run's name, unique on the machine.
    pub(crate) run: &'a str,
    pub(crate) owner: &'a Owner,
    pub(crate) clock: &'a Clock,
    /// How long a machine takes to boot after a reset.
    pub(crate) boot: Duration,
    /// Where the logs of its services are kept, in a folder of its own.
    pub(crate) logs: Option<&'a Path>,
    pub(crate) tell: &'a (dyn Fn(&str) + Send + Sync),
}

impl Order<'_> {
    /// Starts everything. What it has made when it fails is the caller's to remove, by the run's name.
    ///
    /// # Errors
    /// What Docker cannot do, or which service did not come up, with what it said.
    pub(crate) async fn bring_up(&self) -> Result<Cluster, String> {
        image::check(self.docker, self.agent).await.map_err(|e| e.to_string())?;
        (self.tell)("starting containers");
        let labels = self.owner.labels(self.run);
        let from = u32::try_from(draw(self.seed, u64::from(std::process::id())) % 512).unwrap_or(0);
        let subnet = create_network(self.docker, self.run, &labels, from).await.map_err(|e| e.to_string())?;
        let hosts = self.start_containers(&subnet, &labels).await.map_err(|e| e.to_string())?;
        let cluster = self.cluster(&subnet, hosts).map_err(|e| format!("there is no entropy for passwords: {e}"))?;
        let preparing = cluster.hosts.values().map(|host| cluster.prepare(host));
        try_join_all(preparing).await?;
        self.start_services(&cluster).await?;
        Ok(cluster)
    }

    fn cluster(&self, subnet: &Subnet, hosts: Vec<Host>) -> std::io::Result<Cluster> {
        let addresses = hosts.iter().map(|h| (h.name.clone(), h.address)).collect();
        let settings = Settings::new(self.scenario.clone(), addresses, subnet.to_string(), Passwords::draw()?);
        let (recorder, clock) = (Recorder::new(), self.clock.clone());
        let journal = Journal::new(recorder.clone(), move || clock.now());
        Ok(Cluster {
            docker: self.docker.clone(),
            scenario: self.scenario.clone(),
            agent: self.agent,
            hosts: Arc::new(hosts.into_iter().map(|h| (h.name.clone(), h)).collect()),
            recorder,
            journal,
            running: Running::default(),
            settings: Arc::new(settings),
        })
    }

    /// All containers at once, but for the clients': it comes first, and holds every volume, so that what is in memory
    /// outlives a restart of the container that it belongs to.
    async fn start_containers(&self, subnet: &Subnet, labels: &HashMap<String, String>) -> Result<Vec<Host>, Trouble> {
        let mut hosts = hosts(self.scenario, subnet);
        let space = SPACE + self.scenario.cluster.data_size.bytes * 2;
        let mut held = vec![];
        for host in &mut hosts {
            host.volume = host.kind.data().map(|_| format!("{}-{}", self.run, host.name));
            host.etcd_volume = host.etcd.then(|| format!("{}-{}-etcd", self.run, host.name));
            for Mounted { what: volume, .. } in host.volumes() {
                create_volume(self.docker, &volume, labels, Some(space)).await?;
                held.push(Mounted::new(&volume, format!("/held/{volume}")));
            }
        }
        let plan = |name: &str, kind: Kind, address: Ipv4Addr, volumes| {
            let mut labels = labels.clone();
            labels.insert(HOST.to_owned(), name.to_owned());
            Plan {
                name: format!("{}-{name}", self.run),
                hostname: name.to_owned(),
                image: image::of(kind, self.agent),
                network: self.run.to_owned(),
                address,
                volumes,
                programs: std::env::var(BINARY).ok().map(|here| Mounted::new(here, PGDRILL)).into_iter().collect(),
                labels,
            }
        };
        let clients = start_container(self.docker, &plan("clients", Kind::Client, subnet.address(2), held)).await?;
        let starting = hosts.into_iter().map(|mut host| {
            let (plan, clients) = (plan(&host.name, host.kind, host.address, host.volumes()), clients.clone());
            async move {
                host.container =
                    if host.kind == Kind::Client { clients } else { start_container(self.docker, &plan).await? };
                Ok(host)
            }
        });
        try_join_all(starting).await
    }

    async fn start_services(&self, cluster: &Cluster) -> Result<(), String> {
        (self.tell)("starting etcd");
        let etcd = cluster.etcd_hosts();
        try_join_all(etcd.iter().map(|host| cluster.start(Process::Etcd, host))).await?;
        let began = Instant::now();
        while etcd_leader(&TokioNet, &cluster.dcs(), Duration::from_secs(1)).await.is_none() {
            if began.elapsed() > ETCD_LIMIT {
                let said = cluster.last_words(Process::Etcd, &etcd[0]).await;
                return Err(format!(
                    "etcd has no leader after {} s; pgdrill must run on the machine of the Docker daemon, to reach \
                     {}\n{} said:\n{said}",
                    ETCD_LIMIT.as_secs(),
                    cluster.address(&etcd[0]),
                    etcd[0]
                ));
            }
            sleep(Duration::from_millis(100)).await;
        }
        (self.tell)("starting agents");
        for router in cluster.names(Kind::Haproxy) {
            cluster.start(Process::Haproxy, &router).await?;
        }
        let nodes = cluster.names(Kind::Node);
        let first = usize::try_from(draw(self.seed, 0) % nodes.len().max(1) as u64).unwrap_or(0);
        for n in 0..nodes.len() {
            cluster.start(Process::Agent, &nodes[(first + n) % nodes.len()]).await?;
            sleep(STAGGER).await;
        }
        Ok(())
    }
}

impl Cluster {
    /// What a host needs before anything is started on it: places for logs and data that belong to who runs there, its
    /// settings, and of a client its address.
    async fn prepare(&self, host: &Host) -> Result<(), String> {
        let owner = if host.kind == Kind::Node { "postgres" } else { "root" };
        let script = match host.kind {
            Kind::Client => format!("mkdir -p /run/pgdrill && ip address add {}/24 dev eth0", host.address),
            kind => {
                let data = kind.data().map(|d| format!(" && chown {owner}: {d} && chmod 700 {d}")).unwrap_or_default();
                let member = if host.etcd { " && chmod 700 /var/lib/etcd" } else { "" };
                format!(
                    "mkdir -p /var/log/pgdrill /etc/pgdrill && chown {owner}: /var/log/pgdrill /etc/pgdrill{data}{member}"
                )
            }
        };
        self.succeed(host, &Command::new(["sh", "-c", &script])).await?;
        if host.kind == Kind::Node && shim::is_wanted(&self.scenario) {
            steering::install(&host.machine(&self.docker)).await.map_err(|e| e.to_string())?;
            self.give_watchdog(host).await?;
        }
        match host.kind {
            Kind::Node => self.write(host, PATRONI_YML, owner, &self.settings.patroni_yml(&host.name)).await,
            Kind::Haproxy => self.write(host, HAPROXY_CFG, owner, &self.settings.haproxy_cfg()).await,
            Kind::Etcd | Kind::Client => Ok(()),
        }
    }

    /// The node's watchdog device, if the scenario says that it has one: off, as a machine's boot leaves it.
    pub(crate) async fn give_watchdog(&self, host: &Host) -> Result<(), String> {
        if host.kind != Kind::Node || !self.scenario.cluster.has_watchdog_device(&host.name) {
            return Ok(());
        }
        steering::install_watchdog(&host.machine(&self.docker), "postgres").await.map_err(|e| e.to_string())
    }

    /// Writes a file that only its owner may read.
    pub(crate) async fn write(&self, host: &Host, path: &str, owner: &str, text: &str) -> Result<(), String> {
        let script = r#"umask 077 && cat > "$1" && chown "$2:" "$1""#;
        self.succeed(host, &Command::new(["sh", "-c", script, "sh", path, owner]).input(text)).await
    }

    async fn succeed(&self, host: &Host, command: &Command) -> Result<(), String> {
        let done = self.run(&host.name, command).await?;
        if done.code == 0 {
            return Ok(());
        }
        Err(format!("{}: preparing it ended with {}: {}", host.name, done.code, done.stderr.trim()))
    }
}

/// Every host with its address: nodes from 11, etcd members from 121, clients from 131, the router 5. No container yet.
fn hosts(scenario: &Scenario, subnet: &Subnet) -> Vec<Host> {
    let cluster = &scenario.cluster;
    let router = (cluster.router == Router::Haproxy).then(|| HAPROXY.to_owned());
    let clients = (1..=scenario.workload.clients()).map(|n| format!("client{n}"));
    let members = cluster.etcd_hosts();
    let own = members.iter().filter(|host| !cluster.node_names().contains(host)).cloned().collect();
    let named: [(Kind, u8, Vec<String>); 4] = [
        (Kind::Node, 11, cluster.node_names()),
        (Kind::Etcd, 121, own),
        (Kind::Haproxy, 5, router.into_iter().collect()),
        (Kind::Client, 127, clients.collect()),
    ];
    let mut hosts = vec![];
    for (kind, first, names) in named {
        for (n, name) in (0..).zip(names) {
            let address = subnet.address(first + n);
            let etcd = kind == Kind::Node && members.contains(&name);
            hosts.push(Host { name, kind, address, container: String::new(), volume: None, etcd_volume: None, etcd });
        }
    }
    hosts
}

/// Addresses by name, for those who need no more of a host.
pub(crate) fn addresses(cluster: &Cluster, kind: Kind) -> BTreeMap<String, std::net::IpAddr> {
    cluster.hosts.values().filter(|h| h.kind == kind).map(|h| (h.name.clone(), h.address.into())).collect()
}
