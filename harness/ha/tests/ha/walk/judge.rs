//! What must never be, seen from outside: by PostgreSQL's servers, by etcd's keys, by what REST tells and by what clients were told.
//!
//! | violation | the rule, and whose it is |
//! |---|---|
//! | [`Violation::TwoWritable`] | With a dead-man process or a watchdog two servers never accept writes at the same moment. Without one, as in Patroni without watchdog, they may if the agent of one stood still at the end of its leadership, or waited for an answer, until it has gone on, decided and come to its next sleep. |
//! | [`Violation::LostCommit`] | In synchronous mode whatever server becomes a primary has every commit that was acknowledged to a client, unless an operator has asked for a failover, at their own risk. In quorum mode without dead-man process and watchdog those do not count that a primary acknowledged of which two may be: its standbys' votes were counted before. |
//! | [`Violation::BrokenWord`] | Who has answered `Accepted` to `POST /failsafe` has no promotion within ttl, counted on its own clock from the answer. |
//! | [`Violation::ClaimBeyondLease`] | Nobody calls itself leader by the lock (200 of `/primary`) for longer than etcd keeps the lock for it. |
//! | [`Violation::TwoClaims`] | No two nodes call themselves leader at the same moment, be it by the lock or by the members' word. |
//! | [`Violation::PromotedWithoutLock`] | `pg_ctl promote` is not called unless the lock is the node's in etcd at the moment of the last look at the clock. |
//! | others | A cycle comes to its end. |
//!
//! Clocks that drift against each other may make for as much overlap as they drift apart within two ttls, and one quantum.

use std::collections::BTreeMap;
use std::time::Duration;

use pgdrill_ha::Monotonic;
use pgdrill_ha::config::SynchronousMode;

use super::world::World;
use super::{Guard, Ms, NAMES, QUANTUM, TTL};

#[derive(Debug, Clone, PartialEq)]
pub enum Violation {
    TwoWritable {
        one: &'static str,
        other: &'static str,
    },
    LostCommit {
        on: &'static str,
        author: u32,
        acknowledged: u64,
    },
    BrokenWord {
        giver: &'static str,
        leader: &'static str,
    },
    ClaimBeyondLease {
        by: &'static str,
        beyond_ms: Ms,
    },
    TwoClaims {
        one: &'static str,
        other: &'static str,
    },
    PromotedWithoutLock {
        by: &'static str,
    },
    /// A cycle does not come to a decision.
    Circles {
        node: usize,
        reason: String,
    },
    /// Steps without end in a single moment.
    NoRest,
    /// An agent ends by itself.
    Exits {
        node: usize,
    },
}

#[derive(Debug, Clone, Default)]
pub struct Judge {
    pub violation: Option<Violation>,
    /// Who gave its word to whom and when, by the giver's clock.
    pub consents: Vec<(usize, usize, Monotonic)>,
    /// By the author of the WAL, up to where commits were acknowledged.
    pub acknowledged: BTreeMap<u32, u64>,
    /// An operator has asked for a failover: commits may be lost by it.
    pub is_at_own_risk: bool,
    /// Promotions so far.
    pub authors: u32,
    two_writable_since: Option<Ms>,
    two_claims_since: Option<Ms>,
}

impl Judge {
    /// The first violation counts: what follows may follow from it.
    pub fn found(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }
}

impl World {
    /// How long an overlap may be that drifting clocks make.
    fn slack(&self) -> Ms {
        match self.settings.drift.unsigned_abs() {
            0 => 0,
            drift => 4 * TTL * drift / 1_000_000 + QUANTUM,
        }
    }

    /// Beyond the end of its leadership, with an agent that was occupied then, and nothing else to stop it in time.
    pub fn is_excused(&self, n: usize) -> bool {
        let node = &self.nodes[n];
        self.settings.guard == Guard::Nothing && node.is_late
    }

    /// Looks at everybody, after every single step.
    pub fn judge(&mut self) {
        let pair = |who: Vec<usize>| (who.len() > 1).then(|| (NAMES[who[0]], NAMES[who[1]]));
        let all = || 0..self.nodes.len();
        let writable = pair(all().filter(|n| self.nodes[*n].postgres.may_write() && !self.is_excused(*n)).collect());
        let claims = pair(all().filter(|n| self.nodes[*n].claims(self.now)).collect());
        let (now, slack) = (self.now, self.slack());
        let judge = &mut self.judge;
        if let Some((one, other)) = lasting(writable, &mut judge.two_writable_since, now, slack) {
            judge.found(Violation::TwoWritable { one, other });
        }
        if let Some((one, other)) = lasting(claims, &mut judge.two_claims_since, now, slack) {
            judge.found(Violation::TwoClaims { one, other });
        }
        for n in 0..self.nodes.len() {
            self.judge_claim(n);
        }
    }

    fn judge_claim(&mut self, n: usize) {
        let node = &self.nodes[n];
        let by_lock = node.memory.failsafe.agreed_until.is_none();
        if !by_lock || !node.claims(self.now) {
            return;
        }
        let lasts = self.etcd.lock_lasts_until(n).unwrap_or(self.now).max(self.now);
        let claimed = node.claim.expect("it claims");
        let beyond_ms = claimed.since(node.clock(lasts)).as_millis() as Ms;
        if beyond_ms > self.slack() {
            self.judge.found(Violation::ClaimBeyondLease { by: NAMES[n], beyond_ms });
        }
    }

    /// A node is about to promote its server.
    pub fn judge_promotion(&mut self, n: usize) {
        if self.etcd.lock.as_ref().is_none_or(|lock| lock.holder != n) {
            self.judge.found(Violation::PromotedWithoutLock { by: NAMES[n] });
        }
        self.judge_word(n);
    }

    /// A server that took no writes takes them from now on.
    pub fn judge_new_primary(&mut self, n: usize) {
        let postgres = &self.nodes[n].postgres;
        let lost = self.judge.acknowledged.iter().find(|(author, end)| !postgres.has(**author, **end));
        if let Some((author, acknowledged)) =
            lost.filter(|_| self.settings.mode != SynchronousMode::Off && !self.judge.is_at_own_risk)
        {
            let (author, acknowledged) = (*author, *acknowledged);
            self.judge.found(Violation::LostCommit { on: NAMES[n], author, acknowledged });
        }
        self.judge_word(n);
    }

    fn judge_word(&mut self, n: usize) {
        let now = self.nodes[n].clock(self.now);
        let ttl = Duration::from_millis(TTL);
        let broken = self.judge.consents.iter().find(|(giver, _, given)| *giver == n && now < *given + ttl);
        if let Some((_, leader, _)) = broken {
            self.judge.found(Violation::BrokenWord { giver: NAMES[n], leader: NAMES[*leader] });
        }
    }
}

/// A pair that has been there for longer than it may be.
fn lasting<T>(pair: Option<T>, since: &mut Option<Ms>, now: Ms, slack: Ms) -> Option<T> {
    if pair.is_none() {
        *since = None;
        return None;
    }
    let began = *since.get_or_insert(now);
    pair.filter(|_| slack == 0 || now - began > slack)
}
