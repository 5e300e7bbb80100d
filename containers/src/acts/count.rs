//! What a fault has had an effect on until now.

use pgdrill_lab::player::{Evidence, Kind};

use super::{Acts, network::Part};
use crate::machine::{Trouble, steering};

impl Acts {
    pub(super) async fn count(&self, kind: &Kind) -> Result<Evidence, Trouble> {
        let mut words = String::new();
        let number = match kind {
            Kind::Cut(routes) => self.network.affected(routes, Part::Cut).await?,
            Kind::Loss(routes, _) => self.network.affected(routes, Part::Loss).await?,
            Kind::Bandwidth(routes, _) => self.network.affected(routes, Part::Bandwidth).await?,
            Kind::Delay(routes, _) => {
                if let Some(mean) = self.network.mean_delay(routes).await? {
                    words += &format!(", {:.1} ms each on average", mean.as_secs_f64() * 1e3);
                }
                if let Some(by) = self.network.held_by(routes) {
                    words += &format!(", held by {by}");
                }
                self.network.affected(routes, Part::Delay).await?
            }
            Kind::NoDns(hosts) => self.network.unanswered(hosts).await?,
            Kind::SlowFsync(hosts, _) => {
                let mut fsyncs = 0;
                for host in hosts {
                    fsyncs += steering::slow_fsyncs(self.machine(host)).await?;
                }
                fsyncs
            }
            // The effect of the others is seen when they begin.
            Kind::Down(..) | Kind::Dark(_) | Kind::Frozen(..) | Kind::Full(_) => 0,
            Kind::Drift(..) | Kind::ReplayPaused(_) | Kind::Paused => 0,
        };
        Ok(Evidence::Count { number, words })
    }
}
