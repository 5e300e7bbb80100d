//! A graceful end that takes longer than a lease.

use pgdrill_ha::records::StatusRecord;
use pgdrill_net::TokioNet;
use tokio::time::Instant;

use super::*;
use crate::{
    daemon::{Parts, PortTypes},
    fixtures::{FakeFence, FakeKv, FakePostgres, Heard, config},
    ports::NoWatchdog,
};

type Fenced = PortTypes<FakeKv, TokioNet, FakePostgres, NoWatchdog, Heard, FakeFence>;

/// A leader with an armed dead-man process, whose server needs so long to stop.
async fn leading(stops_within: Duration) -> (HaLoop<Fenced>, FakeFence, FakePostgres) {
    let (fence, postgres) = (FakeFence::default(), FakePostgres::default().running(stops_within));
    let (kv, heard) = (FakeKv::default(), Heard::default());
    let parts = Parts::<Fenced>::new(config(), kv, TokioNet, postgres.clone(), NoWatchdog, fence.clone(), heard);
    let mut agent = HaLoop::new(Arc::new(parts));
    agent.dynamic_known = true;
    let parts = Arc::clone(&agent.parts);
    parts.fencing.start().await.expect("it starts");
    let held = parts.dcs.acquire_lock(agent.config.ttl, &StatusRecord::default()).await;
    let LockOutcome::Held { requested_at, ttl, .. } = held else { panic!("{held:?}") };
    let until = requested_at + ttl;
    agent.memory.lock_deadline = Some(until);
    parts.shared.published().leadership_deadline = Some(until);
    parts.fencing.arm(parts.clock.instant(until)).await.expect("it is armed");
    (agent, fence, postgres)
}

/// A `before_stop` or a shutdown checkpoint that takes longer than ttl: as long as the lock is renewed, nobody shoots.
#[tokio::test(start_paused = true)]
async fn a_stop_longer_than_the_lease_is_not_cut_short_by_the_dead_man() {
    let (mut agent, fence, postgres) = leading(Duration::from_secs(100)).await;
    let watched = async {
        for second in 0..100 {
            sleep(Duration::from_secs(1)).await;
            let held = fence.seen().held;
            assert!(held.is_none_or(|until| until > Instant::now()), "PostgreSQL is shot after {second} s");
        }
    };
    tokio::join!(agent.shut_down(), watched);
    assert_eq!(postgres.calls(), ["stop Fast"]);
    assert_eq!(fence.seen().held, None, "there is nothing to shoot any more");
}
