//! Why a run with a user's own `patroni.yml` did not pass, where it is for a setting of the file: the same scenario and seed are played
//! again without the file, then with one setting after the other taken back.

use pgdrill_lab::{
    rules::Rules,
    scenario::{Difference, Scenario, differences},
    verdict::{Verdict, judge},
    world::World,
};

use crate::input::Loaded;

/// So many settings are tried for themselves; a file that differs in more is told as a whole.
const MOST: usize = 24;

/// Which settings of the file it is for: a sentence. Nothing where the run does not pass without the file either.
pub(crate) fn because_of_the_file(world: &dyn World, loaded: &Loaded, seed: u64) -> Option<String> {
    let (with_file, alone) = (&*loaded.scenario, &**loaded.without_file.as_ref()?);
    if !passes(world, alone, seed) {
        return None;
    }
    let different = differences(with_file, alone);
    let words = |those: &[&Difference], between: &str| {
        those.iter().map(|difference| difference.words.as_str()).collect::<Vec<_>>().join(between)
    };
    let tried = if different.len() <= MOST { &different[..] } else { &[] };
    let taken_back = |one: &&Difference| passes(world, &one.moved(with_file, alone), seed);
    let guilty: Vec<&Difference> = tried.iter().filter(taken_back).collect();
    if !guilty.is_empty() {
        return Some(format!("because of your file: {}", words(&guilty, "; or ")));
    }
    // Several of them, each of which is enough.
    let taken_over = |one: &&Difference| !passes(world, &one.moved(alone, with_file), seed);
    let enough: Vec<&Difference> = tried.iter().filter(taken_over).collect();
    if !enough.is_empty() {
        return Some(format!("because of your file, each of these for itself: {}", words(&enough, "; ")));
    }
    let all: Vec<&Difference> = different.iter().collect();
    Some(format!("because of your file, of several settings together: {}", words(&all, ", ")))
}

/// Whether it passes.
fn passes(world: &dyn World, scenario: &Scenario, seed: u64) -> bool {
    let judged = |events: &[_]| judge(&Rules::from(scenario), events).verdict == Verdict::Pass;
    world.play(scenario, seed).is_ok_and(|recording| judged(&recording.events))
}
