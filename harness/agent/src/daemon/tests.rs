//! The loop on a node without PostgreSQL: what it does to the DCS and the data directory, second by second.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use pgdrill_net::TokioNet;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{AgentError, Parts, PortTypes, Request, Shutdown, run};
use crate::{
    AgentConfig,
    config::ReplicaMethod,
    fixtures::{FakeKv, FakePostgres, Heard, Lose, config, parts, parts_with_programs},
    ports::{
        AgentEvent, ClusterState, ConfigSource, ControlData, NoFence, NoWatchdog, Observer, Program, ProgramError,
        ProgramExit, Programs, Reread,
    },
};

/// Runs an agent for some simulated seconds, then ends it gracefully.
async fn run_for(seconds: u64, kv: &FakeKv, postgres: &FakePostgres, heard: &Heard) -> Result<(), AgentError> {
    let parts = parts(config(), kv.clone(), postgres.clone(), heard.clone());
    let shutdown = Shutdown::new();
    let request = shutdown.clone();
    let end = async {
        sleep(Duration::from_secs(seconds)).await;
        request.request();
    };
    let agent = timeout(Duration::from_secs(seconds + 60), run(Arc::clone(&parts), shutdown));
    let (ended, ()) = tokio::join!(agent, end);
    ended.expect("the agent ends when it is asked to")
}

fn control(system_identifier: u64) -> ControlData {
    ControlData {
        system_identifier,
        state: ClusterState::ShutDown,
        checkpoint_lsn: 0x300_0028,
        redo_lsn: 0x300_0028,
        timeline: 1,
        min_recovery_end_lsn: 0,
        min_recovery_end_timeline: 0,
        data_checksums: true,
        wal_log_hints: true,
        settings: Default::default(),
    }
}

fn member(kv: &FakeKv) -> Value {
    kv.get("/service/demo/members/pg1").map_or(Value::Null, |kv| serde_json::from_str(&kv.value).expect("JSON"))
}

