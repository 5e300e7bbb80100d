//! Delay by the kernel's own emulator (`sch_netem`), where it has one: the packets of a link wait in it for their time.
//!
//! netem sits where packets leave, and a link is broken where they arrive. So all that arrives is led through a device of its own
//! first, and leaves that one:
//!
//! ```text
//! eth0 (ingress) ── mirred ──> pgdrill0: htb ──┬─ not steered: at once ───────┬──> the packet filter, the programs
//!                                              └─ 1:7 ── netem delay 50ms ────┘
//! ```
//!
//! A rule of the packet filter counts what has come through. netem keeps the order of packets only when it has a rate to keep
//! too: it is given one that nothing reaches.

use std::{fmt, net::Ipv4Addr, time::Duration};

/// What holds delayed packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The kernel.
    Netem,
    /// `pgdrill internal packet-delay`, in user space.
    Nfqueue,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Netem => "tc netem",
            Self::Nfqueue => "NFQUEUE",
        })
    }
}

/// Whether everything that is needed is there: tried on two devices that nobody uses, which are gone afterwards.
pub const TRY: &str = "ip link add pgdrill8 type ifb && ip link add pgdrill9 type ifb && tc qdisc add dev pgdrill8 ingress && \
    tc filter add dev pgdrill8 parent ffff: protocol ip u32 match u32 0 0 action mirred egress redirect dev pgdrill9 && \
    tc qdisc add dev pgdrill9 root handle 1: htb && \
    tc class add dev pgdrill9 parent 1: classid 1:1 htb rate 100gbit quantum 60000 && \
    tc qdisc add dev pgdrill9 parent 1:1 netem delay 1ms 1ms rate 100gbit; \
    answer=$?; ip link del pgdrill8; ip link del pgdrill9; exit $answer";

/// The commands that lead what arrives through the device, unless that was done before.
const LEAD: &str = "{ [ -e /sys/class/net/pgdrill0 ] || { \
    ip link add pgdrill0 txqueuelen 100000 type ifb && ip link set pgdrill0 up && \
    tc qdisc add dev pgdrill0 root handle 1: htb && tc qdisc add dev eth0 ingress && \
    tc filter add dev eth0 parent ffff: protocol ip u32 match u32 0 0 action mirred egress redirect dev pgdrill0; }; }";

/// The commands that open a queue, in which packets wait for `delay` and up to `jitter` more.
pub(super) fn open(number: u16, delay: Duration, jitter: Duration) -> String {
    // netem spreads evenly to both sides of the middle.
    let (middle, spread) = ((delay + jitter / 2).as_micros(), (jitter / 2).as_micros());
    format!(
        "{LEAD} && tc class add dev pgdrill0 parent 1: classid 1:{number:x} htb rate 100gbit quantum 60000 && \
         tc qdisc add dev pgdrill0 parent 1:{number:x} netem limit 100000 delay {middle}us {spread}us rate 100gbit"
    )
}

/// The command that sends the packets of a link into a queue; of several, the lowest order counts. The queue is never closed:
/// nothing more is sent into it, and what waits in it still arrives.
pub(super) fn steer(order: u16, from: Ipv4Addr, to: Option<Ipv4Addr>, number: u16) -> String {
    let to = to.map_or_else(String::new, |to| format!(" match ip dst {to}/32"));
    format!(
        "tc filter add dev pgdrill0 parent 1: protocol ip prio {order} u32 match ip src {from}/32{to} flowid 1:{number:x}"
    )
}

/// The command that undoes [`steer`].
pub(super) fn release(order: u16) -> String {
    format!("tc filter del dev pgdrill0 parent 1: protocol ip prio {order}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_of_netem_spreads_its_delay_over_the_whole_jitter_and_keeps_the_order() {
        let opened = open(26, Duration::from_millis(50), Duration::from_millis(10));
        let queue = "tc qdisc add dev pgdrill0 parent 1:1a netem limit 100000 delay 55000us 5000us rate 100gbit";
        assert!(opened.starts_with("{ [ -e /sys/class/net/pgdrill0 ] || {") && opened.ends_with(queue), "{opened}");
        assert!(opened.contains("tc class add dev pgdrill0 parent 1: classid 1:1a htb"), "{opened}");
    }

    #[test]
    fn a_link_is_steered_by_both_its_addresses() {
        let (a, b) = (Ipv4Addr::new(198, 18, 0, 11), Ipv4Addr::new(198, 18, 0, 12));
        assert_eq!(
            steer(7, a, Some(b), 26),
            "tc filter add dev pgdrill0 parent 1: protocol ip prio 7 u32 match ip src 198.18.0.11/32 match ip dst \
             198.18.0.12/32 flowid 1:1a"
        );
        assert_eq!(release(7), "tc filter del dev pgdrill0 parent 1: protocol ip prio 7");
    }
}
