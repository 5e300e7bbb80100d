//! Wakes the HA loop when somebody changed what it waits for. Only a hint: the loop reads everything itself each cycle, so a
//! watch that died in silence or was cancelled (Patroni issue 3396) costs at most one `loop_wait`.

use std::{sync::Arc, time::Duration};

use pgdrill_ha::records::{Key, Keys};
use tokio::{sync::Notify, time::sleep};

use super::{Kv, KvWatch};

/// How long to wait before a lost watch is opened again.
const REOPEN_AFTER: Duration = Duration::from_secs(2);

/// Watches the cluster's keys for ever and notifies `wake` of changes to the lock, the configuration, a requested
/// switchover and the synchronous standbys. `status` and the members change every cycle: nobody waits for those.
pub async fn wake_on_change<K: Kv>(kv: Arc<K>, keys: Keys, wake: Arc<Notify>) {
    loop {
        if let Ok(mut watch) = kv.watch(keys.prefix()).await {
            // Whatever changed while there was no watch was missed.
            wake.notify_one();
            while let Ok(changed) = watch.changed().await {
                if changed.iter().any(|path| keys.parse(path).is_some_and(|key| is_awaited(&key))) {
                    wake.notify_one();
                }
            }
        }
        sleep(REOPEN_AFTER).await;
    }
}

fn is_awaited(key: &Key) -> bool {
    matches!(key, Key::Leader | Key::Config | Key::Failover | Key::Sync | Key::Initialize)
}
