//! Scenarios written back as YAML read the same, whatever they hold: the shrinker depends on it.

use pgdrill_lab::scenario::{
    Action, BandwidthSpec, ClockRate, DelaySpec, Direction, End, EtcdHosts, Fencing, FreezeSpec, HealSpec, Latency,
    Link, LossSpec, OnProcess, Process, Rate, Repeat, Scenario, Selector, Shift, Size, Span, StartSpec, Step,
    SwitchoverSpec, SynchronousMode, Throughput,
};
use proptest::prelude::*;

use super::{HEAD, read};

fn selector() -> impl Strategy<Value = Selector> {
    let single = proptest::sample::select(vec![
        "leader",
        "replicas",
        "any replica",
        "any candidate",
        "nodes",
        "pg2",
        "etcd",
        "etcd leader",
        "etcd1",
        "majority",
        "minority",
        "clients",
        "client1",
        "haproxy",
        "zone a",
        "zone of leader",
        "everything",
    ]);
    proptest::collection::vec(single, 1..3)
        .prop_map(|parts| parts.join(" + ").parse().expect("all of these are selectors"))
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![(1u64..90).prop_map(Span::from_secs), (1u64..90_000_000_000).prop_map(Span::from_nanos)]
}

fn link() -> impl Strategy<Value = Link> {
    prop_oneof![
        (selector(), selector()).prop_map(|(a, b)| Link::Between { between: [a, b] }),
        (selector(), selector()).prop_map(|(from, to)| Link::OneWay { from, to }),
        (selector(), proptest::option::of(proptest::sample::select(vec![Direction::Inbound, Direction::Outbound])))
            .prop_map(|(isolate, only)| Link::Isolate { isolate, only }),
    ]
    .prop_filter("two different sides", |link| link.sides().0 != link.sides().1)
}

