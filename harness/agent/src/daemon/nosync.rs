//! A synchronous standby that is about to end (`Ha.while_not_sync_standby`): until the primary notices by
//! itself, every commit would wait for it. So it says `nosync` in its member key and waits to be dropped from `/sync`. Only a
//! hint: with a primary that does not react, or without a DCS, it goes all the same.

use std::{sync::Arc, time::Duration};

use pgdrill_ha::view::Cluster;
use tokio::time::{Instant, sleep};

use super::parts::{Parts, Ports};

/// How often `/sync` is looked at.
const POLL: Duration = Duration::from_secs(2);

/// As long as it lives, this node tells others that it must not be a synchronous standby.
pub(crate) struct Leaving<T: Ports>(Arc<Parts<T>>);

impl<T: Ports> Drop for Leaving<T> {
    fn drop(&mut self) {
        self.0.shared.published().leaving_sync -= 1;
    }
}

/// From now on the member record says `nosync`, which somebody has to write. `None`: there is no need, since we lead, are no
/// candidate, or nothing is synchronous.
pub(crate) fn announce<T: Ports>(parts: &Arc<Parts<T>>) -> Option<Leaving<T>> {
    let mut published = parts.shared.published();
    let config = &published.config;
    if published.is_leader(parts.clock.now()) || !config.is_synchronous() || config.tags.nosync() {
        return None;
    }
    published.leaving_sync += 1;
    Some(Leaving(Arc::clone(parts)))
}

impl<T: Ports> Leaving<T> {
    /// Waits until `/sync` does not name us: twice `loop_wait` at most, since the primary should notice in its next loop, and not
    /// at all when the DCS does not answer.
    pub async fn released(&self) {
        let parts = &self.0;
        let deadline = Instant::now() + parts.shared.published().config.loop_wait * 2;
        let name = parts.config().name.clone();
        let strict = parts.shared.published().config.synchronous_mode_strict;
        let waits = |cluster: &Cluster| {
            // Strict, and nobody to take our place: commits will wait for us, and `/sync` goes on naming us.
            cluster.sync.value.is_standby(&name) && (!strict || could_be_replaced(cluster, &name))
        };
        while parts.dcs.load().await.is_ok_and(|cluster| waits(&cluster)) {
            if Instant::now() >= deadline {
                parts.trouble("ha", "the primary has not released us from synchronous standby: we go all the same");
                return;
            }
            sleep(POLL).await;
        }
    }
}

/// Whether another member could be the synchronous standby.
fn could_be_replaced(cluster: &Cluster, name: &str) -> bool {
    let others = cluster.members.iter().filter(|(other, _)| *other != name && !cluster.is_leader(other));
    others.into_iter().any(|(_, member)| member.is_running() && !member.tags.nosync())
}

#[cfg(test)]
#[path = "nosync_tests.rs"]
mod tests;
