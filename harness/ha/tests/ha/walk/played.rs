//! Sequences that once went wrong, played at every step where the loop can stand still.

use super::Guard;
use super::event::Event::{self, Deliver, GoOn, Link as EtcdLink, Pass, Rest, Still as StandStill, Switchover};
use super::judge::Violation;
use super::link::Link::{Cut, Held, Open};
use super::node::Still::{Frozen, Stalled};
use super::world::{Settings, World};

/// The first node leads by the members' word, and the second one's ends; it races, and cannot ask anybody. The first asks anew
/// just before the end, and that arrives at the second when its loop has taken so many further steps.
fn a_word_meets_an_attempt(steps: u32, requests_are_held: bool) -> Vec<Event> {
    let (attempt, arrives) = if requests_are_held { (Held, Open) } else { (Open, Open) };
    vec![
        Pass(7),
        // 31 s: renewed a second ago. From now on the first node is alone with the members' word.
        EtcdLink(0, Cut),
        Rest(1, 0, Cut),
        Rest(1, 2, Cut),
        Rest(2, 0, Cut),
        Pass(20),
        // 51 s: both gave their word at 50 s, until 80 s.
        StandStill(0, Stalled, 0),
        Pass(19),
        // 70 s: the second one's next look at the DCS is its last before the end of its word.
        StandStill(1, Stalled, 3),
        Rest(0, 1, Held),
        Pass(9),
        // 79 s: the first asks anew, and has its answers within 4 s or not at all.
        GoOn(0),
        Pass(1),
        // 80 s: the second one's word has ended. It asks the others, which takes 2 s, and then for the lock.
        EtcdLink(1, attempt),
        GoOn(1),
        StandStill(1, Stalled, steps),
        Pass(2),
        Rest(0, 1, Open),
        EtcdLink(1, arrives),
        GoOn(1),
        Pass(20),
    ]
}

fn play(events: &[Event], minds_its_word: bool) -> World {
    // A dead-man process would stop the first one at the end of the word of before.
    let mut world = World::new(Settings { failsafe: true, guard: Guard::Nothing, ..Settings::PLAIN });
    (world.minds_its_word, world.log) = (minds_its_word, Some(Vec::new()));
    for event in events {
        world.play(event);
    }
    world
}

#[test]
fn a_word_given_while_the_own_attempt_at_the_lock_is_under_way_is_kept() {
    let mut given = 0;
    for (steps, held) in (1..24).flat_map(|steps| [(steps, true), (steps, false)]) {
        let world = play(&a_word_meets_an_attempt(steps, held), true);
        let log = world.log.clone().unwrap().join("\n");
        assert_eq!(world.judge.violation, None, "after {steps} steps:\n{log}");
        let gave = world.judge.consents.iter().any(|(giver, _, at)| *giver == 1 && at.0.as_secs() == 82);
        given += usize::from(gave && log.contains("the lock is pg2's"));
        assert_eq!(world.primaries().len(), 1, "after {steps} steps:\n{log}");
    }
    assert!(given > 10, "the word was given during the attempt {given} times");
}

/// The agent decides anew when its REST API has given a word meanwhile. Without that the word is broken.
#[test]
fn a_decision_taken_without_the_word_that_was_given_meanwhile_breaks_it() {
    let found = (1..24).filter_map(|steps| play(&a_word_meets_an_attempt(steps, false), false).judge.violation);
    let found: Vec<Violation> = found.collect();
    assert_eq!(found, [Violation::TwoClaims { one: "pg1", other: "pg2" }]);
}

/// The first node stops for a switchover and releases the lock, which nobody answers. When it has given up waiting, the lock is
/// still its own: it starts PostgreSQL and leads again. Only then does the release arrive.
#[test]
fn a_release_that_arrives_late_does_not_free_a_lock_that_was_taken_up_again() {
    let mut late = 0;
    for steps in 1..24 {
        let mut world = World::new(Settings::PLAIN);
        world.log = Some(Vec::new());
        let until_given_up = [Switchover(1), StandStill(0, Stalled, steps), Pass(3), EtcdLink(0, Held), GoOn(0)];
        let taken_up_again = [Pass(11), EtcdLink(0, Open), Pass(3), Deliver(0), Pass(10)];
        for event in until_given_up.iter().chain(&taken_up_again) {
            late +=
                usize::from(*event == Deliver(0) && world.nodes[0].claims(world.now) && world.has_release_under_way(0));
            world.play(event);
        }
        let log = world.log.clone().unwrap().join("\n");
        assert_eq!(world.judge.violation, None, "after {steps} steps:\n{log}");
    }
    assert!(late > 0, "a release was late {late} times");
}

/// A failover, so that the walks are about something.
#[test]
fn when_the_leaders_agent_stands_still_for_long_another_node_leads_and_the_first_follows_it() {
    let mut world = World::new(Settings::PLAIN);
    assert_eq!(world.primaries(), ["pg1"]);
    for event in [StandStill(0, Frozen, 2), Pass(60)] {
        world.play(&event);
    }
    assert_eq!(world.primaries(), ["pg2"]);
    world.heal();
    world.pass(60_000);
    assert_eq!((world.primaries(), world.judge.violation.clone()), (vec!["pg2"], None));
    assert!(world.nodes[0].postgres.is_streaming && world.nodes[2].postgres.is_streaming);
}