fn on() -> impl Strategy<Value = Selector> {
    proptest::sample::select(vec![
        Selector::Leader,
        Selector::Replicas,
        Selector::AnyReplica,
        Selector::Host("pg3".into()),
    ])
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        link().prop_map(Action::Cut),
        (link(), span(), span()).prop_map(|(link, add, jitter)| Action::Delay(DelaySpec { link, add, jitter })),
        (link(), 1u64..1 << 40).prop_map(|(link, bytes)| {
            let rate = Throughput { per_second: Size { bytes } };
            Action::Bandwidth(BandwidthSpec { link, rate })
        }),
        (link(), 0.001f64..1.0).prop_map(|(link, probability)| Action::Loss(LossSpec { link, probability })),
        on().prop_map(|on| Action::Kill(OnProcess { process: Process::Agent, on })),
        on().prop_map(|on| Action::Stop(OnProcess { process: Process::Agent, on })),
        on().prop_map(|on| Action::Kill(OnProcess { process: Process::Deadman, on })),
        on().prop_map(|on| Action::Freeze(FreezeSpec { process: Some(Process::Deadman), on })),
        on().prop_map(Action::PowerOff),
        on().prop_map(|on| Action::Freeze(FreezeSpec { process: None, on })),
        on().prop_map(|on| Action::Freeze(FreezeSpec { process: Some(Process::Agent), on })),
        (on(), -9_000_000_000i64..9_000_000_000).prop_map(|(on, nanos)| Action::ClockStep { on, by: Shift { nanos } }),
        (on(), 0.5f64..2.0).prop_map(|(on, factor)| Action::ClockDrift { on, rate: ClockRate { factor } }),
        (on(), span()).prop_map(|(on, delay)| Action::SlowFsync { on, delay }),
        on().prop_map(|on| Action::DiskFull { on }),
        on().prop_map(|on| Action::ReplayPause { on }),
        on().prop_map(|on| Action::Restart { on }),
        (proptest::option::of(on()), proptest::option::of(span()))
            .prop_map(|(candidate, after)| { Action::Switchover(SwitchoverSpec { leader: None, candidate, after }) }),
        (20u32..90).prop_map(|ttl| {
            let patch = serde_json::json!({ "ttl": ttl + 10, "failsafe_mode": true, "primary_stop_timeout": null });
            Action::EditConfig(patch.as_object().expect("an object").clone())
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let label = proptest::option::of("[a-z]{1,3}x");
    (0u64..100, action(), label, span(), any::<bool>(), any::<bool>()).prop_map(
        |(at, action, label, time, lasts, again)| {
            let mut step = Step::new(Span::from_secs(at), action);
            step.label = label;
            step.duration = (lasts && step.action.is_reversible()).then_some(time);
            step.repeat = again.then_some(Repeat { every: Span::from_secs(100), times: 3 });
            step.refused = again && step.action.is_operator_action();
            step
        },
    )
}

prop_compose! {
    fn scenario()(
        mut steps in proptest::collection::vec(step(), 0..6),
        about in "[ -~]{1,40}[a-z]",
        rate in 1u32..1000,
        latency in (span(), span()),
        data_mib in 1u64..100_000,
        synchronous in any::<bool>(),
        together in any::<bool>(),
    ) -> Scenario {
        let mut scenario = read(&format!("{HEAD}duration: 1000s\n")).expect("it is right");
        // Undoing is added at the end, so that there is something to undo.
        steps.push(Step::new(Span::from_secs(200), Action::Cut(Link::Isolate { isolate: Selector::Leader, only: None })));
        steps.push(Step::new(Span::from_secs(200), Action::Heal(HealSpec::Named("all".into()))));
        let kill = OnProcess { process: Process::Etcd, on: Selector::EtcdLeader };
        steps.push(Step::new(Span::from_secs(200), Action::Kill(kill)));
        let start = StartSpec { process: Process::Etcd, on: Selector::Etcd, wipe: synchronous };
        steps.push(Step::new(Span::from_secs(200), Action::Start(start)));
        steps.sort_by_key(|step| step.at);
        scenario.timeline = steps;
        scenario.about = about.trim().to_owned();
        scenario.workload.rate = Rate { per_second: f64::from(rate) / 8.0 };
        scenario.cluster.network.latency = Latency { min: latency.0.min(latency.1), max: latency.0.max(latency.1) };
        scenario.cluster.data_size = Size::from_mib(data_mib);
        // Where etcd is on the nodes it has no hosts that could be in a zone.
        scenario.cluster.etcd.on = if together { EtcdHosts::Nodes } else { EtcdHosts::OwnHosts };
        let member = if together { "pg2" } else { "etcd1" };
        scenario.cluster.zones.insert("a".into(), vec!["pg1".into(), member.into()]);
        if synchronous {
            scenario.cluster.patroni.synchronous_mode = SynchronousMode::On;
            scenario.cluster.patroni.postgresql.parameters.insert("max_connections".into(), 50.into());
            scenario.cluster.patroni.postgresql.parameters.insert("odd: #1".into(), "1e5".into());
            scenario.expect.end = Some(End::Writable);
            scenario.cluster.fencing = Some(Fencing::Off);
        }
        scenario
    }
}

proptest! {
    #[test]
    fn a_scenario_that_is_written_and_read_is_the_same(scenario in scenario()) {
        let text = scenario.to_yaml();
        let again = read(&text).map_err(|problems| TestCaseError::fail(format!("{text}\n{problems:#?}")))?;
        prop_assert_eq!(again, scenario, "{}", text);
    }

    #[test]
    fn whatever_is_read_never_panics(text in "[ -~\n]{0,200}") {
        let _ = read(&text);
        let _ = read(&format!("{HEAD}timeline:\n  - {{ at: 5s, {text} }}\nduration: 10s\n"));
    }

    #[test]
    fn a_selector_that_is_written_and_read_is_the_same(selector in selector()) {
        prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
    }

    #[test]
    fn a_time_that_is_written_and_read_is_the_same(nanos in 0u64..10_000_000_000_000) {
        let span = Span::from_nanos(nanos);
        prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
    }
}
