//! `/sync` and `synchronous_standby_names` in step: a small model of a primary and its standbys, crashed anywhere.
//!
//! The model keeps, for each commit the primary acknowledged, who had flushed it then. After every single step it asks:
//! whoever the race would let win with only what a crash leaves, does it have all acknowledged commits?

use std::collections::{BTreeMap, BTreeSet};

use pgdrill_ha::config::SynchronousMode;
use pgdrill_ha::records::SyncRecord;
use pgdrill_ha::sync::{SyncSituation, SyncStep, next_step};
use pgdrill_ha::view::SynchronousStandbyNames;
use proptest::prelude::*;

const STANDBYS: [&str; 4] = ["a", "b", "c", "d"];

/// What happens to the model next.
#[derive(Debug, Clone)]
enum Event {
    /// The primary writes one more commit.
    Write,
    /// A standby flushes everything that has been written.
    Flush(usize),
    /// A standby connects, or goes away.
    Toggle(usize),
    /// The primary takes its next step for `synchronous_mode`.
    Step,
    /// `synchronous_node_count` is changed.
    Count(u32),
}

struct Model {
    mode: SynchronousMode,
    strict: bool,
    node_count: u32,
    record: SyncRecord,
    setting: SynchronousStandbyNames,
    /// The primary's position when the setting came into force.
    in_force_at: u64,
    written: u64,
    flushed: BTreeMap<&'static str, u64>,
    connected: BTreeSet<&'static str>,
    /// The last commit a client was told of, under a setting that waits for somebody.
    acknowledged: u64,
    /// Commits were acknowledged that waited for nobody: then only the primary may go on.
    unprotected: u64,
}

impl Model {
    fn new(mode: SynchronousMode, strict: bool, node_count: u32) -> Self {
        Model {
            mode,
            strict,
            node_count,
            record: SyncRecord::default(),
            setting: SynchronousStandbyNames::Off,
            in_force_at: 0,
            written: 0,
            flushed: STANDBYS.into_iter().map(|name| (name, 0)).collect(),
            connected: BTreeSet::new(),
            acknowledged: 0,
            unprotected: 0,
        }
    }

    fn has(&self, name: &str) -> u64 {
        self.flushed.get(name).copied().unwrap_or(0)
    }

    fn situation(&self) -> SyncSituation {
        let connected = || self.connected.iter().map(|name| (*name).to_owned());
        let limit = if self.mode == SynchronousMode::Quorum { STANDBYS.len() } else { self.node_count as usize };
        SyncSituation {
            leader: "p".into(),
            record: self.record.clone(),
            setting: self.setting.clone(),
            chosen: connected().take(limit).collect(),
            confirmed: connected().filter(|name| self.has(name) >= self.in_force_at).collect(),
            node_count: self.node_count,
            strict: self.strict,
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Write => self.written += 1,
            Event::Flush(i) if self.connected.contains(STANDBYS[*i]) => {
                self.flushed.insert(STANDBYS[*i], self.written);
            }
            Event::Flush(_) => {}
            Event::Toggle(i) => {
                if !self.connected.remove(STANDBYS[*i]) {
                    self.connected.insert(STANDBYS[*i]);
                }
            }
            Event::Count(n) => self.node_count = *n,
            Event::Step => match next_step(self.mode, &self.situation()) {
                SyncStep::Rest => {}
                SyncStep::Record(record) => self.record = record,
                SyncStep::Setting(setting) => {
                    self.setting = setting;
                    // Whatever the old setting let through is at most what is written by now.
                    self.in_force_at = self.written;
                }
            },
        }
        self.acknowledge();
    }

    /// What PostgreSQL lets clients know under the present setting.
    fn acknowledge(&mut self) {
        let nth = |mut flushed: Vec<u64>, n: u32| {
            flushed.sort_unstable_by(|a, b| b.cmp(a));
            flushed.get(n.saturating_sub(1) as usize).copied()
        };
        let of = |names: &BTreeSet<String>| names.iter().map(|name| self.has(name)).collect::<Vec<_>>();
        let through = match &self.setting {
            SynchronousStandbyNames::Off => {
                self.unprotected = self.written;
                Some(self.written)
            }
            SynchronousStandbyNames::Star => {
                let anybody = self.connected.iter().map(|name| self.has(name)).max();
                self.unprotected = self.unprotected.max(anybody.unwrap_or(0));
                anybody
            }
            SynchronousStandbyNames::First { num_sync, names } | SynchronousStandbyNames::Any { num_sync, names } => {
                nth(of(names), *num_sync)
            }
            SynchronousStandbyNames::Foreign(_) => None,
        };
        self.acknowledged = self.acknowledged.max(through.unwrap_or(0));
    }

