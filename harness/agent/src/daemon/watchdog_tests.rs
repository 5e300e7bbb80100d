//! Which time-out the watchdog gets, and when it gets another one.

use std::sync::Mutex;

use pgdrill_net::TokioNet;

use super::*;
use crate::{
    daemon::PortTypes,
    fixtures::{FakeKv, FakePostgres, Heard, config},
    ports::{NoFence, WatchdogError},
};

/// A device that does at most so long a time-out.
#[derive(Clone, Default)]
struct FakeWatchdog {
    active: Arc<Mutex<Option<Duration>>>,
    longest: Option<Duration>,
    /// How long it was last kept alive for at most.
    kept: Arc<Mutex<Option<Duration>>>,
}

impl Watchdog for FakeWatchdog {
    fn activate(&self, timeout: Duration) -> Result<(), WatchdogError> {
        let timeout = self.longest.map_or(timeout, |longest| longest.min(timeout));
        *self.active.lock().expect("nobody panics while holding it") = Some(timeout);
        Ok(())
    }

    fn keepalive(&self, at_most: Duration) -> Result<(), WatchdogError> {
        *self.kept.lock().expect("nobody panics while holding it") = Some(at_most);
        Ok(())
    }

    fn disable(&self) -> Result<(), WatchdogError> {
        *self.active.lock().expect("nobody panics while holding it") = None;
        Ok(())
    }

    fn state(&self) -> WatchdogState {
        let active = *self.active.lock().expect("nobody panics while holding it");
        active.map_or(WatchdogState::Inactive, |timeout| WatchdogState::Active { timeout })
    }
}

type Watched = PortTypes<FakeKv, TokioNet, FakePostgres, FakeWatchdog, Heard>;

struct Node {
    agent: HaLoop<Watched>,
    heard: Heard,
}

impl Node {
    /// With the default timings (30, 10, 10) and safety_margin (5).
    fn with(watchdog: FakeWatchdog) -> Self {
        let heard = Heard::default();
        let (kv, postgres) = (FakeKv::default(), FakePostgres::default());
        let parts = Parts::new(config(), kv, TokioNet, postgres, watchdog, NoFence, heard.clone());
        Self { agent: HaLoop::new(Arc::new(parts)), heard }
    }

    fn set(&mut self, ttl_s: u64, loop_wait_s: u64) {
        self.agent.config.ttl = Duration::from_secs(ttl_s);
        self.agent.config.loop_wait = Duration::from_secs(loop_wait_s);
    }

    async fn activate(&mut self) -> (Option<bool>, WatchdogState) {
        self.agent.parts.shared.published().config = self.agent.config.clone();
        let mut round = Round::default();
        self.agent.act(vec![Action::WatchdogActivate { until: None }], &mut round).await;
        (round.watchdog, self.agent.parts.watchdog.state())
    }

    fn view(&self) -> WatchdogView {
        self.agent.local_view(PostgresView::default(), Round::default()).watchdog
    }
}

fn active(seconds: u64) -> WatchdogState {
    WatchdogState::Active { timeout: Duration::from_secs(seconds) }
}

#[tokio::test]
async fn another_ttl_makes_its_time_out_an_outdated_one_until_it_is_armed_anew() {
    let mut node = Node::with(FakeWatchdog::default());
    assert_eq!(node.activate().await, (Some(true), active(25)));
    assert!(node.view().is_active && !node.view().is_outdated);
    node.set(20, 10);
    assert!(node.view().is_outdated, "25 s are longer than the lease");
    assert_eq!(node.activate().await, (Some(true), active(15)));
    assert!(!node.view().is_outdated);
}

#[tokio::test]
async fn one_that_rounds_its_time_out_is_not_armed_again_and_again() {
    let mut node = Node::with(FakeWatchdog { longest: Some(Duration::from_secs(24)), ..FakeWatchdog::default() });
    assert_eq!(node.activate().await, (Some(true), active(24)));
    assert!(!node.view().is_outdated);
}

#[tokio::test]
async fn a_time_out_shorter_than_loop_wait_is_none() {
    let mut asked = Node::with(FakeWatchdog::default());
    asked.activate().await;
    asked.set(20, 16);
    assert_eq!(asked.activate().await, (Some(false), WatchdogState::Inactive));
    let mut done = Node::with(FakeWatchdog { longest: Some(Duration::from_secs(9)), ..FakeWatchdog::default() });
    assert_eq!(done.activate().await, (Some(false), WatchdogState::Inactive));
    for (node, why) in [(&asked, "its time-out, 15s of a ttl of 20s, must not be"), (&done, "the device does 9s")] {
        assert!(node.heard.all().iter().any(|event| event.contains(why)), "{:?}", node.heard.all());
    }
}

#[tokio::test]
async fn a_node_that_requires_one_and_cannot_have_it_keeps_out_of_the_race() {
    let mut node = Node::with(FakeWatchdog::default());
    node.agent.config.watchdog = ha_config::WatchdogMode::Required;
    assert!(node.view().is_usable);
    node.set(20, 16);
    assert!(!node.view().is_usable);
}

/// The lock was renewed 12 s ago, and the answer has come only now: it lasts 18 s more, and the full time-out is 25 s.
#[tokio::test(start_paused = true)]
async fn what_is_kept_alive_late_fires_no_later_than_the_lock_ends() {
    let watchdog = FakeWatchdog::default();
    let mut node = Node::with(watchdog.clone());
    let requested_at = node.agent.parts.clock.now();
    tokio::time::advance(Duration::from_secs(12)).await;
    let kept = || watchdog.kept.lock().expect("nobody panics while holding it").take();
    let held = LockOutcome::Held { requested_at, ttl: Duration::from_secs(30), status_revision: None };
    let mut round = Round { lock: Some(held), ..Round::default() };
    node.agent.act(vec![Action::WatchdogKeepalive { until: None }], &mut round).await;
    assert_eq!(kept(), Some(Duration::from_secs(18)));
    let until = Some(requested_at + Duration::from_secs(20));
    node.agent.act(vec![Action::WatchdogActivate { until }], &mut round).await;
    assert_eq!((round.watchdog, kept()), (Some(true), Some(Duration::from_secs(8))));
    let mut unrenewed = Round::default();
    node.agent.act(vec![Action::WatchdogKeepalive { until: None }], &mut unrenewed).await;
    assert_eq!((unrenewed.failed, kept()), (None, None), "nobody has said that we lead");
}
