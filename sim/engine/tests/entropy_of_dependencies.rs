//! Who could draw real entropy inside a simulated process.
//!
//! getrandom 0.2 asks the kernel by a raw system call, which the interposed `getrandom` function does not see. What draws from
//! it is not reproducible, so every crate that can must be known here, with the reason why it does no harm.

/// Dependents of a crate, by the lock file: names of all packages that name `dependency`.
fn dependents<'a>(lock: &'a str, dependency: &str) -> Vec<&'a str> {
    let needs =
        |package: &&str| package.lines().any(|line| line.trim().trim_matches([',', '"']).starts_with(dependency));
    lock.split("[[package]]")
        .filter(needs)
        .filter_map(|package| package.lines().find_map(|line| line.strip_prefix("name = ")))
        .map(|name| name.trim_matches('"'))
        .collect()
}

#[test]
fn real_entropy_can_be_drawn_only_by_raft_and_by_tls() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    let lock = std::fs::read_to_string(path).expect("the workspace has a lock file");
    assert_eq!(dependents(&lock, "getrandom 0.2"), ["rand_core", "ring"]);
    // raft's election time-outs are not its own: the etcd model sets them.
    assert_eq!(dependents(&lock, "rand 0.8"), ["raft"]);
    // ring serves TLS alone, and the agent enters rustls only where certificates are configured: never in a simulation.
    assert_eq!(dependents(&lock, "ring"), ["rustls", "rustls-webpki"]);
    // rand_chacha stretches a seed that rand has drawn.
    assert_eq!(dependents(&lock, "rand_core 0.6"), ["rand", "rand_chacha"]);
}
