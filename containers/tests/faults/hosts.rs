//! Freeze, power, disk, clock, fsync.

use std::time::Duration;

use libtest_mimic::Trial;
use pgdrill_containers::{
    acts::{
        disk,
        network::{Network, Part},
        power,
        process::{self, Target},
    },
    machine::{State, steering},
    shim,
};
use pgdrill_lab::{player::LinkState, scenario::Route};
use tokio::time::sleep;

use crate::bench::with_hosts;

/// The tests of this file.
pub fn trials() -> Vec<Trial> {
    trials![
        a_frozen_process_is_stopped_and_a_killed_one_is_gone,
        a_process_that_starts_others_all_the_time_stands_still_and_goes_with_all_of_them,
        a_host_without_power_says_nothing_more_and_comes_back_with_its_faults,
        a_frozen_host_answers_nothing_and_what_ends_meanwhile_ends_when_it_goes_on,
        a_full_disk_stays_full_until_it_is_freed,
        a_stepped_clock_and_a_slow_fsync_reach_processes_with_the_shim,
    ]
}

fn a_frozen_process_is_stopped_and_a_killed_one_is_gone() {
    with_hosts("freeze", &["a"], |bench| async move {
        let machine = bench.machine("a");
        let started = machine.script("sleep 1000 & echo $!").await.expect("it is started");
        let pid: u32 = started.trim().parse().expect("a number");
        let state = async || machine.script(&format!("ps -o stat= -p {pid}; true")).await.expect("ps runs");
        let one = Target { main: pid, with_descendants: false };
        assert!(process::freeze(machine, one).await.expect("it can be frozen"));
        assert!(state().await.starts_with('T'));
        assert!(process::thaw(machine, one).await.expect("it can be thawed"));
        assert!(state().await.starts_with('S'));
        assert!(process::kill(machine, one).await.expect("it can be killed"));
        assert!(!state().await.starts_with(['S', 'T', 'R']));
        for with_descendants in [false, true] {
            let dead = Target { main: pid, with_descendants };
            assert!(!process::kill(machine, dead).await.expect("the container answers"), "it was dead already");
            assert!(!process::freeze(machine, dead).await.expect("the container answers"));
            assert!(!process::thaw(machine, dead).await.expect("the container answers"));
        }
        assert!(!process::signal(machine, "TERM", pid).await.expect("the container answers"));
    });
}

fn a_process_that_starts_others_all_the_time_stands_still_and_goes_with_all_of_them() {
    with_hosts("family", &["a"], |bench| async move {
        let machine = bench.machine("a");
        let script = "setsid sh -c 'while true; do sleep 1000.5 & sleep 0.01; done' >/dev/null 2>&1 & echo $!";
        let started = machine.script(script).await.expect("it is started");
        let all = Target { main: started.trim().parse().expect("a number"), with_descendants: true };
        sleep(Duration::from_millis(500)).await;
        assert!(process::freeze(machine, all).await.expect("it can be frozen"));
        let moving = "ps -eo stat=,args= | grep '[1]000[.]5' | grep -v '^T' || true";
        assert_eq!(machine.script(moving).await.expect("ps runs").trim(), "", "all of them stand still");
        assert!(process::thaw(machine, all).await.expect("it can be thawed"));
        assert!(process::kill(machine, all).await.expect("it can be killed"));
        let left = machine.script("ps -eo stat=,args= | grep '[1]000[.]5' || true").await.expect("ps runs");
        assert_eq!(left.trim(), "", "all of them are gone");
    });
}

fn cut(route: &Route, is_cut: bool) -> [(Route, LinkState); 1] {
    [(route.clone(), LinkState { is_cut, ..LinkState::default() })]
}

fn a_host_without_power_says_nothing_more_and_comes_back_with_its_faults() {
    with_hosts("power", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        bench.talk("a", "b").await;
        let machine = bench.machine("b").clone();
        let mut network = Network::new(bench.machines.values().cloned());
        let link = [Route { from: "a".into(), to: "b".into() }];
        network.set(&cut(&link[0], true)).await.expect("it can be cut");
        sleep(Duration::from_secs(1)).await;
        let counted = network.affected(&link, Part::Cut).await.expect("it is counted");
        assert!(counted > 0);
        assert!(power::off(&machine, &mut network).await.expect("it can be done"));
        assert_eq!(machine.state().await.expect("Docker answers"), State::Stopped);
        assert!(!power::off(&machine, &mut network).await.expect("it is known to be off"));
        sleep(Duration::from_secs(1)).await;
        // `trips` fails when the connection was closed: a dead machine's kernel does not say goodbye.
        bench.trips("a").await;
        assert!(
            network.affected(&link, Part::Cut).await.expect("it is counted") >= counted,
            "what was counted is kept"
        );
        assert!(power::on(&machine, &mut network).await.expect("it can be done"));
        assert!(!bench.rules_left("b").await.is_empty(), "the cut still stands");
        network.set(&cut(&link[0], false)).await.expect("it can be mended");
        assert_eq!(bench.rules_left("b").await, "");
    });
}

