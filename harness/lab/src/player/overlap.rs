//! Several faults of one kind on one link or host: the strongest counts for as long as it stands (losses add up, as on links
//! one behind the other), and the end of one leaves the others standing.
//!
//! ```text
//! delay 700 ms   |=========================|
//! delay 300 ms        |======|
//! on the link     700 700 700 700 700 700 700   not 0 after the end of the shorter one
//! ```

use std::time::Duration;

use super::{Kind, Lateness, ledger::Ledger};
use crate::scenario::{ClockRate, Route};

impl Ledger {
    /// Whether a link is cut.
    pub(super) fn is_cut(&self, route: &Route) -> bool {
        self.on_link(route).any(|kind| matches!(kind, Kind::Cut(_)))
    }

    /// By how much packets of a link are late: by the longest of its delays, on average.
    pub(super) fn lateness_of(&self, route: &Route) -> Option<Lateness> {
        let late = self.on_link(route).filter_map(|kind| match kind {
            Kind::Delay(_, lateness) => Some(*lateness),
            _ => None,
        });
        late.max_by_key(|late| (late.add + late.jitter / 2, late.jitter))
    }

    /// How probable it is that a packet of a link is lost: its losses are independent of each other, so 50 % and 40 % are 70 %.
    pub(super) fn loss_of(&self, route: &Route) -> Option<f64> {
        let losses = self.on_link(route).filter_map(|kind| match kind {
            Kind::Loss(_, probability) => Some(*probability),
            _ => None,
        });
        // A single one is exactly what the scenario says.
        losses.reduce(|one, other| 1.0 - (1.0 - one) * (1.0 - other))
    }

    /// How many bytes pass a link in a second: the fewest of its limits.
    pub(super) fn bandwidth_of(&self, route: &Route) -> Option<u64> {
        let limits = self.on_link(route).filter_map(|kind| match kind {
            Kind::Bandwidth(_, bytes_per_second) => Some(*bytes_per_second),
            _ => None,
        });
        limits.min()
    }

    /// At which rate a host's clock runs: the furthest from the true one; of two as far from it, the newer.
    pub(super) fn clock_rate_of(&self, host: &str) -> Option<ClockRate> {
        let rates = self.on_host(host).filter_map(|kind| match kind {
            Kind::Drift(_, rate) => Some(*rate),
            _ => None,
        });
        rates.max_by(|a, b| (a.factor - 1.0).abs().total_cmp(&(b.factor - 1.0).abs()))
    }

    /// How much longer an fsync of a host takes: the longest of its delays.
    pub(super) fn fsync_delay_of(&self, host: &str) -> Option<Duration> {
        let delays = self.on_host(host).filter_map(|kind| match kind {
            Kind::SlowFsync(_, delay) => Some(*delay),
            _ => None,
        });
        delays.max()
    }

    /// Of the hosts of a fault that no longer stands, those on which no other one keeps up the same: there it is undone.
    pub(super) fn freed(&self, ended: &Kind) -> Vec<String> {
        let kept = |host: &&String| self.on_host(host).any(|kind| kind.is_like(ended));
        ended.hosts().iter().filter(|host| !kept(host)).cloned().collect()
    }

    /// Whether the cluster is kept in maintenance mode.
    pub(super) fn is_paused(&self) -> bool {
        self.standing().iter().any(|fault| fault.kind == Kind::Paused)
    }

    fn on_link(&self, route: &Route) -> impl Iterator<Item = &Kind> {
        self.standing().iter().map(|fault| &fault.kind).filter(move |kind| kind.routes().contains(route))
    }

