//! The packet filter's rules as text, and its counters.
//!
//! A link is broken at the end that *receives*: the packets are lost after the sender's kernel has sent them, as on a real
//! network. A rule at the sender would tell its kernel that the packet never left, and TCP counts and times that differently.
//! Only when the receiver cannot be reached (its container is paused) does the rule stand at the sender.
//!
//! ```text
//! hook of the receiver   (of the sender)        what stands there
//! mangle PREROUTING      mangle POSTROUTING     bandwidth: NFQUEUE, packets wait for their turn
//! mangle INPUT           mangle OUTPUT          delay: NFQUEUE, or a counter behind netem (see [`super::netem`])
//! filter INPUT           filter OUTPUT          cut, loss: DROP
//! ```
//!
//! So packets in flight, held by a delay, meet a cut that came later. Connection tracking is not used: packets of established
//! connections are treated like all others.

use std::{collections::BTreeMap, fmt, net::Ipv4Addr};

use super::netem;

/// What a rule does to the packets of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Drops them all.
    Drop,
    /// Drops each with this probability.
    Lose(f64),
    /// Holds them in the queue with this number.
    Delay(u16),
    /// Counts them behind the kernel's queue with this number, which holds them.
    Netem(u16),
    /// Lets so much pass, in the queue with this number.
    Narrow(u16),
    /// Drops answers to questions about names; the address is the name server's.
    Unanswered,
}

impl Effect {
    /// The queue that it leads packets into, or counts them behind.
    #[must_use]
    pub const fn queue(self) -> Option<u16> {
        match self {
            Self::Delay(number) | Self::Netem(number) | Self::Narrow(number) => Some(number),
            Self::Drop | Self::Lose(_) | Self::Unanswered => None,
        }
    }
}

/// At which end of a link a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where packets arrive.
    Receiver,
    /// Where packets leave.
    Sender,
}

/// One rule of the packet filter. Its comment is its name, by which it is counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Unique in the run.
    pub number: u32,
    /// Who sends.
    pub from: Ipv4Addr,
    /// Who receives; `None`: whoever is there. Hosts that share a container have addresses of their own.
    pub to: Option<Ipv4Addr>,
    /// Where it stands.
    pub end: End,
    /// What it does.
    pub effect: Effect,
}

impl Rule {
    /// The command that puts it in front of all others, so that the newest fault of a link counts.
    #[must_use]
    pub fn insert(&self) -> String {
        self.put("-I", self.order())
    }

    /// The command that puts it behind all others: the latency that is always there.
    #[must_use]
    pub fn append(&self) -> String {
        self.put("-A", u16::MAX)
    }

    /// The command that takes it away.
    #[must_use]
    pub fn delete(&self) -> String {
        let taken = self.command("-D");
        match self.effect {
            Effect::Netem(_) => format!("{taken} && {}", netem::release(self.order())),
            _ => taken,
        }
    }

    fn put(&self, what: &str, order: u16) -> String {
        let put = self.command(what);
        match self.effect {
            Effect::Netem(queue) => format!("{} && {put}", netem::steer(order, self.from, self.to, queue)),
            _ => put,
        }
    }

    /// The newest comes first.
    fn order(&self) -> u16 {
        u16::MAX - 1 - u16::try_from(self.number % 65_000).unwrap_or(0)
    }

    fn command(&self, what: &str) -> String {
        let (table, chain) = self.place();
        format!("iptables -w 5 -t {table} {what} {chain} {self}")
    }

    const fn place(&self) -> (&'static str, &'static str) {
        match (self.effect, self.end) {
            (Effect::Narrow(_), End::Receiver) => ("mangle", "PREROUTING"),
            (Effect::Narrow(_), End::Sender) => ("mangle", "POSTROUTING"),
            (Effect::Delay(_) | Effect::Netem(_), End::Receiver) => ("mangle", "INPUT"),
            (Effect::Delay(_) | Effect::Netem(_), End::Sender) => ("mangle", "OUTPUT"),
            (_, End::Receiver) => ("filter", "INPUT"),
            (_, End::Sender) => ("filter", "OUTPUT"),
        }
    }
}

impl fmt::Display for Rule {
    /// The specification, the same for adding and deleting.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-s {}", self.from)?;
        if let Some(to) = self.to {
            write!(f, " -d {to}")?;
        }
        match self.effect {
            Effect::Lose(probability) => write!(f, " -m statistic --mode random --probability {probability}")?,
            // Docker's own name server answers from another port than 53.
            Effect::Unanswered => f.write_str(" -p udp")?,
            _ => {}
        }
        write!(f, " -m comment --comment {}", name(self.number))?;
        match self.effect {
            Effect::Drop | Effect::Lose(_) | Effect::Unanswered => f.write_str(" -j DROP"),
            // It ends the way through this table, so that the newest counts, and lets pass what other tables let pass.
            Effect::Netem(_) => f.write_str(" -j ACCEPT"),
            // Without a listener packets pass: a lab that dies leaves no link broken.
            Effect::Delay(queue) | Effect::Narrow(queue) => write!(f, " -j NFQUEUE --queue-num {queue} --queue-bypass"),
        }
    }
}