#[tokio::test(start_paused = true)]
async fn a_node_without_data_waits_for_a_leader_and_says_so_in_its_member_key() {
    let (kv, postgres, heard) = (FakeKv::default(), FakePostgres::default(), Heard::default());
    kv.set("/service/demo/initialize", "7437112345678901234");
    run_for(25, &kv, &postgres, &heard).await.unwrap();
    let member = member(&kv);
    assert_eq!((&member["state"], &member["role"]), (&json!("stopped"), &json!("uninitialized")), "{member}");
    assert_eq!(member["api_url"], "http://127.0.0.1:8008/patroni");
    assert!(kv.get("/service/demo/leader").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_cycle_costs_one_read_and_one_keepalive() {
    let (kv, postgres, heard) = (FakeKv::default(), FakePostgres::default(), Heard::default());
    kv.set("/service/demo/initialize", "7437112345678901234");
    run_for(65, &kv, &postgres, &heard).await.unwrap();
    let requests = kv.requests();
    let count = |name| requests.iter().filter(|request| **request == name).count();
    assert!((6..=9).contains(&count("range")), "a cycle each 10 s: {requests:?}");
    assert!(count("lease_keepalive") <= count("range"), "{requests:?}");
    assert_eq!((count("lease_grant"), count("txn")), (1, 0), "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_without_data_copies_the_leader() {
    let (kv, postgres, heard) = (FakeKv::default(), FakePostgres::default(), Heard::default());
    kv.set("/service/demo/initialize", "7437112345678901234");
    kv.set("/service/demo/leader", "pg2");
    let leader = json!({"conn_url": "postgres://10.0.0.2:5433/postgres", "state": "running", "role": "primary"});
    kv.set("/service/demo/members/pg2", &leader.to_string());
    run_for(5, &kv, &postgres, &heard).await.unwrap();
    let calls = postgres.calls();
    let expected = ["remove_data_dir", "basebackup 10.0.0.2:5433", "remove_data_dir"];
    assert_eq!(calls[..3], expected, "what an interrupted copy left is removed: {calls:?}");
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_with_the_next_regular_cycle_and_not_at_once() {
    let control = control(7_437_112_345_678_901_234);
    let (kv, postgres, heard) = (FakeKv::default(), FakePostgres::with_data(control), Heard::default());
    kv.set("/service/demo/initialize", "7437112345678901234");
    run_for(35, &kv, &postgres, &heard).await.unwrap();
    let starts = postgres.calls().iter().filter(|call| *call == "start").count();
    assert!((2..=5).contains(&starts), "one a loop_wait: {:?}", postgres.calls());
}

/// Whatever it is that wakes it: a key that the loop itself writes, a process that ends at once.
#[tokio::test(start_paused = true)]
async fn a_loop_that_is_woken_without_end_slows_down_and_says_so() {
    let (kv, heard) = (FakeKv::default(), Heard::default());
    kv.set("/service/demo/initialize", "7437112345678901234");
    let parts = parts(config(), kv.clone(), FakePostgres::default(), heard.clone());
    let (shutdown, wake) = (Shutdown::new(), Arc::clone(&parts.wake));
    let circles = tokio::spawn(async move {
        loop {
            wake.notify_one();
            sleep(Duration::from_millis(10)).await;
        }
    });
    let end = async {
        sleep(Duration::from_secs(60)).await;
        shutdown.request();
    };
    let (ended, ()) = tokio::join!(timeout(Duration::from_secs(120), run(parts, shutdown.clone())), end);
    ended.expect("it ends in time").expect("it ends well");
    circles.abort();
    let reads = kv.requests().iter().filter(|request| **request == "range").count();
    assert!((90..130).contains(&reads), "50 in 5 s, then one a second: {reads}");
    let told = heard.all().iter().filter(|event| event.contains("goes round in circles")).count();
    assert_eq!(told, 1, "{:?}", heard.all());
}

/// Ends every program at once with exit code 1, and counts them.
#[derive(Clone, Default)]
struct Failing(Arc<std::sync::Mutex<Vec<String>>>);

impl Programs for Failing {
    fn run(&self, program: Program) -> BoxFuture<'_, Result<ProgramExit, ProgramError>> {
        self.0.lock().expect("nobody panics while holding it").push(program.argv.join(" "));
        Box::pin(std::future::ready(Ok(ProgramExit::Code(1))))
    }
}

/// A node whose method to make a replica fails, for 35 s: with a leader, or with none and a method that needs none. How often it was
/// called, and how often the data directory was removed.
async fn with_a_method_that_fails(leader: bool, keep_data: bool) -> (usize, usize) {
    let (kv, failing, mut config) = (FakeKv::default(), Failing::default(), config());
    let postgres = FakePostgres::default();
    kv.set("/service/demo/initialize", "7437112345678901234");
    if leader {
        kv.set("/service/demo/leader", "pg2");
        let leader = json!({"conn_url": "postgres://10.0.0.2:5433/postgres", "state": "running", "role": "primary"});
        kv.set("/service/demo/members/pg2", &leader.to_string());
    }
    config.postgresql.create_replica_methods = vec!["restore".into()];
    let method = ReplicaMethod { no_leader: true, keep_data, ..ReplicaMethod::default() };
    config.postgresql.replica_methods = [("restore".to_owned(), method)].into();
    let parts = parts_with_programs(config, kv, postgres.clone(), Heard::default(), failing.clone());
    let shutdown = Shutdown::new();
    let end = async {
        sleep(Duration::from_secs(35)).await;
        shutdown.request();
    };
    let (ended, ()) = tokio::join!(timeout(Duration::from_secs(95), run(parts, shutdown.clone())), end);
    ended.expect("it ends in time").expect("it ends well");
    let removed = postgres.calls().iter().filter(|call| *call == "remove_data_dir").count();
    let calls = failing.0.lock().expect("nobody panics while holding it").len();
    (calls, removed)
}

#[tokio::test(start_paused = true)]
async fn a_method_that_fails_is_tried_once_a_loop_wait_whether_there_is_a_leader_or_not() {
    for (leader, keep_data) in [(true, false), (false, false), (true, true), (false, true)] {
        let (tries, removed) = with_a_method_that_fails(leader, keep_data).await;
        assert!((3..=5).contains(&tries), "leader: {leader}, {tries} tries in 35 s");
        assert_eq!(removed, if keep_data { 0 } else { 2 * tries }, "before and after each, unless it wants it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_data_directory_that_cannot_be_looked_at_is_told_and_left_alone() {
    let (kv, postgres, heard) = (FakeKv::default(), FakePostgres::unreadable(), Heard::default());
    kv.set("/service/demo/initialize", "7437112345678901234");
    kv.set("/service/demo/leader", "pg2");
    let leader = json!({"conn_url": "postgres://10.0.0.2:5433/postgres", "state": "running", "role": "primary"});
    kv.set("/service/demo/members/pg2", &leader.to_string());
    run_for(25, &kv, &postgres, &heard).await.unwrap();
    let calls = postgres.calls();
    assert!(!calls.iter().any(|call| call.contains("data_dir") || call.contains("basebackup")), "{calls:?}");
    assert!(heard.all().iter().any(|event| event.contains("PG_VERSION: permission denied")), "{:?}", heard.all());
}

#[tokio::test(start_paused = true)]
async fn the_dynamic_configuration_outlives_the_agent_and_the_key() {
    let control = control(7_437_112_345_678_901_234);
    let (kv, postgres, heard) = (FakeKv::default(), FakePostgres::with_data(control.clone()), Heard::default());
    kv.set("/service/demo/initialize", "7437112345678901234");
    kv.set("/service/demo/config", r#"{"ttl":40,"pause":true}"#);
    run_for(15, &kv, &postgres, &heard).await.unwrap();
    assert_eq!(postgres.kept().as_deref(), Some(r#"{"ttl":40,"pause":true}"#));

    let (kv, postgres) = (FakeKv::default(), FakePostgres::with_data(control).keeping(r#"{"ttl":40,"pause":true}"#));
    kv.lose(Lose::Requests);
    run_for(35, &kv, &postgres, &Heard::default()).await.unwrap();
    assert!(!postgres.calls().contains(&"start".to_owned()), "it was paused: {:?}", postgres.calls());
}

#[tokio::test(start_paused = true)]
async fn a_failed_bootstrap_lets_others_try_and_ends_the_agent() {
    let (kv, postgres, heard) = (FakeKv::default(), FakePostgres::default(), Heard::default());
    let ended = run_for(30, &kv, &postgres, &heard).await;
    assert!(matches!(ended, Err(AgentError::MustExit(_))), "{ended:?} {:?}", heard.all());
    assert!(postgres.calls().contains(&"initdb".to_owned()));
    assert!(kv.get("/service/demo/initialize").is_none(), "the claim is given back");
}

#[tokio::test(start_paused = true)]
async fn a_new_standby_cluster_is_copied_from_the_remote_primary_and_not_made() {
    let (kv, postgres, heard) = (FakeKv::default(), FakePostgres::default(), Heard::default());
    let mut config = config();
    let dcs = json!({"standby_cluster": {"host": "10.1.0.1", "port": "5433", "primary_slot_name": "dc2"}});
    config.bootstrap.as_mut().expect("it has one").dcs = dcs;
    let parts = parts(config, kv.clone(), postgres.clone(), heard.clone());
    let ended = timeout(Duration::from_secs(60), run(parts, Shutdown::new())).await.expect("it ends");
    assert!(matches!(ended, Err(AgentError::MustExit(_))), "there is nothing to copy here: {ended:?}");
    let calls = postgres.calls();
    assert!(
        calls.contains(&"basebackup 10.1.0.1:5433".to_owned()) && !calls.contains(&"initdb".to_owned()),
        "{calls:?}"
    );
    assert!(kv.get("/service/demo/initialize").is_none(), "the claim is given back");
}

/// A stopped replica's directory under a scope that has no keys yet: the first step already knows what `/config` is going to say.
#[tokio::test(start_paused = true)]
async fn what_bootstrap_dcs_says_counts_before_config_is_written() {
    let (kv, heard) = (FakeKv::default(), Heard::default());
    let control = ControlData { state: ClusterState::ShutDownInRecovery, ..control(7_437_112_345_678_901_234) };
    let postgres = FakePostgres::with_data(control);
    let mut config = config();
    let dcs = json!({"ttl": 21, "loop_wait": 1, "retry_timeout": 10,
        "standby_cluster": {"host": "10.1.0.1", "port": 5433, "primary_slot_name": "dc2"}});
    config.bootstrap.as_mut().expect("it has one").dcs = dcs;
    let parts = parts(config, kv.clone(), postgres.clone(), heard.clone());
    let shutdown = Shutdown::new();
    let end = async {
        sleep(Duration::from_secs(5)).await;
        shutdown.request();
    };
    let agent = timeout(Duration::from_secs(60), run(Arc::clone(&parts), shutdown.clone()));
    let (ended, ()) = tokio::join!(agent, end);
    ended.expect("it ends in time").expect("it ends well");
    assert_eq!(postgres.recoveries(), ["10.1.0.1:5433 dc2"], "whenever it was started: {:?}", postgres.calls());
    assert_eq!(kv.granted_ttl(), Some(Duration::from_secs(21)), "the first lease is of the ttl that will count");
    assert_eq!(postgres.kept(), None, "no cluster has this configuration yet");
    assert!(!postgres.calls().contains(&"promote".to_owned()));
}

/// Nothing was decided yet, and the cluster may be paused.
#[tokio::test(start_paused = true)]
async fn an_agent_that_never_read_the_dcs_ends_without_touching_the_server() {
    let (kv, heard) = (FakeKv::default(), Heard::default());
    kv.lose(Lose::Requests);
    let postgres = FakePostgres::with_data(control(7_437_112_345_678_901_234)).running(Duration::from_secs(1));
    run_for(15, &kv, &postgres, &heard).await.unwrap();
    assert!(!postgres.calls().iter().any(|call| call.starts_with("stop")), "{:?}", postgres.calls());
    assert!(heard.all().iter().any(|event| event.contains("PostgreSQL is left as it is")), "{:?}", heard.all());
}

#[tokio::test(start_paused = true)]
async fn a_reinitialization_from_the_leader_uses_none_of_the_own_methods() {
    let (kv, heard) = (FakeKv::default(), Heard::default());
    kv.set("/service/demo/initialize", "7437112345678901234");
    kv.set("/service/demo/leader", "pg2");
    let leader = json!({"conn_url": "postgres://10.0.0.2:5433/postgres", "state": "running", "role": "primary"});
    kv.set("/service/demo/members/pg2", &leader.to_string());
    for (from_leader, copies) in [(true, true), (false, false)] {
        let postgres = FakePostgres::with_data(control(7_437_112_345_678_901_234));
        let mut config = config();
        config.postgresql.create_replica_methods = vec!["mine".into()];
        let parts = parts(config, kv.clone(), postgres.clone(), heard.clone());
        let shutdown = Shutdown::new();
        let end = async {
            sleep(Duration::from_secs(2)).await;
            let (reply, answer) = tokio::sync::oneshot::channel();
            parts.shared.ask(Request::Reinitialize { force: true, from_leader, reply });
            parts.wake.notify_one();
            answer.await.expect("it answers").expect("it begins");
            sleep(Duration::from_secs(1)).await;
            shutdown.request();
        };
        let agent = timeout(Duration::from_secs(60), run(Arc::clone(&parts), shutdown.clone()));
        let (ended, ()) = tokio::join!(agent, end);
        ended.expect("it ends in time").expect("it ends well");
        let calls = postgres.calls();
        assert_eq!(calls.iter().any(|call| call.starts_with("basebackup")), copies, "{from_leader}: {calls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_dcs_is_survived_and_nothing_is_written_blindly() {
    let (kv, postgres, heard) = (FakeKv::default(), FakePostgres::default(), Heard::default());
    kv.lose(Lose::Requests);
    let ended = run_for(35, &kv, &postgres, &heard).await;
    assert!(ended.is_ok(), "{ended:?}");
    assert!(heard.all().iter().any(|event| event.starts_with("dcs: ")), "{:?}", heard.all());
    let requests = kv.requests();
    // The last record of the graceful end is tried in any case.
    let before_the_end = requests.iter().take_while(|request| **request == "range").count();
    assert!(before_the_end >= 3 && !postgres.calls().contains(&"initdb".to_owned()), "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_on_another_clusters_data_directory_ends() {
    let control = control(7_000_000_000_000_000_001);
    let (kv, postgres, heard) = (FakeKv::default(), FakePostgres::with_data(control), Heard::default());
    kv.set("/service/demo/initialize", "7437112345678901234");
    let ended = run_for(30, &kv, &postgres, &heard).await;
    assert!(matches!(ended, Err(AgentError::MustExit(_))), "{ended:?} {:?}", heard.all());
    assert!(kv.get("/service/demo/leader").is_none() && !postgres.calls().contains(&"start".to_owned()));
}

/// A configuration file that says what the test says.
struct Told(Result<Reread, Vec<String>>);

impl ConfigSource for Told {
    fn reread(&self, _running: Arc<AgentConfig>) -> BoxFuture<'_, Result<Option<Reread>, Vec<String>>> {
        Box::pin(std::future::ready(self.0.clone().map(Some)))
    }
}

/// Runs an agent, asks it for a reload after two seconds, and tells what it answers to `GET /patroni` afterwards.
async fn reloaded(told: Result<Reread, Vec<String>>, heard: &Heard) -> (Arc<AgentConfig>, Value) {
    let kv = FakeKv::default();
    kv.set("/service/demo/initialize", "7437112345678901234");
    let source = Arc::new(Told(told));
    let parts = Arc::new(
        crate::fixtures::bare_parts(config(), kv.clone(), FakePostgres::default(), heard.clone()).with_source(source),
    );
    let shutdown = Shutdown::new();
    let end = async {
        sleep(Duration::from_secs(2)).await;
        parts.shared.ask(Request::Reload);
        parts.wake.notify_one();
        sleep(Duration::from_secs(2)).await;
        let told = (parts.config(), member(&kv));
        shutdown.request();
        told
    };
    let agent = timeout(Duration::from_secs(60), run(Arc::clone(&parts), shutdown.clone()));
    let (ended, told) = tokio::join!(agent, end);
    ended.expect("the agent ends when it is asked to").expect("it ends well");
    told
}

#[tokio::test(start_paused = true)]
async fn a_reload_applies_what_the_configuration_says_now_and_names_what_needs_a_restart() {
    let mut changed = config();
    changed.tags = json!({"nofailover": true}).as_object().expect("an object").clone();
    let told = Reread { config: changed.clone(), applied: vec!["tags"], needs_restart: vec!["etcd3"] };
    let heard = Heard::default();
    let (runs_with, member) = reloaded(Ok(told), &heard).await;
    assert_eq!(*runs_with, changed);
    assert_eq!(member["tags"], json!({"nofailover": true}), "the next cycle tells the others");
    let said = "the configuration was read again: tags applied; etcd3 changes only when the agent is restarted";
    assert!(heard.all().iter().any(|event| event == said), "{:?}", heard.all());
}

#[tokio::test(start_paused = true)]
async fn a_broken_configuration_is_told_and_changes_nothing() {
    let heard = Heard::default();
    let broken = "patroni.yml:3:1: postgresql.datadir: found a field".to_owned();
    let (runs_with, _) = reloaded(Err(vec![broken.clone()]), &heard).await;
    assert_eq!(*runs_with, config());
    for said in [&broken, "what the agent runs with stays"] {
        assert!(heard.all().iter().any(|event| event.starts_with("config: ") && event.contains(said)), "{said}");
    }
}

/// Calls the agent's own REST API while the agent says that it has stopped: is anybody there?
#[derive(Clone)]
struct Caller {
    address: std::net::SocketAddr,
    answered: Arc<std::sync::Mutex<Option<bool>>>,
}

impl Observer for Caller {
    fn event(&self, event: AgentEvent) {
        if matches!(event, AgentEvent::Stopped { .. }) {
            let connected = std::net::TcpStream::connect(self.address).is_ok();
            *self.answered.lock().expect("nobody panics while holding it") = Some(connected);
        }
    }
}

/// Patroni's `Patroni._shutdown`. An agent that still answered as the primary when its lock was gone kept the others from
/// taking it until their next loop: ten seconds of an outage of fifteen, seen on real nodes.
#[tokio::test]
async fn an_agent_that_ends_answers_nobody_any_more() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound");
    let mut config = config();
    config.restapi.listen.port = free.port();
    let caller = Caller { address: free, answered: Arc::default() };
    let kv = FakeKv::default();
    kv.set("/service/demo/initialize", "7437112345678901234");
    let parts = Parts::<PortTypes<FakeKv, TokioNet, FakePostgres, NoWatchdog, Caller>>::new(
        config,
        kv,
        TokioNet,
        FakePostgres::default(),
        NoWatchdog,
        NoFence,
        caller.clone(),
    );
    let shutdown = Shutdown::new();
    let end = async {
        sleep(Duration::from_secs(1)).await;
        assert!(std::net::TcpStream::connect(free).is_ok(), "it answers while it runs");
        shutdown.request();
    };
    let (ended, ()) = tokio::join!(timeout(Duration::from_secs(60), run(Arc::new(parts), shutdown.clone())), end);
    ended.expect("it ends in time").expect("it ends well");
    assert_eq!(*caller.answered.lock().expect("nobody panics while holding it"), Some(false));
}
