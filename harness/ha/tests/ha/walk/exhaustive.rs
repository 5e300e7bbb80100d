//! All sequences of a few hostile events, up to a small length.

use pgdrill_ha::config::SynchronousMode;

use super::Guard;
use super::event::Event;
use super::link::Link;
use super::node::Still;
use super::random::told;
use super::world::{Settings, World};

/// How many events follow each other, unless `WALK_DEPTH` says so. With 6 there are 640,000 states instead of 80,000.
const DEPTH: usize = 5;

/// What can happen to two nodes, the first of which leads.
const EVENTS: [Event; 13] = [
    Event::Pass(4),
    Event::Pass(19),
    Event::Link(0, Link::Open),
    Event::Link(0, Link::Cut),
    Event::Link(0, Link::Held),
    Event::Link(1, Link::Open),
    Event::Link(1, Link::Held),
    Event::Rest(1, 0, Link::Cut),
    Event::Rest(0, 1, Link::Held),
    Event::Still(0, Still::Frozen, 0),
    Event::Still(0, Still::Frozen, 5),
    Event::GoOn(0),
    Event::Crash(0),
];

/// Whether an event would change anything.
fn matters(world: &World, event: &Event) -> bool {
    match *event {
        Event::Link(n, link) => world.links[n] != link,
        Event::Rest(from, to, link) => world.rest[from][to] != link,
        Event::Still(n, ..) => world.nodes[n].still.is_none() && world.nodes[n].still_after.is_none(),
        Event::GoOn(n) => world.nodes[n].still.is_some(),
        _ => true,
    }
}

fn visit(world: &World, path: &mut Vec<Event>, depth: usize, visited: &mut u64) {
    *visited += 1;
    if let Some(violation) = &world.judge.violation {
        panic!("{violation:?}\n{}", told(world.settings, path));
    }
    if path.len() == depth {
        return;
    }
    for event in EVENTS.iter().filter(|event| matters(world, event)) {
        let mut next = world.clone();
        next.play(event);
        path.push(*event);
        visit(&next, path, depth, visited);
        path.pop();
    }
}

/// Walks all of them; how many states there were.
fn walk_all(settings: Settings) -> u64 {
    let mut visited = 0;
    let depth = std::env::var("WALK_DEPTH").ok().and_then(|depth| depth.parse().ok()).unwrap_or(DEPTH);
    visit(&World::new(settings), &mut Vec::new(), depth, &mut visited);
    println!("{visited} states");
    visited
}

const TWO: Settings = Settings { nodes: 2, ..Settings::PLAIN };

#[test]
fn with_a_dead_man_process_no_sequence_makes_two_leaders() {
    let visited = walk_all(TWO);
    assert!(visited > 50_000, "{visited} states");
}

#[test]
fn in_failsafe_mode_no_sequence_makes_two_leaders() {
    let visited = walk_all(Settings { failsafe: true, ..TWO });
    assert!(visited > 50_000, "{visited} states");
}

#[test]
fn in_synchronous_mode_no_sequence_loses_a_commit() {
    let visited = walk_all(Settings { mode: SynchronousMode::On, guard: Guard::Nothing, ..TWO });
    assert!(visited > 50_000, "{visited} states");
}
