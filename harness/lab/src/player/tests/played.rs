//! Whole timelines: which acts come when, and what is said of them.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use crate::{
    event::{At, FaultPhase, Recorder, What},
    player::{Act, Do, Evidence, Kind, LinkState, Player, Seen},
    scenario::{Route, load_text},
};

/// A world without a cluster: every act succeeds on every host, and each count is one more than the one before.
struct Stage {
    player: Player,
    recorder: Recorder,
    acts: Vec<(At, Act)>,
    links: BTreeMap<Route, LinkState>,
    full: Vec<String>,
    effects: u64,
    /// Whether faults have effects.
    lively: bool,
    /// Whether orders are answered.
    answers: bool,
    /// Who is frozen.
    frozen: Vec<String>,
    /// When the watchdog of `pg1` goes off.
    watchdog: Option<At>,
}

impl Stage {
    fn new(timeline: &str, seed: u64) -> Self {
        let text = format!("name: x\nabout: Something.\nduration: 100s\ntimeline:\n{timeline}");
        let scenario = load_text(Path::new("x.yaml"), &text).unwrap_or_else(|e| panic!("{e:?}")).scenario;
        let recorder = Recorder::new();
        let leader = What::Dcs { key: "leader".into(), value: Some("pg1".into()), mod_revision: 1, lease: 0 };
        recorder.record(At(0), "etcd", leader);
        let player = Player::new(Arc::new(scenario), recorder.clone(), seed, Duration::from_secs(20));
        let (acts, links, full) = Default::default();
        Self {
            player,
            recorder,
            acts,
            links,
            full,
            effects: 0,
            lively: true,
            answers: true,
            frozen: vec![],
            watchdog: None,
        }
    }

    /// Plays to the end; what was said of each line, in order.
    fn play(&mut self) -> Vec<(At, usize, FaultPhase, Vec<String>)> {
        let mut now = At(0);
        loop {
            match self.player.poll(now) {
                Do::Act(act) => {
                    let evidence = self.carry_out(&act);
                    self.acts.push((now, act));
                    self.player.done(now, evidence);
                }
                Do::Until(then) => {
                    assert!(then > now, "time goes on");
                    match self.watchdog.filter(|at| *at <= then) {
                        Some(at) => {
                            now = at;
                            self.watchdog = None;
                            self.player.watchdog_went_off(now, "pg1");
                        }
                        None => now = then,
                    }
                }
                Do::Over => break,
            }
        }
        let said = self.recorder.take().into_iter().filter_map(|event| match event.what {
            What::Fault { index, phase, targets, .. } => Some((event.at, index, phase, targets)),
            _ => None,
        });
        said.collect()
    }

    fn carry_out(&mut self, act: &Act) -> Evidence {
        match act {
            Act::Look => {
                let up = ["pg1", "pg2", "pg3"].map(str::to_owned).into();
                return Evidence::Seen(Seen { up, etcd_leader: Some("etcd1".into()) });
            }
            Act::Links(links) => self.links.extend(links.iter().cloned()),
            Act::Count(_) => {
                self.effects += u64::from(self.lively);
                return Evidence::Count { number: self.effects, words: ", as counted".into() };
            }
            Act::FillDisks { hosts } => {
                self.full.extend(hosts.iter().cloned());
                return Evidence::on(hosts.clone());
            }
            Act::FreeDisks { hosts } => {
                let freed: Vec<String> = hosts.iter().filter(|host| self.full.contains(host)).cloned().collect();
                self.full.retain(|host| !freed.contains(host));
                return Evidence::on(freed);
            }
            Act::Dns { hosts, .. } | Act::Kill { hosts, .. } | Act::Stop { hosts, .. } | Act::Start { hosts, .. } => {
                return Evidence::on(hosts.clone());
            }
            Act::Freeze { hosts, .. } => {
                self.frozen.extend(hosts.iter().cloned());
                return Evidence::on(hosts.clone());
            }
            Act::Thaw { hosts, .. } => {
                let thawed: Vec<String> = hosts.iter().filter(|host| self.frozen.contains(host)).cloned().collect();
                self.frozen.retain(|host| !thawed.contains(host));
                return Evidence::on(thawed);
            }
            Act::PowerOff { hosts } => {
                self.frozen.retain(|host| !hosts.contains(host));
                return Evidence::on(hosts.clone());
            }
            Act::StepClocks { hosts, .. } | Act::PowerOn { hosts } => return Evidence::on(hosts.clone()),
            Act::Order { reply, .. } | Act::CompactEtcd { reply } if self.answers => {
                reply.give(|| At(0), Ok("it was done".into()))
            }
            _ => {}
        }
        Evidence::Done
    }

