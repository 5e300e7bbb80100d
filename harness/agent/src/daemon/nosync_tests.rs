//! Second by second: what a synchronous standby tells before it goes.

use std::time::Duration;

use pgdrill_ha::config::SynchronousMode;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    daemon::cycle::HaLoop,
    fixtures::{FakeKv, FakePostgres, Heard, Lose, TestPorts, config, parts},
};

const SYNC: &str = "/service/demo/sync";
const MEMBER: &str = "/service/demo/members/pg1";

/// A cluster led by `pg2`, with this node as its synchronous standby.
fn cluster() -> (FakeKv, FakePostgres) {
    let kv = FakeKv::default();
    kv.set("/service/demo/initialize", "7437112345678901234");
    kv.set("/service/demo/config", r#"{"synchronous_mode":true}"#);
    kv.set("/service/demo/leader", "pg2");
    let leader = json!({"conn_url": "postgres://10.0.0.2:5433/postgres", "state": "running", "role": "primary"});
    kv.set("/service/demo/members/pg2", &leader.to_string());
    kv.set(SYNC, r#"{"leader":"pg2","quorum":0,"sync_standby":"pg1"}"#);
    (kv, FakePostgres::default().running(Duration::from_secs(1)))
}

fn tags(kv: &FakeKv) -> Value {
    let record = kv.get(MEMBER).map(|kv| serde_json::from_str::<Value>(&kv.value).expect("JSON"));
    record.unwrap_or_default()["tags"].clone()
}

/// A primary that drops us from `/sync` some seconds after we say `nosync`. Until then nothing may be stopped.
async fn primary(kv: &FakeKv, postgres: &FakePostgres) {
    while tags(kv)["nosync"] != true {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(tags(kv)["sync_priority"], 0);
    sleep(Duration::from_secs(5)).await;
    assert!(!postgres.calls().iter().any(|call| call.starts_with("stop")), "{:?}", postgres.calls());
    kv.set(SYNC, r#"{"leader":"pg2","quorum":0,"sync_standby":"pg3"}"#);
}

/// An agent in this cluster that is about to end.
fn ending(kv: &FakeKv, postgres: &FakePostgres) -> HaLoop<TestPorts> {
    let mut agent = HaLoop::new(parts(config(), kv.clone(), postgres.clone(), Heard::default()));
    agent.config.synchronous_mode = SynchronousMode::On;
    agent.parts.shared.published().config = agent.config.clone();
    agent.dynamic_known = true;
    agent
}

async fn seconds_to_end(mut agent: HaLoop<TestPorts>) -> u64 {
    let began = Instant::now();
    agent.shut_down().await;
    began.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_synchronous_standby_that_ends_is_replaced_before_it_stops() {
    let (kv, postgres) = cluster();
    let agent = ending(&kv, &postgres);
    let (took, ()) = tokio::join!(seconds_to_end(agent), primary(&kv, &postgres));
    assert!((6..10).contains(&took), "5 s until it is released, at most 2 s until it sees that: {took}");
    assert_eq!(postgres.calls(), ["stop Fast"]);
    assert_eq!(tags(&kv), Value::Null, "its last record has the tags that it will come back with");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_waited_for_when_nothing_is_lost_by_going_at_once() {
    let (kv, postgres) = cluster();
    let mut tagged = ending(&kv, &postgres);
    tagged.config.tags.0 = json!({"nosync": true}).as_object().expect("an object").clone();
    tagged.parts.shared.published().config = tagged.config.clone();
    assert!(seconds_to_end(tagged).await < 3);

    let (kv, postgres) = cluster();
    let mut asynchronous = ending(&kv, &postgres);
    asynchronous.config.synchronous_mode = SynchronousMode::Off;
    asynchronous.parts.shared.published().config = asynchronous.config.clone();
    assert!(seconds_to_end(asynchronous).await < 3);

    let (kv, postgres) = cluster();
    kv.set(SYNC, r#"{"leader":"pg2","quorum":0,"sync_standby":"pg3"}"#);
    assert!(seconds_to_end(ending(&kv, &postgres)).await < 3, "another one is synchronous");
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_does_not_react_and_a_dcs_that_is_gone_hold_nobody_up() {
    let (kv, postgres) = cluster();
    let took = seconds_to_end(ending(&kv, &postgres)).await;
    assert!((20..24).contains(&took), "twice loop_wait: {took}");
    assert_eq!(postgres.calls(), ["stop Fast"]);

    let (kv, postgres) = cluster();
    let agent = ending(&kv, &postgres);
    kv.lose(Lose::Requests);
    assert!(seconds_to_end(agent).await < 3);
    assert_eq!(postgres.calls(), ["stop Fast"]);
}

/// Strict, and nobody is there to take its place: commits wait for it by name, and to be waited for would help nobody.
#[tokio::test(start_paused = true)]
async fn strict_the_last_synchronous_standby_goes_at_once() {
    let strict = |kv: &FakeKv, postgres: &FakePostgres| {
        let mut agent = ending(kv, postgres);
        agent.config.synchronous_mode_strict = true;
        agent.parts.shared.published().config = agent.config.clone();
        agent
    };
    let (kv, postgres) = cluster();
    assert!(seconds_to_end(strict(&kv, &postgres)).await < 3);
    let (kv, postgres) = cluster();
    kv.set("/service/demo/members/pg3", &json!({"state": "running", "role": "replica"}).to_string());
    assert!(seconds_to_end(strict(&kv, &postgres)).await >= 20, "pg3 could take its place");
}