fn a_frozen_host_answers_nothing_and_what_ends_meanwhile_ends_when_it_goes_on() {
    with_hosts("pause", &["a", "b"], |bench| async move {
        bench.echo("b").await;
        bench.talk("a", "b").await;
        let machine = bench.machine("b").clone();
        let mut network = Network::new(bench.machines.values().cloned());
        let link = [Route { from: "a".into(), to: "b".into() }];
        network.set(&cut(&link[0], true)).await.expect("it can be cut");
        assert!(power::freeze(&machine).await.expect("it can be frozen"));
        assert_eq!(machine.state().await.expect("Docker answers"), State::Paused);
        network.set(&cut(&link[0], false)).await.expect("what cannot be done now is owed");
        assert!(power::thaw(&machine, &mut network).await.expect("it can be thawed"));
        assert_eq!(bench.rules_left("b").await, "", "what was owed is done");
        let before = bench.trips("a").await.len();
        sleep(Duration::from_secs(3)).await;
        assert!(bench.trips("a").await.len() > before, "they talk again");
    });
}

fn a_full_disk_stays_full_until_it_is_freed() {
    with_hosts("disk", &["a"], |bench| async move {
        let machine = bench.machine("a");
        machine.script("dd if=/dev/zero of=/volume/old bs=1M count=4 2>/dev/null").await.expect("there is space");
        let said = disk::fill(machine, "/volume").await.expect("it can be filled");
        assert!(said.contains("No space left on device"), "{said}");
        machine.script("rm /volume/old; sleep 0.5").await.expect("a file can be removed");
        let write = "dd if=/dev/zero of=/volume/new bs=1M count=1 2>&1; rm -f /volume/new";
        let again = machine.script(write).await.expect("dd runs");
        assert!(again.contains("No space left"), "what was freed is taken: {again}");
        assert!(disk::free(machine, "/volume").await.expect("it can be freed"));
        assert!(!machine.script(write).await.expect("dd runs").contains("No space left"));
        assert!(!disk::free(machine, "/volume").await.expect("it is known to be free"));
        let left = machine.script("sleep 0.3; ls -A /volume; pgrep -f [b]allast || true").await.expect("ls runs");
        assert_eq!(left.trim(), "");
    });
}

fn a_stepped_clock_and_a_slow_fsync_reach_processes_with_the_shim() {
    with_hosts("shim", &["a"], |bench| async move {
        let machine = bench.machine("a");
        steering::install(machine).await.expect("it can be installed");
        let environment: Vec<String> =
            shim::environment().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let with = environment.join(" ");
        // As the agent does: something that looks at the clock all the time.
        let beside =
            format!("{with} setsid sh -c 'while true; do date >/dev/null; sleep 0.05; done' >/dev/null 2>&1 &");
        machine.script(&beside).await.expect("it is started");
        let read = steering::step(machine, 300_000_000_000).await.expect("it can be stepped");
        assert!(read > 0, "somebody has read it");
        let both = machine.script(&format!("{with} date +%s; date +%s")).await.expect("date runs");
        let times: Vec<i64> = both.lines().map(|line| line.parse().expect("seconds")).collect();
        assert!((299..=301).contains(&(times[0] - times[1])), "{times:?}");
        let read = steering::step(machine, -300_000_000_000).await.expect("it can be stepped back");
        assert!(read > 0, "somebody has read that it is true again");
        let both = machine.script(&format!("{with} date +%s; date +%s")).await.expect("date runs");
        let times: Vec<i64> = both.lines().map(|line| line.parse().expect("seconds")).collect();
        assert!((-1..=1).contains(&(times[0] - times[1])), "{times:?}");
        steering::step(machine, 300_000_000_000).await.expect("it can be stepped once more");
        let python = "import time; m = time.monotonic(); print(round(time.time() - int(open('/proc/stat').read()\
            .split('btime ')[1].split()[0]) - float(open('/proc/uptime').read().split()[0])))";
        let skewed = machine.succeed(&["sh", "-c", &format!("{with} python3 -c \"{python}\"")]).await.expect("python");
        let skewed: i64 = skewed.trim().parse().expect("seconds");
        assert!((298..=303).contains(&skewed), "python sees it too: {skewed}");
        steering::slow_fsync(machine, Duration::from_millis(400)).await.expect("it can be slow");
        let sync = format!("{with} dd if=/dev/zero of=/tmp/x bs=1 count=1 conv=fsync 2>/dev/null");
        let before = std::time::Instant::now();
        machine.script(&sync).await.expect("dd runs");
        assert!(before.elapsed() >= Duration::from_millis(400));
        assert_eq!(steering::slow_fsyncs(machine).await.expect("it is counted"), 1);
        steering::slow_fsync(machine, Duration::ZERO).await.expect("it can be fast");
        machine.script(&sync).await.expect("dd runs");
        assert_eq!(steering::slow_fsyncs(machine).await.expect("it is counted"), 1);
    });
}