    /// Everybody whom a race could make leader after a crash of the primary now, whoever of the others is seen.
    fn winners(&self) -> Vec<&'static str> {
        STANDBYS.into_iter().filter(|name| self.could_win(name)).collect()
    }

    fn could_win(&self, name: &str) -> bool {
        if self.mode == SynchronousMode::On {
            // Seeing nobody else is the easiest way to be the healthiest.
            return self.record.is_standby(name);
        }
        // It sees exactly those that do not speak against it.
        let others = self.record.standbys.iter().filter(|voter| *voter != name && self.has(voter) <= self.has(name));
        let own = if self.record.is_standby(name) { 0 } else { -1 };
        own + others.count() as i64 >= i64::from(self.record.quorum)
    }
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => Just(Event::Write),
        4 => (0..STANDBYS.len()).prop_map(Event::Flush),
        2 => (0..STANDBYS.len()).prop_map(Event::Toggle),
        5 => Just(Event::Step),
        1 => (1u32..4).prop_map(Event::Count),
    ];
    prop::collection::vec(event, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn at_every_crash_point_whoever_may_be_promoted_has_every_acknowledged_commit(
        events in events(), quorum: bool, strict: bool, node_count in 1u32..4,
    ) {
        let mode = if quorum { SynchronousMode::Quorum } else { SynchronousMode::On };
        let mut model = Model::new(mode, strict, node_count);
        // Switched on in a cluster that has written before.
        model.record = SyncRecord::only("p");
        for (at, event) in events.iter().enumerate() {
            model.apply(event);
            for winner in model.winners() {
                prop_assert!(
                    model.has(winner) >= model.acknowledged,
                    "after {:?} (event {at}): {winner} has {} of {} with /sync {} and '{}'",
                    event, model.has(winner), model.acknowledged, model.record.to_json(), model.setting
                );
            }
        }
    }

    #[test]
    fn with_everybody_connected_and_caught_up_the_steps_come_to_an_end(quorum: bool, strict: bool, node_count in 1u32..4) {
        let mode = if quorum { SynchronousMode::Quorum } else { SynchronousMode::On };
        let mut model = Model::new(mode, strict, node_count);
        (0..STANDBYS.len()).for_each(|i| model.apply(&Event::Toggle(i)));
        for _ in 0..12 {
            model.apply(&Event::Step);
            (0..STANDBYS.len()).for_each(|i| model.apply(&Event::Flush(i)));
        }
        prop_assert_eq!(next_step(mode, &model.situation()), SyncStep::Rest);
        let expected = if quorum { 4 } else { node_count as usize };
        prop_assert_eq!(model.record.standbys.len(), expected);
        prop_assert_eq!(model.setting.num_sync(), node_count);
        let quorum_size = if quorum { 4 - node_count } else { 0 };
        prop_assert_eq!(model.record.quorum, quorum_size);
    }
}

#[test]
fn switching_off_takes_the_record_back_before_commits_stop_waiting() {
    let mut model = Model::new(SynchronousMode::Off, false, 1);
    model.record = SyncRecord { leader: Some("p".into()), standbys: BTreeSet::from(["a".into()]), quorum: 0 };
    model.setting = SynchronousStandbyNames::all_of(BTreeSet::from(["a".into()]));
    assert_eq!(next_step(model.mode, &model.situation()), SyncStep::Record(SyncRecord::default()));
    model.apply(&Event::Step);
    assert_eq!(next_step(model.mode, &model.situation()), SyncStep::Setting(SynchronousStandbyNames::Off));
}

/// What is left of `/sync` and of the setting when everybody has gone away.
fn deserted(mode: SynchronousMode, strict: bool) -> (Vec<String>, String) {
    let mut model = Model::new(mode, strict, 1);
    let settle = |model: &mut Model| {
        for _ in 0..8 {
            model.apply(&Event::Flush(0));
            model.apply(&Event::Step);
        }
    };
    model.apply(&Event::Toggle(0));
    settle(&mut model);
    assert_eq!(model.record.standbys.iter().collect::<Vec<_>>(), ["a"], "{mode:?}");
    model.apply(&Event::Toggle(0));
    settle(&mut model);
    (model.record.standbys.into_iter().collect(), model.setting.to_string())
}

#[test]
fn strict_who_left_last_still_has_everything_and_may_lead_when_it_returns() {
    let nobody = || (Vec::new(), String::new());
    for (mode, setting) in [(SynchronousMode::On, "a"), (SynchronousMode::Quorum, "ANY 1 (a)")] {
        assert_eq!(deserted(mode, true), (vec!["a".to_owned()], setting.to_owned()));
        assert_eq!(deserted(mode, false), nobody(), "{mode:?}: commits go on without it, so it must not");
    }
}

#[test]
fn strict_whoever_comes_instead_takes_the_place_of_who_left() {
    for mode in [SynchronousMode::On, SynchronousMode::Quorum] {
        let mut model = Model::new(mode, true, 1);
        for event in [Event::Toggle(0), Event::Toggle(1)] {
            for _ in 0..8 {
                [Event::Flush(0), Event::Flush(1), Event::Step].iter().for_each(|event| model.apply(event));
            }
            model.apply(&event);
        }
        model.apply(&Event::Toggle(0));
        for _ in 0..12 {
            [Event::Write, Event::Flush(1), Event::Step].iter().for_each(|event| model.apply(event));
        }
        assert_eq!(model.record.standbys.iter().collect::<Vec<_>>(), ["b"], "{mode:?}");
    }
}
