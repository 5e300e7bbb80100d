//! Why a run with a user's own `patroni.yml` did not pass, where it is for a setting of the file: the same scenario and seed are played
//! again without the file, then with one setting after the other taken back.

use std::sync::Arc;

use pgdrill_lab::{
    scenario::{Scenario, differences},
    verdict::{Rules, Verdict, judge},
    world::World,
};

use crate::input::Loaded;

/// So many settings are tried for themselves; a file that differs in more is told as a whole.
const MOST: usize = 24;

/// Which settings of the file it is for: a sentence. Nothing where the run does not pass without the file either.
pub(crate) fn because_of_the_file(world: &dyn World, loaded: &Loaded, seed: u64) -> Option<String> {
    let (with_file, alone) = (&loaded.scenario, loaded.without_file.as_ref()?);
    if !passes(world, alone, seed) {
        return None;
    }
    let different = differences(with_file, alone);
    let tried = if different.len() <= MOST { &different[..] } else { &[] };
    let guilty: Vec<&str> = tried
        .iter()
        .filter(|difference| passes(world, &Arc::new(difference.taken_back(with_file, alone)), seed))
        .map(|difference| difference.words.as_str())
        .collect();
    if guilty.is_empty() {
        let all: Vec<&str> = different.iter().map(|difference| difference.words.as_str()).collect();
        return Some(format!("it is for the settings of your file, several of them together: {}", all.join(", ")));
    }
    Some(format!("it is for a setting of your file: {}", guilty.join("; or ")))
}

/// Whether it passes.
fn passes(world: &dyn World, scenario: &Arc<Scenario>, seed: u64) -> bool {
    let judged = |events: &[_]| judge(&Rules::from(&**scenario), events).verdict == Verdict::Pass;
    world.play(scenario, seed).is_ok_and(|recording| judged(&recording.events))
}
