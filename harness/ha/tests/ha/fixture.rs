//! A three-node cluster to start each test from, told by its differences.

use std::collections::BTreeMap;
use std::time::Duration;

use pgdrill_ha::decision::{Action, Decision};
use pgdrill_ha::records::{Initialize, MemberRecord, MemberRole, MemberState, StatusRecord, SyncRecord};
use pgdrill_ha::view::{
    Cluster, ClusterView, ControlData, DataDir, DbState, FenceView, Follows, Leader, LocalView, LockOutcome,
    PeerAnswer, PeerStatus, PostgresRole, PostgresView, Process, Round, StandbyView, Versioned, WatchdogView,
};
use pgdrill_ha::{Config, Lsn, Memory, Monotonic, decide};

pub const SYSTEM_ID: u64 = 7_437_112_345_678_901_234;
/// Where everybody's WAL ends unless a test says otherwise.
pub const END: Lsn = Lsn(0x5000_0000);
/// When each test begins.
pub const NOW: Monotonic = Monotonic::from_secs(1000);

/// Everything `decide` takes.
#[derive(Debug, Clone)]
pub struct Scene {
    pub cluster: Cluster,
    pub local: LocalView,
    pub config: Config,
    pub memory: Memory,
    pub now: Monotonic,
}

fn member(number: u8) -> MemberRecord {
    MemberRecord {
        conn_url: Some(format!("postgres://10.0.0.{number}:5432/postgres")),
        api_url: Some(format!("http://10.0.0.{number}:8008/patroni")),
        state: Some(MemberState::Running),
        role: Some(if number == 1 { MemberRole::Primary } else { MemberRole::Replica }),
        timeline: Some(2),
        xlog_location: Some(END),
        ..MemberRecord::default()
    }
}

/// pg1 leads; this node is `name`, a healthy member in its place.
pub fn scene(name: &str) -> Scene {
    let members = (1..=3).map(|n| (format!("pg{n}"), member(n))).collect();
    let cluster = Cluster {
        revision: 100,
        raft_term: 2,
        leader: Some(Leader { name: "pg1".into(), mod_revision: 50, lease_id: 7 }),
        members,
        initialize: Some(Initialize::SystemIdentifier(SYSTEM_ID)),
        config: Some(Versioned::new(serde_json::json!({}), 3)),
        status: Versioned::new(StatusRecord { optime: Some(END), ..StatusRecord::default() }, 90),
        history: Some(pgdrill_ha::records::HistoryRecord::parse(r#"[[1,100,"r","2026-01-01T00:00:00+00:00","pg1"]]"#)),
        ..Cluster::default()
    };
    let mut scene = Scene {
        cluster,
        local: LocalView {
            name: name.into(),
            api_url: None,
            wall: "2026-03-01T10:00:00Z".parse().unwrap(),
            postgres: if name == "pg1" { primary() } else { replica() },
            task: None,
            watchdog: WatchdogView { is_active: false, is_outdated: false, is_usable: true },
            fence: FenceView { is_armed: false, is_usable: true },
            failsafe_ping: None,
            round: Round::default(),
        },
        config: Config {
            use_slots: false,
            watchdog: pgdrill_ha::config::WatchdogMode::Off,
            fencing: pgdrill_ha::config::FencingMode::Off,
            ..Config::default()
        },
        memory: Memory::default(),
        now: NOW,
    };
    scene.local.api_url = scene.cluster.members.get(name).and_then(|member| member.api_url.clone());
    scene
}

pub fn primary() -> PostgresView {
    PostgresView { role: PostgresRole::Primary, current_lsn: Some(END), ..server() }
}

pub fn replica() -> PostgresView {
    PostgresView {
        role: PostgresRole::Replica,
        received_lsn: Some(END),
        replayed_lsn: Some(END),
        is_streaming: true,
        has_standby_signal: true,
        follows: Some(Follows { host: "10.0.0.1".into(), port: 5432, slot: None }),
        ..server()
    }
}

fn server() -> PostgresView {
    PostgresView {
        data_dir: DataDir::Present,
        process: Process::Running,
        control: Some(control(DbState::InProduction)),
        system_identifier: Some(SYSTEM_ID),
        server_version: 160_000,
        timeline: Some(2),
        ..PostgresView::default()
    }
}

pub fn control(state: DbState) -> ControlData {
    ControlData {
        state,
        timeline: 2,
        checkpoint: END,
        checkpoint_end: Some(END),
        min_recovery_end: None,
        data_checksums: true,
        wal_log_hints: false,
    }
}

pub fn standby(name: &str, flush_lsn: Lsn) -> StandbyView {
    StandbyView { application_name: name.into(), streaming: true, flush_lsn, ..StandbyView::default() }
}

/// A replica's answer to `GET /patroni`.
pub fn answer(position: Lsn) -> PeerAnswer {
    PeerAnswer { in_recovery: true, timeline: Some(2), position, failover_priority: 1, ..PeerAnswer::default() }
}

impl Scene {
    /// The lock has expired and with it its holder's member key.
    pub fn without_leader(mut self) -> Self {
        let old = self.cluster.clone();
        self.memory.last_led = Some(pgdrill_ha::LedCluster {
            leader: "pg1".into(),
            members: old.members.clone(),
            status: old.status.value.clone(),
        });
        self.cluster.leader = None;
        if self.local.name != "pg1" {
            self.cluster.members.remove("pg1");
        }
        self
    }

    /// This node holds the lock, and has renewed it in this round.
    pub fn holding(mut self) -> Self {
        self.cluster.leader = Some(Leader { name: self.local.name.clone(), mod_revision: 95, lease_id: 9 });
        self.local.round.lock = Some(self.held());
        self
    }

    pub fn held(&self) -> LockOutcome {
        LockOutcome::Held { requested_at: self.now, ttl: self.config.ttl, status_revision: None }
    }

    /// What peers answered: position, or nothing.
    pub fn peers(mut self, answers: &[(&str, Option<PeerAnswer>)]) -> Self {
        let status = |answer: &Option<PeerAnswer>| match answer {
            Some(answer) => PeerStatus::Answered(answer.clone()),
            None => PeerStatus::Unreachable { reason: "timed out".into() },
        };
        let answers: BTreeMap<_, _> = answers.iter().map(|(name, a)| ((*name).to_owned(), status(a))).collect();
        self.local.round.peers = Some(answers);
        self
    }

    pub fn sync(mut self, leader: &str, standbys: &[&str], quorum: u32) -> Self {
        let standbys = standbys.iter().map(|name| (*name).to_owned()).collect();
        self.cluster.sync = Versioned::new(SyncRecord { leader: Some(leader.into()), standbys, quorum }, 80);
        self.memory.sync.written = Some(80);
        self
    }

    pub fn tag(mut self, name: &str, value: serde_json::Value) -> Self {
        self.config.tags.0.insert(name.into(), value);
        self
    }

    pub fn decide(&mut self) -> Decision {
        decide(&ClusterView::Known(self.cluster.clone()), &self.local, &self.config, &mut self.memory, self.now)
    }

    pub fn decide_without_dcs(&mut self) -> Decision {
        let view = ClusterView::Unreachable { reason: "etcd: timed out".into() };
        decide(&view, &self.local, &self.config, &mut self.memory, self.now)
    }

    /// A new cycle, `seconds` later.
    pub fn next_cycle(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.local.round = Round::default();
        self.cluster.revision += 1;
    }
}

/// The names of a decision's actions.
pub fn actions(decision: &Decision) -> Vec<&'static str> {
    decision.actions.iter().map(Action::name).collect()
}
