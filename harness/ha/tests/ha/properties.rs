//! What holds for all inputs.

use std::time::Duration;

use pgdrill_ha::decision::Action;
use pgdrill_ha::view::{ClusterView, LockOutcome, PeerStatus, Process, Round};
use pgdrill_ha::{Lsn, Memory, Monotonic, decide};
use proptest::prelude::*;

use crate::fixture::{END, NOW, Scene, answer, primary, replica, scene};

fn lock_outcome() -> impl Strategy<Value = Option<LockOutcome>> {
    prop_oneof![
        Just(None),
        (900u64..1000, 10u64..60).prop_map(|(at, ttl)| Some(LockOutcome::Held {
            requested_at: Monotonic::from_secs(at),
            ttl: Duration::from_secs(ttl),
            status_revision: None,
        })),
        Just(Some(LockOutcome::Lost)),
        Just(Some(LockOutcome::Unknown { reason: "timeout".into() })),
    ]
}

fn process() -> impl Strategy<Value = Process> {
    prop_oneof![
        4 => Just(Process::Running),
        1 => Just(Process::Stopped),
        1 => Just(Process::Crashed),
        1 => Just(Process::Starting { since: Monotonic::from_secs(500) }),
        1 => Just(Process::Stopping),
    ]
}

prop_compose! {
    /// Any mixture of what a node can see.
    fn any_scene()(
        name in prop_oneof![Just("pg1"), Just("pg2"), Just("pg3")],
        leader in prop_oneof![Just(None), Just(Some("pg1")), Just(Some("pg2"))],
        is_primary: bool,
        process in process(),
        lock in lock_outcome(),
        deadline in prop::option::of(900u64..1100),
        lag in 0u64..3_000_000,
        peer_lag in prop::option::of(0u64..3_000_000),
        paused: bool,
        mode in 0u8..3,
        in_sync: bool,
        failsafe: bool,
        restarted: bool,
    ) -> Scene {
        use pgdrill_ha::config::SynchronousMode::{Off, On, Quorum};
        let mut scene = scene(name);
        scene.local.postgres = if is_primary { primary() } else { replica() };
        scene.local.postgres.process = process;
        scene.local.postgres.received_lsn = Some(Lsn(END.0 - lag));
        scene.local.postgres.replayed_lsn = None;
        let peer = peer_lag.map_or(
            PeerStatus::Unreachable { reason: "timeout".into() },
            |lag| PeerStatus::Answered(answer(Lsn(END.0 - lag))),
        );
        let peers = ["pg1", "pg2", "pg3"].into_iter().filter(|peer| *peer != name);
        let peers = peers.map(|name| (name.to_owned(), peer.clone())).collect();
        scene.local.round = Round { lock, peers: Some(peers), ..Round::default() };
        match leader {
            None => scene.cluster.leader = None,
            Some(name) => scene.cluster.leader.as_mut().unwrap().name = name.into(),
        }
        scene.config.paused = paused;
        scene.config.failsafe_mode = failsafe;
        scene.config.synchronous_mode = [Off, On, Quorum][usize::from(mode)];
        scene.memory = Memory { lock_deadline: deadline.map(Monotonic::from_secs), ..Memory::default() };
        scene.memory.was_primary = is_primary && !restarted;
        if in_sync { scene.sync("pg1", &["pg2", "pg3"], 1) } else { scene }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nobody_promotes_without_holding_the_lock_within_its_deadline(mut scene in any_scene()) {
        let decision = scene.decide();
        for action in &decision.actions {
            if let Action::Promote { still_allowed_until } = action {
                prop_assert!(scene.now < *still_allowed_until);
                prop_assert_eq!(Some(*still_allowed_until), scene.memory.lock_deadline);
                let held = matches!(scene.local.round.lock, Some(LockOutcome::Held { .. }));
                prop_assert!(held, "{decision:?}");
            }
        }
    }

    #[test]
    fn of_two_nodes_with_one_view_at_most_the_holder_promotes(one in any_scene(), other in any_scene()) {
        // Not an assumption: proptest gives up after 1024 of those.
        if one.local.name == other.local.name {
            return Ok(());
        }
        let view = ClusterView::Known(one.cluster.clone());
        let promotes = |scene: &Scene| {
            let mut local = scene.local.clone();
            // The DCS grants the lock to its holder alone.
            let holder = one.cluster.is_leader(&local.name);
            local.round.lock = Some(if holder { scene.held() } else { LockOutcome::Lost });
            let mut memory = scene.memory.clone();
            let decision = decide(&view, &local, &scene.config, &mut memory, scene.now);
            decision.actions.iter().any(|action| matches!(action, Action::Promote { .. }))
        };
        prop_assert!(!(promotes(&one) && promotes(&other)));
        prop_assert!(!promotes(&one) || one.cluster.is_leader(&one.local.name));
    }

    #[test]
    fn the_same_inputs_give_the_same_decision(scene in any_scene()) {
        prop_assert_eq!(scene.clone().decide(), scene.clone().decide());
    }

    #[test]
    fn whoever_lets_the_lock_go_no_longer_leads(mut scene in any_scene()) {
        let decision = scene.decide();
        if decision.actions.iter().any(|action| matches!(action, Action::ReleaseLock { .. })) {
            prop_assert!(!scene.memory.may_lead(scene.now));
        }
    }

    #[test]
    fn a_refusal_to_promote_is_stable(mut scene in any_scene()) {
        let first = scene.decide();
        if first.reason.code().starts_with("unfit_") {
            let again = scene.decide();
            prop_assert_eq!(first.reason, again.reason);
        }
    }

    #[test]
    fn a_primary_past_its_deadline_that_cannot_renew_is_stopped(mut scene in any_scene(), reachable: bool) {
        scene.local.postgres.process = Process::Running;
        scene.local.postgres.role = pgdrill_ha::view::PostgresRole::Primary;
        scene.config.paused = false;
        scene.memory.lock_deadline = Some(NOW);
        scene.local.round.lock = Some(LockOutcome::Unknown { reason: "timeout".into() });
        scene.cluster.leader.get_or_insert_with(|| pgdrill_ha::view::Leader {
            name: "pg1".into(), mod_revision: 1, lease_id: 1,
        });
        let decision = if reachable { scene.decide() } else { scene.decide_without_dcs() };
        prop_assert!(decision.actions.iter().any(|action| matches!(action, Action::Stop(_))), "{decision:?}");
    }

    #[test]
    fn while_paused_postgres_is_left_alone(mut scene in any_scene()) {
        scene.config.paused = true;
        for decision in [scene.clone().decide(), scene.decide_without_dcs()] {
            for action in &decision.actions {
                let forbidden = matches!(action, Action::Start(_) | Action::Stop(_) | Action::Promote { .. }
                    | Action::Rewind(_) | Action::Clone { .. } | Action::RemoveDataDir | Action::CrashRecovery);
                prop_assert!(!forbidden, "{decision:?}");
            }
        }
    }
}
