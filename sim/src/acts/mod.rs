//! What a scenario asks for, done to simulated hosts: one function for each act, and the evidence of it.
//!
//! | look in | for |
//! |---|---|
//! | `process` | processes and whole hosts: killed, stopped, started, frozen, without power, with a wrong clock |
//! | `network` | links and names |
//! | `disk` | full and slow disks |
//! | `order` | what an operator asks for |
//! | `count` | what a fault has had an effect on |

mod count;
mod disk;
mod network;
mod order;
mod process;

use pgdrill_lab::{
    player::{Act, Evidence, Seen},
    scenario::Process,
};

use crate::{cluster::Cluster, play::read};

/// Does one act and says what came of it.
pub(crate) fn carry_out(cluster: &mut Cluster<'_>, act: Act) -> Evidence {
    match act {
        Act::Look => return Evidence::Seen(look(cluster)),
        Act::Links(links) => network::shape(cluster, &links),
        Act::Dns { hosts, answers } => return network::answer_names(cluster, hosts, answers),
        Act::Kill { process, hosts } => return process::kill(cluster, process, hosts),
        Act::Stop { process, hosts } => return process::stop(cluster, process, hosts),
        Act::Start { process, hosts, wipe } => return process::start_on(cluster, process, hosts, wipe),
        Act::Freeze { process, hosts } => return process::freeze(cluster, process, hosts),
        Act::Thaw { process, hosts } => return process::thaw(cluster, process, hosts),
        Act::PowerOff { hosts } => return process::power_off(cluster, hosts),
        Act::PowerOn { hosts } => return process::power_on(cluster, hosts),
        Act::StepClocks { hosts, by } => return process::step_clocks(cluster, hosts, by),
        Act::RunClocks(clocks) => process::run_clocks(cluster, &clocks),
        Act::FillDisks { hosts } => return disk::fill(cluster, hosts),
        Act::FreeDisks { hosts } => return disk::free(cluster, hosts),
        Act::SlowFsyncs(disks) => disk::slow_fsyncs(cluster, &disks),
        Act::Order { to, order, reply } => order::give(cluster, &to, order, reply),
        Act::CompactEtcd { reply } => order::compact_etcd(cluster, reply),
        Act::Count(kind) => return count::count(cluster, &kind),
        Act::StopClients => cluster.workload.stop(),
        Act::ReadEnd => read::end(cluster),
        Act::StopObserving => cluster.stop_observing(),
        Act::ReadRows => read::rows(cluster),
    }
    Evidence::Done
}

/// Which PostgreSQL servers run, and who leads etcd.
fn look(cluster: &Cluster<'_>) -> Seen {
    let up = cluster.nodes.keys().filter(|node| cluster.runs(Process::Postgres, node));
    Seen { up: up.cloned().collect(), etcd_leader: etcd_leader(cluster) }
}

/// The member that most recently became leader, as the living members see it.
fn etcd_leader(cluster: &Cluster<'_>) -> Option<String> {
    let living = cluster.etcd.iter().filter(|(name, _)| cluster.runs(Process::Etcd, name));
    let newest = living.max_by_key(|(_, m)| (m.peek.leader() != 0, m.peek.term()))?;
    let leader = newest.1.peek.leader();
    // The number that a member goes by is its place in the scenario's list; the map's order of names is another from ten on.
    cluster.scenario.cluster.etcd_hosts().into_iter().nth(usize::try_from(leader).ok()?.checked_sub(1)?)
}