    fn state(&self, from: &str, to: &str) -> LinkState {
        self.links.get(&Route { from: from.into(), to: to.into() }).copied().unwrap_or_default()
    }

    /// When acts came that `which` makes something of.
    fn when<T>(&self, which: impl Fn(&Act) -> Option<T>) -> Vec<(u64, T)> {
        self.acts.iter().filter_map(|(at, act)| Some((at.0 / 1_000_000_000, which(act)?))).collect()
    }
}

fn verified(evidence: &str) -> FaultPhase {
    FaultPhase::Verified { evidence: evidence.to_owned() }
}

#[test]
fn what_a_label_names_is_what_was_cut_off() {
    for seed in 0..20 {
        let mut stage = Stage::new("  - { at: 10s, cut: { between: [any replica, etcd] }, as: gone, for: 5s }\n", seed);
        let said = stage.play();
        let (_, _, applied, targets) = &said[0];
        assert_eq!((applied, targets.len()), (&FaultPhase::Applied, 1));
        let cut: Vec<&String> =
            stage.links.keys().map(|r| if r.from.starts_with("pg") { &r.from } else { &r.to }).collect();
        assert!(!cut.is_empty() && cut.iter().all(|host| **host == targets[0]), "seed {seed}: {targets:?}, {cut:?}");
    }
}

#[test]
fn a_line_that_is_left_out_decides_nothing_about_the_others() {
    let (first, second) =
        ("  - { at: 5s, kill: { process: agent, on: any replica } }\n", "  - { at: 10s, freeze: any replica }\n");
    let frozen = |timeline: &str, seed| {
        let mut stage = Stage::new(timeline, seed);
        stage.play();
        stage.when(|act| if let Act::Freeze { hosts, .. } = act { Some(hosts.clone()) } else { None })
    };
    let mut killed_and_frozen_differ = false;
    for seed in 0..20 {
        let both = frozen(&format!("{first}{second}"), seed);
        assert_eq!(both, frozen(second, seed), "seed {seed}");
        let again = frozen("  - { at: 11s, freeze: any replica }\n", seed);
        killed_and_frozen_differ |= both[0].1 != again[0].1;
    }
    assert!(killed_and_frozen_differ, "every line draws by itself");
}

#[test]
fn of_two_delays_the_longer_counts_for_as_long_as_it_stands() {
    let mut stage = Stage::new(
        "  - { at: 10s, delay: { between: [pg1, pg2], add: 700ms }, for: 30s }\n\
         \x20 - { at: 20s, delay: { between: [pg1, pg2], add: 300ms }, for: 40s }\n",
        1,
    );
    stage.play();
    let late = stage.when(|act| match act {
        Act::Links(links) => links.first().map(|(_, state)| state.late.map(|late| late.add.as_millis())),
        _ => None,
    });
    assert_eq!(late, [(10, Some(700)), (20, Some(700)), (40, Some(300)), (60, None)]);
    assert_eq!(stage.state("pg2", "pg1"), LinkState::default());
}

