//! The supervision of the dead-man process, second by second.

use std::time::Duration;

use tokio::time::{Instant, advance};

use super::fencing::{Fencing, Guarded};
use crate::{
    config::{FencingConfig, FencingMode},
    fixtures::{FakeFence, Mood},
};

const TTL: Duration = Duration::from_secs(30);

async fn started(mode: FencingMode, margin_s: u64) -> (Fencing<FakeFence>, FakeFence) {
    let fence = FakeFence::default();
    let config = FencingConfig { mode, safety_margin: Duration::from_secs(margin_s) };
    let fencing = Fencing::new(fence.clone(), config);
    fencing.start().await.expect("it starts");
    (fencing, fence)
}

#[tokio::test(start_paused = true)]
async fn only_an_armed_one_gets_later_deadlines() {
    let (fencing, fence) = started(FencingMode::Automatic, 0).await;
    let first = Instant::now() + TTL;
    fencing.extend(first).await.unwrap();
    assert_eq!(fence.seen().held, None, "nobody has armed it");
    fencing.arm(first).await.unwrap();
    fencing.extend(first + TTL).await.unwrap();
    fencing.extend(first).await.unwrap();
    assert_eq!(fence.seen().held, Some(first + TTL), "an earlier deadline does not replace a later one");
    fencing.disarm().await.unwrap();
    fencing.extend(first + TTL * 2).await.unwrap();
    assert_eq!(fence.seen().held, None, "a renewal that comes late does not arm it again");
}

#[tokio::test(start_paused = true)]
async fn the_safety_margin_is_taken_off_once() {
    let (fencing, fence) = started(FencingMode::Automatic, 5).await;
    let deadline = Instant::now() + TTL;
    fencing.arm(deadline).await.unwrap();
    assert_eq!(fence.seen().held, Some(deadline - Duration::from_secs(5)));
    fence.seen().running = false;
    advance(Duration::from_secs(10)).await;
    fencing.tend(Guarded::MayWrite, false, false).await.unwrap();
    assert_eq!(fence.seen().held, Some(deadline - Duration::from_secs(5)), "its replacement holds the same");
}

#[tokio::test(start_paused = true)]
async fn a_margin_that_the_timings_have_no_room_for_is_lowered_and_told_once_for_each_change() {
    let seconds = Duration::from_secs;
    let (fencing, fence) = started(FencingMode::Automatic, 25).await;
    let deadline = Instant::now() + TTL;
    assert_eq!(fencing.limit_margin(seconds(5)), Some(seconds(5)));
    assert_eq!(fencing.limit_margin(seconds(5)), None);
    fencing.arm(deadline).await.unwrap();
    assert_eq!(fence.seen().held, Some(deadline - seconds(5)));
    assert_eq!(fencing.limit_margin(seconds(0)), Some(seconds(0)), "ttl was lowered");
    fencing.extend(deadline + TTL).await.unwrap();
    assert_eq!(fence.seen().held, Some(deadline + TTL));
    assert_eq!(fencing.limit_margin(seconds(40)), None, "there is room enough");
    fencing.extend(deadline + TTL * 2).await.unwrap();
    assert_eq!(fence.seen().held, Some(deadline + TTL * 2 - seconds(25)));
    let (off, _) = started(FencingMode::Off, 25).await;
    assert_eq!(off.limit_margin(seconds(0)), None);
}

#[tokio::test(start_paused = true)]
async fn a_frozen_one_is_replaced_and_the_new_one_holds_the_deadline() {
    let (fencing, fence) = started(FencingMode::Required, 0).await;
    let deadline = Instant::now() + TTL;
    fencing.arm(deadline).await.unwrap();
    fence.seen().mood = Mood::Frozen;
    fencing.extend(deadline + TTL).await.unwrap();
    {
        let seen = fence.seen();
        assert_eq!((seen.starts, seen.held), (2, Some(deadline + TTL)));
    }
    assert!(fencing.view().is_armed && fencing.view().is_usable);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_replaced_is_neither_armed_nor_usable_where_it_is_required() {
    for (mode, usable) in [(FencingMode::Required, false), (FencingMode::Automatic, true)] {
        let (fencing, fence) = started(mode, 0).await;
        fencing.arm(Instant::now() + TTL).await.unwrap();
        fence.seen().mood = Mood::Broken;
        fence.seen().running = false;
        fencing.extend(Instant::now() + TTL * 2).await.expect_err("it is gone for good");
        assert_eq!((fencing.view().is_armed, fencing.view().is_usable), (false, usable), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_nobody_will_replace_is_taken_away_from_a_replica() {
    let (fencing, fence) = started(FencingMode::Automatic, 0).await;
    let deadline = Instant::now() + TTL;
    fencing.arm(deadline).await.unwrap();
    for (guarded, settled) in [(Guarded::MayWrite, true), (Guarded::Replica, false)] {
        fencing.tend(guarded, settled, false).await.unwrap();
        assert_eq!(fence.seen().held, Some(deadline), "{guarded:?}, settled: {settled}");
    }
    fencing.tend(Guarded::Replica, true, false).await.unwrap();
    assert_eq!(fence.seen().held, None);
}

#[tokio::test(start_paused = true)]
async fn predecessors_are_ended_when_ours_has_the_deadline_or_there_is_nothing_to_guard_and_once() {
    let (fencing, fence) = started(FencingMode::Automatic, 0).await;
    fencing.tend(Guarded::MayWrite, true, false).await.unwrap();
    assert_eq!(fence.seen().retired, 0, "a primary that we found keeps the only fence it has");
    fencing.arm(Instant::now() + TTL).await.unwrap();
    fencing.tend(Guarded::Absent, false, false).await.unwrap();
    assert_eq!(fence.seen().retired, 1);
    let (fencing, fence) = started(FencingMode::Automatic, 0).await;
    fencing.tend(Guarded::Absent, true, false).await.unwrap();
    assert_eq!(fence.seen().retired, 1);
}

#[tokio::test(start_paused = true)]
async fn off_starts_nothing() {
    let fence = FakeFence::default();
    let config = FencingConfig { mode: FencingMode::Off, ..FencingConfig::default() };
    let fencing = Fencing::new(fence.clone(), config);
    fencing.start().await.unwrap();
    fencing.tend(Guarded::MayWrite, true, false).await.unwrap();
    fencing.disarm().await.unwrap();
    {
        let seen = fence.seen();
        assert_eq!((seen.starts, seen.retired), (0, 0));
    }
    assert!(fencing.view().is_usable && !fencing.view().is_armed);
}
