//! Several delays or bandwidths of one link at a time: the worst stands in front, and what it does to packets is the effect of
//! those behind it, too, as in the simulator, where a link has one delay and one bandwidth.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use pgdrill_lab::scenario::Route;

use super::{Breakage, FaultId, Network, Placed, Trouble};

/// Faults that share a link: what each has counted when the other began, and what it counted when it was over.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<(FaultId, FaultId), Shared>);

/// What a fault owes to another one of its kind.
#[derive(Clone, Debug)]
struct Shared {
    /// The links that both break.
    routes: Vec<Route>,
    /// What the other one had counted on them when this one began.
    before: u64,
    /// What it had counted when it ended; `None` while it stands.
    ended_at: Option<u64>,
}

/// How bad it is, among breakages of its kind of which only the first rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Late(Duration, Duration),
    Narrow(Reverse<u64>),
}

impl Severity {
    const fn of_its_kind(self, other: Self) -> bool {
        matches!((self, other), (Self::Late(..), Self::Late(..)) | (Self::Narrow(_), Self::Narrow(_)))
    }
}

/// `None` where rules add up by themselves: each cut cuts, and a packet that one loss leaves meets the next.
fn severity(breakage: Breakage) -> Option<Severity> {
    match breakage {
        Breakage::Delay(late) => Some(Severity::Late(late.add + late.jitter / 2, late.jitter)),
        Breakage::Bandwidth(bytes_per_second) => Some(Severity::Narrow(Reverse(bytes_per_second))),
        Breakage::Cut | Breakage::Loss(_) => None,
    }
}

impl Placed {
    /// Whether it breaks this link, and how badly, where that is compared with this.
    fn rivals(&self, route: &Route, with: Severity) -> Option<Severity> {
        let (broken, breakage) = self.broken.as_ref()?;
        (broken == route).then(|| severity(*breakage))?.filter(|found| found.of_its_kind(with))
    }
}

impl Network {
    /// A new rule of a link was put in front: the worse ones of its kind are put in front of it anew, the worst last.
    pub(super) async fn put_worse_in_front(
        &mut self,
        route: &Route,
        breakage: Breakage,
        todo: &mut BTreeMap<String, Vec<String>>,
    ) -> Result<(), Trouble> {
        let Some(new) = severity(breakage) else { return Ok(()) };
        let rivals = self.placed.iter().enumerate();
        let mut worse: Vec<(Severity, usize)> =
            rivals.filter_map(|(index, placed)| Some((placed.rivals(route, new)?, index))).collect();
        worse.retain(|(severity, _)| *severity > new);
        worse.sort_unstable();
        for (_, index) in worse {
            let old = self.placed[index].clone();
            let counted = self.counted(&old.at).await?.get(&old.rule.number).copied().unwrap_or(0);
            self.numbers += 1;
            let placed = &mut self.placed[index];
            placed.rule.number = self.numbers;
            placed.carried += counted;
            todo.entry(old.at).or_default().extend([placed.rule.insert(), old.rule.delete()]);
        }
        Ok(())
    }

    /// Remembers what those have counted that break the same links already.
    pub(super) async fn begin_count(
        &mut self,
        fault: FaultId,
        routes: &[Route],
        breakage: Breakage,
    ) -> Result<(), Trouble> {
        let Some(new) = severity(breakage) else { return Ok(()) };
        let mut shared: BTreeMap<FaultId, Vec<Route>> = BTreeMap::new();
        for route in routes {
            for placed in self.placed.iter().filter(|placed| placed.rivals(route, new).is_some()) {
                shared.entry(placed.fault).or_default().push(route.clone());
            }
        }
        for (other, routes) in shared {
            let before = self.count_of(other, &routes).await?;
            let mine = Shared { routes: routes.clone(), before, ended_at: None };
            let theirs = Shared { routes, before: 0, ended_at: None };
            self.overlaps.0.insert((fault, other), mine);
            self.overlaps.0.insert((other, fault), theirs);
        }
        Ok(())
    }

    /// What those have done to a fault's packets, while it stood, that break the same links.
    pub(super) async fn counted_by_others(&self, fault: FaultId) -> Result<u64, Trouble> {
        let mut sum = 0;
        for ((_, other), shared) in self.overlaps.0.iter().filter(|((of, _), _)| *of == fault) {
            let now = match shared.ended_at {
                Some(count) => count,
                None => self.count_of(*other, &shared.routes).await?,
            };
            sum += now.saturating_sub(shared.before);
        }
        Ok(sum)
    }

    /// A fault ends: those that share its links go on with what it has counted.
    pub(super) async fn end_count(&mut self, fault: FaultId) -> Result<(), Trouble> {
        self.overlaps.0.retain(|(of, _), _| *of != fault);
        let with: Vec<(FaultId, FaultId)> =
            self.overlaps.0.keys().filter(|(_, other)| *other == fault).copied().collect();
        for key in with {
            let routes = self.overlaps.0[&key].routes.clone();
            let count = self.count_of(fault, &routes).await?;
            if let Some(shared) = self.overlaps.0.get_mut(&key) {
                shared.ended_at = Some(count);
            }
        }
        Ok(())
    }

    async fn count_of(&self, fault: FaultId, routes: &[Route]) -> Result<u64, Trouble> {
        let breaks = |placed: &&Placed| placed.broken.as_ref().is_some_and(|(route, _)| routes.contains(route));
        let rules: Vec<&Placed> = self.placed.iter().filter(|placed| placed.fault == fault).filter(breaks).collect();
        self.count(&rules).await
    }
}

#[cfg(test)]
mod tests {
    use pgdrill_lab::faults::Lateness;

    use super::*;

    #[test]
    fn a_longer_delay_and_a_narrower_link_are_worse_and_losses_add_up() {
        let delay = |add, jitter| {
            let late = Lateness { add: Duration::from_millis(add), jitter: Duration::from_millis(jitter) };
            severity(Breakage::Delay(late)).expect("delays are compared")
        };
        let narrow = |rate| severity(Breakage::Bandwidth(rate)).expect("bandwidths are compared");
        assert!(delay(700, 0) > delay(300, 100));
        assert!(delay(300, 1_000) > delay(700, 0), "800 ms on average");
        assert!(narrow(1_000) > narrow(2_000));
        assert!(!delay(1, 0).of_its_kind(narrow(1)), "a link may be slow and narrow at a time");
        assert_eq!(severity(Breakage::Loss(0.5)), None);
        assert_eq!(severity(Breakage::Cut), None);
    }
}