    fn on_host(&self, host: &str) -> impl Iterator<Item = &Kind> {
        self.standing().iter().map(|fault| &fault.kind).filter(move |kind| kind.hosts().iter().any(|h| h == host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::At,
        player::{Line, Standing},
        scenario::Process,
    };

    fn route(from: &str, to: &str) -> Route {
        Route { from: from.into(), to: to.into() }
    }

    /// Lines 0, 1, ... of a timeline, each of which began such a fault.
    fn standing(kinds: &[Kind]) -> Ledger {
        let mut ledger = Ledger::new(1);
        for (index, kind) in kinds.iter().cloned().enumerate() {
            let line = Line { index, repetition: 0 };
            ledger.stand(Standing { line, kind, label: None, since: At(0), verified: true, mark: 0 });
        }
        ledger
    }

    fn end(ledger: &mut Ledger, index: usize) -> Kind {
        ledger.take_of(Line { index, repetition: 0 }).pop().expect("it stands").kind
    }

    fn late(add_ms: u64, jitter_ms: u64) -> Lateness {
        Lateness { add: Duration::from_millis(add_ms), jitter: Duration::from_millis(jitter_ms) }
    }

    #[test]
    fn the_strongest_fault_of_a_link_counts_until_it_ends_whichever_came_first() {
        let (here, there) = (vec![route("a", "b")], vec![route("b", "a"), route("a", "b")]);
        let kinds = [
            Kind::Delay(here.clone(), late(700, 0)),
            Kind::Delay(there.clone(), late(300, 100)),
            Kind::Loss(there.clone(), 0.5),
            Kind::Loss(here.clone(), 0.75),
            Kind::Bandwidth(here.clone(), 1_000),
            Kind::Bandwidth(there, 5_000),
            Kind::Cut(here.clone()),
            Kind::Cut(here),
        ];
        let mut ledger = standing(&kinds);
        let link = route("a", "b");
        let all = |ledger: &Ledger| (ledger.lateness_of(&link), ledger.loss_of(&link), ledger.bandwidth_of(&link));
        assert_eq!(all(&ledger), (Some(late(700, 0)), Some(0.875), Some(1_000)));
        for index in [1, 2, 5, 6] {
            end(&mut ledger, index);
        }
        assert_eq!(all(&ledger), (Some(late(700, 0)), Some(0.75), Some(1_000)), "the weaker ones are over");
        assert!(ledger.is_cut(&link), "cut twice, healed once");
        let mut ledger = standing(&kinds);
        for index in [0, 3, 4, 6, 7] {
            end(&mut ledger, index);
        }
        assert_eq!(all(&ledger), (Some(late(300, 100)), Some(0.5), Some(5_000)), "the stronger ones are over");
        assert!(!ledger.is_cut(&link));
        assert_eq!(ledger.lateness_of(&route("b", "c")), None, "another link");
    }

    #[test]
    fn of_clocks_and_disks_the_worst_counts_until_it_ends() {
        let (pg1, both) = (vec!["pg1".to_owned()], vec!["pg1".to_owned(), "pg2".to_owned()]);
        let rate = |factor| ClockRate { factor };
        let mut ledger = standing(&[
            Kind::Drift(pg1.clone(), rate(0.8)),
            Kind::Drift(both.clone(), rate(1.1)),
            Kind::SlowFsync(both, Duration::from_millis(50)),
            Kind::SlowFsync(pg1, Duration::from_millis(200)),
        ]);
        let all = |ledger: &Ledger| (ledger.clock_rate_of("pg1"), ledger.fsync_delay_of("pg1"));
        assert_eq!(all(&ledger), (Some(rate(0.8)), Some(Duration::from_millis(200))));
        end(&mut ledger, 0);
        end(&mut ledger, 3);
        assert_eq!(all(&ledger), (Some(rate(1.1)), Some(Duration::from_millis(50))));
        assert_eq!(ledger.clock_rate_of("pg3"), None);
    }

    #[test]
    fn a_host_is_freed_when_the_last_fault_of_its_kind_ends() {
        let hosts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let makes: [fn(Vec<String>) -> Kind; 6] = [
            |hosts| Kind::Down(Process::Agent, hosts),
            Kind::Dark,
            |hosts| Kind::Frozen(None, hosts),
            Kind::Full,
            Kind::ReplayPaused,
            Kind::NoDns,
        ];
        for make in makes {
            let mut ledger = standing(&[make(hosts(&["pg1", "pg2"])), make(hosts(&["pg2", "pg3"]))]);
            let first = end(&mut ledger, 0);
            assert_eq!(ledger.freed(&first), ["pg1"], "{first:?}");
            let second = end(&mut ledger, 1);
            assert_eq!(ledger.freed(&second), ["pg2", "pg3"], "{second:?}");
        }
        let mut ledger =
            standing(&[Kind::Frozen(None, hosts(&["pg1"])), Kind::Frozen(Some(Process::Agent), hosts(&["pg1"]))]);
        let host = end(&mut ledger, 0);
        assert_eq!(ledger.freed(&host), ["pg1"], "the host goes on, its agent does not: two kinds");
    }

    #[test]
    fn maintenance_mode_ends_with_the_last_pause() {
        let mut ledger = standing(&[Kind::Paused, Kind::Paused]);
        end(&mut ledger, 0);
        assert!(ledger.is_paused());
        end(&mut ledger, 1);
        assert!(!ledger.is_paused());
    }
}
