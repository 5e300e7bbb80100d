//! Long random walks.

use pgdrill_ha::config::SynchronousMode;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngAlgorithm, TestRng, TestRunner};

use super::Guard;
use super::event::Event;
use super::judge::Violation;
use super::link::Link;
use super::node::Still;
use super::world::{Settings, World};

fn link() -> impl Strategy<Value = Link> {
    prop_oneof![4 => Just(Link::Open), 2 => Just(Link::Cut), 2 => Just(Link::Held), 1 => Just(Link::Mute)]
}

fn event() -> impl Strategy<Value = Event> {
    let node = 0..3usize;
    let still = prop_oneof![Just(Still::Frozen), Just(Still::Stalled)];
    prop_oneof![
        8 => (1u64..12).prop_map(Event::Pass),
        3 => (15u64..40).prop_map(Event::Pass),
        6 => (node.clone(), link()).prop_map(|(n, link)| Event::Link(n, link)),
        2 => link().prop_map(Event::Etcd),
        3 => node.clone().prop_map(Event::Deliver),
        4 => (node.clone(), node.clone(), link()).prop_map(|(from, to, link)| Event::Rest(from, to, link)),
        2 => (node.clone(), any::<bool>()).prop_map(|(n, cut)| Event::CutOff(n, cut)),
        4 => (node.clone(), still, 0u32..14).prop_map(|(n, still, after)| Event::Still(n, still, after)),
        4 => node.clone().prop_map(Event::GoOn),
        1 => node.clone().prop_map(Event::Crash),
        1 => (node.clone(), any::<bool>()).prop_map(|(n, slow)| Event::Slow(n, slow)),
        1 => any::<bool>().prop_map(Event::Lazy),
        1 => node.clone().prop_map(Event::Switchover),
        1 => node.prop_map(Event::Failover),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let mode = prop_oneof![
        2 => Just(SynchronousMode::Off),
        1 => Just(SynchronousMode::On),
        1 => Just(SynchronousMode::Quorum)
    ];
    let guard = prop_oneof![3 => Just(Guard::Fence), 1 => Just(Guard::Watchdog), 1 => Just(Guard::Nothing)];
    let drift = prop_oneof![2 => Just(0i64), 1 => -1000i64..1000];
    (any::<bool>(), mode, any::<bool>(), guard, drift).prop_map(|(failsafe, mode, strict, guard, drift)| Settings {
        nodes: 3,
        failsafe,
        mode,
        strict,
        guard,
        drift,
    })
}

/// Walks; what was violated.
pub fn walk(settings: Settings, events: &[Event]) -> Option<Violation> {
    let mut world = World::new(settings);
    for event in events {
        world.play(event);
        if world.judge.violation.is_some() {
            break;
        }
    }
    world.judge.violation
}

/// The same, told for people.
pub fn told(settings: Settings, events: &[Event]) -> String {
    let mut world = World::new(settings);
    world.log = Some(vec![format!("{settings:?}")]);
    for event in events {
        world.play(event);
    }
    world.log.unwrap_or_default().join("\n")
}

#[test]
fn whatever_happens_nobody_sees_what_must_never_be() {
    let cases = std::env::var("WALK_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3000);
    let seed = std::env::var("WALK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0u8);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let config = Cases { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Cases::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let walks = (settings(), prop::collection::vec(event(), 1..80));
    let outcome = runner.run(&walks, |(settings, events)| match walk(settings, &events) {
        Some(violation) => Err(TestCaseError::fail(format!("{violation:?}"))),
        None => Ok(()),
    });
    if let Err(proptest::test_runner::TestError::Fail(why, (settings, events))) = outcome {
        panic!("{why}\n{}", told(settings, &events));
    }
}
