//! The agent and its adapter with real programs: PostgreSQL's from `PGDRILL_POSTGRES_BIN`, `etcd` from `PATH`. Without them
//! nothing is played, and each test says so and counts as ignored; with `PGDRILL_REAL=all` that is a failure.
//!
//! PostgreSQL does not run as root. So this program starts itself again as an ordinary user: `adapter` plays the adapter's
//! test, `agent` is the agent of one node, `internal deadman` its dead-man process.

mod adapter;
mod cluster;
mod everything;
mod libpq;
mod machine;
mod member;
mod methods;
mod obstacles;
mod remote;
mod said;
mod shortage;
mod standby;
mod tls;
mod traffic;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Conclusion, Trial};

use machine::Programs;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().skip(1).map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["adapter", dir, bin] => return adapter::play(dir, bin),
        ["libpq", dir, bin, tls] => return libpq::play(dir, bin, tls),
        ["agent", node] => return member::run(node),
        ["internal", "deadman", data_dir] => {
            let ended = pgdrill_host::deadman::run(data_dir.as_ref(), None);
            return ended.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
        }
        _ => {}
    }
    let (postgres, tls, etcd) = (Programs::postgres(), Programs::postgres_with_tls(), Programs::etcd());
    let openssl = Programs::openssl();
    let mut missing: Vec<_> = [&postgres, &tls, &etcd].into_iter().filter_map(|found| found.as_ref().err()).collect();
    missing.dedup();
    missing.extend(openssl.as_ref().err());
    for missing in &missing {
        eprintln!("not played: {missing}");
    }
    if !missing.is_empty() && std::env::var("PGDRILL_REAL").is_ok_and(|all| all == "all") {
        return ExitCode::FAILURE;
    }
    let trial = |name: &str, play: fn(&str)| {
        let bin = if [TLS, LIBPQ, EVERYTHING].contains(&name) { tls.clone().ok() } else { postgres.clone().ok() };
        let needs_etcd = ![ADAPTER, LIBPQ].contains(&name);
        let ignored = bin.is_none() || (needs_etcd && etcd.is_err()) || (name == EVERYTHING && openssl.is_err());
        Trial::test(name, move || {
            play(&bin.expect("ignored without it"));
            Ok(())
        })
        .with_ignored_flag(ignored)
    };
    // The longest first: nothing else is left to do beside the last one.
    let trials = vec![
        trial(LIBPQ, libpq::start),
        trial("a_flood_of_clients_costs_a_leader_neither_memory_nor_its_lock", shortage::flood),
        trial(ADAPTER, adapter::start),
        trial("three_members_fail_over_switch_over_and_take_the_old_primary_back", cluster::failover),
        trial("an_agent_that_starts_finds_its_running_server", cluster::restart_of_the_agent),
        trial("what_does_not_fit_to_a_cluster_is_told_and_nothing_is_touched", cluster::strangers),
        trial("a_frozen_agents_server_is_stopped_before_another_leads", cluster::frozen_agent),
        trial(TLS, tls::cluster),
        trial(EVERYTHING, everything::cluster),
        trial("own_methods_find_no_data_directory_and_what_they_leave_after_a_failure_is_gone", methods::play),
        trial("what_a_bootstrap_method_has_restored_is_recovered_as_the_configuration_says", methods::recovery),
        trial("what_is_wrong_with_a_machine_is_told_and_nothing_is_touched", cluster::refusals),
        trial("a_port_that_somebody_else_has_is_told_and_nothing_is_made_or_lost", obstacles::port_taken),
        trial(
            "a_standby_cluster_made_of_a_replicas_directory_follows_the_remote_primary_and_switches_over",
            standby::cluster,
        ),
        trial("an_agent_that_starts_before_etcd_waits_for_it_and_says_so", obstacles::without_etcd),
        trial("an_agent_without_descriptors_concludes_nothing_from_that", shortage::no_descriptors),
        trial("rest_says_what_a_real_server_is_and_waits_for", said::documents),
    ];
    // They wait most of the time. More clusters at once only measure each other on a small machine.
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let Conclusion { num_failed, .. } = libtest_mimic::run(&arguments, trials);
    if num_failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

/// Trials side by side.
const AT_ONCE: usize = 3;

const ADAPTER: &str = "the_adapter_does_with_real_programs_what_the_port_says";
const TLS: &str = "inside_tls_a_cluster_is_made_copied_and_rewound_and_no_other_authority_is_trusted";
const LIBPQ: &str = "the_agents_connections_come_to_what_psql_comes_to_with_the_same_parameters";
const EVERYTHING: &str = "one_certificate_that_is_its_own_authority_does_for_rest_etcd_and_postgresql";