#[test]
fn a_fault_is_counted_before_it_begins_and_before_it_is_undone() {
    let mut stage = Stage::new("  - { at: 10s, cut: { between: [pg1, pg2] } }\n  - { at: 20s, heal: all }\n", 1);
    let said = stage.play();
    let acts: Vec<&str> = stage
        .acts
        .iter()
        .map(|(_, act)| match act {
            Act::Look => "look",
            Act::Count(Kind::Cut(_)) => "count",
            Act::Links(links) if links[0].1.is_cut => "cut",
            Act::Links(_) => "mend",
            Act::StopClients => "stop clients",
            Act::ReadEnd => "read end",
            Act::StopObserving => "stop observing",
            Act::ReadRows => "read rows",
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = "look count cut look count mend stop clients,read end,stop observing,read rows";
    assert_eq!(acts.join(" "), expected.replace(',', " "));
    let phases: Vec<(usize, FaultPhase)> = said.into_iter().map(|(_, index, phase, _)| (index, phase)).collect();
    let ended = [
        (0, FaultPhase::Applied),
        (1, FaultPhase::Applied),
        (0, verified("1 packets held in 10.0 s, as counted")),
        (0, FaultPhase::Ended),
        (1, verified("1 faults of the network ended")),
    ];
    assert_eq!(phases, ended);
}

#[test]
fn what_had_no_effect_is_told_as_such_whatever_the_world_adds() {
    let mut stage = Stage::new("  - { at: 10s, cut: { between: [pg1, pg2] } }\n", 1);
    stage.lively = false;
    let said = stage.play();
    assert!(said.iter().any(|(_, _, phase, _)| *phase == FaultPhase::Vacuous { why: "no packet was affected".into() }));
}

#[test]
fn a_disk_that_is_freed_by_name_leaves_the_other_full() {
    let full = "  - { at: 10s, disk_full: pg1 + pg2, as: full }\n";
    let mut stage =
        Stage::new(&format!("{full}  - {{ at: 20s, disk_free: pg1 }}\n  - {{ at: 30s, disk_free: pg2 }}\n"), 1);
    let said = stage.play();
    let freed = stage.when(|act| if let Act::FreeDisks { hosts } = act { Some(hosts.join(" ")) } else { None });
    assert_eq!(freed, [(20, "pg1".to_owned()), (30, "pg2".to_owned())]);
    let of_the_fault: Vec<_> =
        said.iter().filter(|said| said.1 == 0).map(|said| (said.0.secs() as u64, &said.2)).collect();
    assert_eq!(of_the_fault.last(), Some(&(30, &FaultPhase::Ended)));
    assert_eq!(of_the_fault.len(), 3, "it began, had its effect, and ended: {of_the_fault:?}");
    assert!(stage.full.is_empty());
}

#[test]
fn a_machine_that_its_watchdog_resets_boots_some_time_later_and_is_no_longer_frozen() {
    let mut stage = Stage::new("  - { at: 10s, freeze: pg1, for: 60s }\n", 1);
    stage.watchdog = Some(At::from_secs(25));
    stage.play();
    let power = stage.when(|act| match act {
        Act::PowerOff { hosts } => Some(format!("off {}", hosts.join(" "))),
        Act::PowerOn { hosts } => Some(format!("on {}", hosts.join(" "))),
        Act::Thaw { .. } => Some("thaw".to_owned()),
        _ => None,
    });
    assert_eq!(power, [(25, "off pg1".to_owned()), (45, "on pg1".to_owned())]);
}

#[test]
fn the_rows_are_read_when_everything_is_undone_and_booted() {
    let mut stage = Stage::new("  - { at: 10s, power_off: pg2 }\n", 1);
    stage.watchdog = Some(At::from_secs(95));
    stage.play();
    let after = stage.acts.iter().skip_while(|(_, act)| !matches!(act, Act::StopObserving));
    let hosts: Vec<String> = after
        .filter_map(|(_, act)| match act {
            Act::PowerOn { hosts } => Some(hosts.join(" ")),
            Act::ReadRows => Some("rows".to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(hosts, ["pg1", "pg2", "rows"]);
}

#[test]
fn an_order_that_nobody_answers_is_told_at_the_end() {
    for answers in [true, false] {
        let mut stage = Stage { answers, ..Stage::new("  - { at: 10s, restart: pg2 }\n", 1) };
        let said: Vec<FaultPhase> = stage.play().into_iter().map(|(_, _, phase, _)| phase).collect();
        let late = FaultPhase::Vacuous { why: "nobody answered until the end".into() };
        assert_eq!(said, [FaultPhase::Applied, if answers { verified("it was done") } else { late }]);
    }
}

#[test]
fn a_thaw_of_nobody_is_vacuous_unless_a_watchdog_was_faster() {
    let timeline = "  - { at: 10s, freeze: pg1 }\n  - { at: 60s, thaw: pg1 }\n  - { at: 70s, thaw: pg2 }\n";
    let mut stage = Stage { watchdog: Some(At::from_secs(25)), ..Stage::new(timeline, 1) };
    let said = stage.play();
    let of = |index| said.iter().filter(|said| said.1 == index).map(|said| said.2.clone()).collect::<Vec<_>>();
    assert_eq!(of(1), [FaultPhase::Applied, verified("pg1: the watchdog had reset the machine before")]);
    let nothing = FaultPhase::Vacuous { why: "it was so already, or there is no such process".into() };
    assert_eq!(of(2), [FaultPhase::Applied, nothing]);
}