fn name(number: u32) -> String {
    format!("pgdrill-{number}")
}

/// The command that prints every rule with its counters.
pub const LIST: &str = "iptables -w 5 -L -v -x -n && iptables -w 5 -t mangle -L -v -x -n";

/// Packets by the number of the rule that they met, from what [`LIST`] prints.
#[must_use]
pub fn counters(listed: &str) -> BTreeMap<u32, u64> {
    let of_line = |line: &str| {
        let comment = line.split("/* pgdrill-").nth(1)?;
        let number = comment.split(' ').next()?.parse().ok()?;
        let packets = line.split_whitespace().next()?.parse().ok()?;
        Some((number, packets))
    };
    listed.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PG1: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 11);
    const PG2: Ipv4Addr = Ipv4Addr::new(172, 30, 0, 12);

    fn rule(effect: Effect, end: End) -> Rule {
        Rule { number: 7, from: PG1, to: Some(PG2), end, effect }
    }

    #[test]
    fn a_cut_stands_where_packets_arrive() {
        assert_eq!(
            rule(Effect::Drop, End::Receiver).insert(),
            "iptables -w 5 -t filter -I INPUT -s 172.30.0.11 -d 172.30.0.12 -m comment --comment pgdrill-7 -j DROP"
        );
        assert_eq!(
            rule(Effect::Drop, End::Sender).delete(),
            "iptables -w 5 -t filter -D OUTPUT -s 172.30.0.11 -d 172.30.0.12 -m comment --comment pgdrill-7 -j DROP"
        );
    }

    #[test]
    fn loss_delay_and_bandwidth_have_their_hooks() {
        assert_eq!(
            rule(Effect::Lose(0.25), End::Receiver).insert(),
            "iptables -w 5 -t filter -I INPUT -s 172.30.0.11 -d 172.30.0.12 -m statistic --mode random --probability 0.25 \
             -m comment --comment pgdrill-7 -j DROP"
        );
        assert_eq!(
            rule(Effect::Delay(3), End::Receiver).append(),
            "iptables -w 5 -t mangle -A INPUT -s 172.30.0.11 -d 172.30.0.12 -m comment --comment pgdrill-7 \
             -j NFQUEUE --queue-num 3 --queue-bypass"
        );
        assert!(rule(Effect::Narrow(4), End::Sender).insert().contains("-t mangle -I POSTROUTING -s 172.30.0.11"));
    }

    #[test]
    fn behind_netem_packets_are_counted_and_the_newest_fault_is_first() {
        let netem = |number| Rule { number, ..rule(Effect::Netem(3), End::Receiver) };
        assert_eq!(
            netem(7).insert(),
            "tc filter add dev pgdrill0 parent 1: protocol ip prio 65527 u32 match ip src 172.30.0.11/32 match ip dst \
             172.30.0.12/32 flowid 1:3 && iptables -w 5 -t mangle -I INPUT -s 172.30.0.11 -d 172.30.0.12 -m comment \
             --comment pgdrill-7 -j ACCEPT"
        );
        assert_eq!(
            netem(7).delete(),
            "iptables -w 5 -t mangle -D INPUT -s 172.30.0.11 -d 172.30.0.12 -m comment --comment pgdrill-7 -j ACCEPT && \
             tc filter del dev pgdrill0 parent 1: protocol ip prio 65527"
        );
        assert!(netem(8).insert().contains(" prio 65526 "));
        assert!(netem(9).append().contains(" prio 65535 ") && netem(9).append().contains(" -A INPUT "));
    }

    #[test]
    fn counters_are_read_by_the_rules_names() {
        let listed = "\
Chain INPUT (policy ACCEPT 12 packets, 720 bytes)
    pkts      bytes target     prot opt in     out     source               destination         
      42     2520 DROP       0    --  *      *       172.30.0.11          0.0.0.0/0            /* pgdrill-7 */
       0        0 DROP       0    --  *      *       172.30.0.12          0.0.0.0/0            statistic mode random \
probability 0.25000000000 /* pgdrill-8 */
      11      700 ACCEPT     0    --  *      *       0.0.0.0/0            0.0.0.0/0            /* of somebody else */

Chain OUTPUT (policy ACCEPT 0 packets, 0 bytes)
    pkts      bytes target     prot opt in     out     source               destination         
  123456  9999999 NFQUEUE    0    --  *      *       0.0.0.0/0            172.30.0.13          /* pgdrill-31 */ NFQUEUE \
num 2 bypass
";
        assert_eq!(counters(listed), BTreeMap::from([(7, 42), (8, 0), (31, 123_456)]));
        assert!(counters("").is_empty());
    }
}
