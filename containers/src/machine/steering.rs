//! Wall clock, fsync and watchdog device of a node, through the [fault shim](crate::shim).

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Machine, Trouble};
use crate::{
    inside::steer::Steering,
    shim::{LIBRARY, LIBRARY_PATH, STEERING_PATH, WATCHDOG_DEVICE, WATCHDOG_PATH},
};

/// A running agent or PostgreSQL has looked at its wall clock by then.
const LIMIT: Duration = Duration::from_secs(5);

/// Puts the shim into a node's container, before anything is started there with it.
///
/// # Errors
/// When the container cannot take it.
pub async fn install(machine: &Machine) -> Result<(), Trouble> {
    machine.put(LIBRARY_PATH, LIBRARY).await?;
    steer(machine, "").await.map(drop)
}

/// Gives a node's container a watchdog device that is off, and belongs to who runs the agent there. A container that was
/// started again has lost it.
///
/// # Errors
/// When Docker lets no device be made in its containers.
pub async fn install_watchdog(machine: &Machine, owner: &str) -> Result<(), Trouble> {
    let path = WATCHDOG_PATH;
    machine.script(&format!("rm -f {path} && mknod -m 600 {path} {WATCHDOG_DEVICE} && chown {owner}: {path}")).await?;
    steer(machine, " --watchdog-off").await.map(drop)
}

/// Steps the wall clock, and waits until a process has read it; how often it was read.
///
/// # Errors
/// When the shim cannot be steered.
pub async fn step(machine: &Machine, nanos: i64) -> Result<u64, Trouble> {
    let before = steer(machine, &format!(" --step-ns={nanos}")).await?;
    let began = Instant::now();
    loop {
        let read = steer(machine, "").await?.readings - before.readings;
        if read > 0 || began.elapsed() > LIMIT {
            return Ok(read);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Makes every fsync slower, or as fast as before (zero).
///
/// # Errors
/// When the shim cannot be steered.
pub async fn slow_fsync(machine: &Machine, delay: Duration) -> Result<(), Trouble> {
    let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
    steer(machine, &format!(" --fsync-ns={nanos}")).await.map(drop)
}

/// How many slow fsyncs were done until now.
///
/// # Errors
/// When the shim does not say.
pub async fn slow_fsyncs(machine: &Machine) -> Result<u64, Trouble> {
    steer(machine, "").await.map(|steering| steering.fsyncs)
}

async fn steer(machine: &Machine, change: &str) -> Result<Steering, Trouble> {
    let said = machine.script(&format!("pgdrill internal steer {STEERING_PATH}{change}")).await?;
    serde_json::from_str(&said).map_err(|e| machine.trouble(format!("the shim's steering: {e}: {said}")))
}
