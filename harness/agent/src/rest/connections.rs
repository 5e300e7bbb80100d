//! Who is connected: how many at once, in all and from one address, and who is let go when there are too many.
//!
//! Whoever can reach the port can open connections and say nothing on them. They must neither fill the agent's memory nor use up
//! its descriptors, and a health check must get its answer all the while. So nobody is turned away at the door; a newcomer takes the
//! place of who has kept us waiting the longest, among those of the same address if that has its share already, else among those
//! of the address with the most. Patroni serves five at a time and lets the others wait, for as long as the five please.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

/// All connections of one server. Clones are the same.
#[derive(Clone)]
pub(super) struct Connections {
    in_all: usize,
    of_one: usize,
    /// Room for larger bodies, in KiB.
    pub bodies: Arc<Semaphore>,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    count: u64,
    guests: BTreeMap<u64, (IpAddr, Arc<Guest>)>,
}

/// One connection, as long as it counts.
pub(super) struct Visit {
    number: u64,
    guest: Arc<Guest>,
    open: Arc<Mutex<Open>>,
}

/// What is known of one connection.
pub(super) struct Guest {
    answering: AtomicBool,
    since: Mutex<Instant>,
    let_go: Notify,
}

/// Kilobytes of larger bodies that are held at once, whoever sends them.
const BODIES_KIB: usize = 2048;

impl Connections {
    /// Room for so many.
    pub fn new(in_all: usize) -> Self {
        let of_one = (in_all / 4).max(1);
        Self { in_all: in_all.max(1), of_one, bodies: Arc::new(Semaphore::new(BODIES_KIB)), open: Arc::default() }
    }

    /// Lets somebody in, and somebody else go if that is one too many. Tells whether it was.
    pub fn enter(&self, address: IpAddr) -> (Visit, bool) {
        let peer = share(address);
        let mut open = lock(&self.open);
        let crowded = self.who_must_go(&open, peer).is_some_and(|number| open.let_go(number));
        open.count += 1;
        let number = open.count;
        let guest = Arc::new(Guest {
            answering: AtomicBool::new(false),
            since: Mutex::new(Instant::now()),
            let_go: Notify::new(),
        });
        open.guests.insert(number, (peer, Arc::clone(&guest)));
        drop(open);
        (Visit { number, guest, open: Arc::clone(&self.open) }, crowded)
    }

    fn who_must_go(&self, open: &Open, newcomer: IpAddr) -> Option<u64> {
        let mut shares: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for (peer, _) in open.guests.values() {
            *shares.entry(*peer).or_default() += 1;
        }
        let from = if shares.get(&newcomer).is_some_and(|count| *count >= self.of_one) {
            newcomer
        } else if open.guests.len() >= self.in_all {
            *shares.iter().max_by_key(|(_, count)| **count)?.0
        } else {
            return None;
        };
        open.longest_waiting(|peer| peer == from)
    }

    /// The operating system has no descriptor left for a newcomer: whoever has kept us waiting the longest gives his.
    pub fn make_room(&self) {
        let mut open = lock(&self.open);
        if let Some(number) = open.longest_waiting(|_| true) {
            open.let_go(number);
        }
    }

    /// Lets those go that have kept us waiting longer than `limit`: who sends no request, or does not read the answer.
    pub fn sweep(&self, limit: Duration) {
        let mut open = lock(&self.open);
        let now = Instant::now();
        let late = |guest: &Guest| !guest.is_answering() && now.duration_since(guest.since()) > limit;
        let late: Vec<_> =
            open.guests.iter().filter(|(_, (_, guest))| late(guest)).map(|(number, _)| *number).collect();
        for number in late {
            open.let_go(number);
        }
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        lock(&self.open).guests.is_empty()
    }
}

