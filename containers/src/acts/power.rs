//! Whole containers: paused, without power, started again.

use super::network::Network;
use crate::machine::{Machine, State, Trouble};

/// What is added of a host without power: that memory outlives it is the difference to a real power loss.
pub(super) const DARK: &str = " (nothing left it any more, then its container was killed; unlike on a real machine, what was \
                               written and not yet fsync'd is still there)";

/// Takes the power away. First nothing leaves the host any more: a kernel that lives on would close the dead processes'
/// connections, and a machine without power does not.
///
/// # Errors
/// When Docker refuses, or a command in the container fails.
pub async fn off(machine: &Machine, network: &mut Network) -> Result<bool, Trouble> {
    if machine.state().await? == State::Paused {
        machine.unpause().await?;
    }
    if machine.state().await? != State::Running {
        return Ok(false);
    }
    network.before_restart(&machine.name).await?;
    machine.script("iptables -w 5 -I OUTPUT -j DROP && iptables -w 5 -I INPUT -j DROP").await?;
    machine.kill().await?;
    Ok(machine.state().await? == State::Stopped)
}

/// Gives the power back; the container's network is as it was, and nothing but its idle first process runs.
///
/// # Errors
/// When Docker refuses, or a command in the container fails.
pub async fn on(machine: &Machine, network: &mut Network) -> Result<bool, Trouble> {
    if machine.state().await? != State::Stopped {
        return Ok(false);
    }
    machine.start().await?;
    network.after_restart(&machine.name).await?;
    Ok(true)
}

/// Everything in it stands still, as in a suspended virtual machine; but its kernel goes on and takes packets in.
///
/// # Errors
/// When Docker refuses, or a command in the container fails.
pub async fn freeze(machine: &Machine) -> Result<bool, Trouble> {
    match machine.state().await? {
        State::Running => machine.pause().await?,
        // Another fault froze it, and it stands still until both are over.
        State::Paused => return Ok(true),
        State::Stopped => return Ok(false),
    }
    Ok(machine.state().await? == State::Paused)
}

/// Everything in it goes on.
///
/// # Errors
/// When Docker refuses, or a command in the container fails.
pub async fn thaw(machine: &Machine, network: &mut Network) -> Result<bool, Trouble> {
    if machine.state().await? != State::Paused {
        return Ok(false);
    }
    machine.unpause().await?;
    network.after_pause(&machine.name).await?;
    Ok(machine.state().await? == State::Running)
}