impl Open {
    fn longest_waiting(&self, counts: impl Fn(IpAddr) -> bool) -> Option<u64> {
        let guests = self.guests.iter().filter(|(_, (peer, _))| counts(*peer));
        // Whoever is being answered goes last.
        guests.min_by_key(|(_, (_, guest))| (guest.is_answering(), guest.since())).map(|(number, _)| *number)
    }

    /// From now on the connection does not count, and its task ends at its next pause.
    fn let_go(&mut self, number: u64) -> bool {
        self.guests.remove(&number).is_some_and(|(_, guest)| {
            guest.let_go.notify_one();
            true
        })
    }
}

impl Visit {
    /// The connection.
    pub fn guest(&self) -> Arc<Guest> {
        Arc::clone(&self.guest)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        lock(&self.open).guests.remove(&self.number);
    }
}

impl Guest {
    /// A request is there and being answered: the client is not to blame for the time.
    pub fn answering(&self) {
        self.answering.store(true, Ordering::Relaxed);
    }

    /// It is the client's turn: to send a request or the rest of it, or to read the answer.
    pub fn waiting(&self) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.answering.store(false, Ordering::Relaxed);
    }

    /// Completes when somebody else needs the place.
    pub async fn let_go(&self) {
        self.let_go.notified().await;
    }

    fn is_answering(&self) -> bool {
        self.answering.load(Ordering::Relaxed)
    }

    fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address: of IPv6 the network, of which every host has as many addresses as it likes.
fn share(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// Held for moments only; a panic while it is held leaves nothing half done.
fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Whether the connection is still wanted.
    async fn stays(visit: &Visit) -> bool {
        tokio::time::timeout(Duration::ZERO, visit.guest().let_go()).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_takes_the_place_of_who_keeps_us_waiting_the_longest() {
        let connections = Connections::new(8);
        let mut slow = Vec::new();
        for _ in 0..2 {
            slow.push(connections.enter(at("10.0.0.9")).0);
            advance(Duration::from_secs(1)).await;
        }
        slow[0].guest().answering();
        let (newcomer, crowded) = connections.enter(at("10.0.0.9"));
        assert!(crowded, "one address has a fourth of the room");
        assert!(stays(&slow[0]).await && !stays(&slow[1]).await && stays(&newcomer).await);
        let (check, crowded) = connections.enter(at("10.0.0.1"));
        assert!(!crowded && stays(&check).await, "others are not concerned");
        advance(Duration::from_secs(1)).await;
        slow[0].guest().waiting();
        let (_third, _) = connections.enter(at("10.0.0.9"));
        assert!(!stays(&newcomer).await, "it has waited longer than the one that was answered meanwhile");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_house_makes_room_where_most_are() {
        let connections = Connections::new(8);
        let hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"];
        let crowd = hosts.map(|host| connections.enter(at(host)).0);
        let (newcomer, crowded) = connections.enter(at("10.0.0.8"));
        assert!(crowded && stays(&newcomer).await);
        for (number, visit) in crowd.iter().enumerate() {
            assert_eq!(stays(visit).await, number != 1, "only the first of the host with two had to go: {number}");
        }
        assert_eq!(lock(&connections.open).guests.len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn who_neither_asks_nor_reads_is_let_go_in_time() {
        let connections = Connections::new(8);
        let (idle, _) = connections.enter(at("::ffff:10.0.0.1"));
        let (busy, _) = connections.enter(at("10.0.0.1"));
        busy.guest().answering();
        advance(Duration::from_secs(31)).await;
        connections.sweep(Duration::from_secs(30));
        assert!(!stays(&idle).await && stays(&busy).await);
        drop(busy);
        assert!(connections.is_empty());
        connections.make_room();
    }

    #[test]
    fn one_host_has_one_share_whatever_address_it_uses() {
        assert_eq!(share(at("::ffff:10.0.0.1")), at("10.0.0.1"));
        assert_eq!(share(at("2001:db8::1")), share(at("2001:db8::ffff:1:2:3")));
        assert_ne!(share(at("2001:db8::1")), share(at("2001:db8:0:1::1")));
    }
}
