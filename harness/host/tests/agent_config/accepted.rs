//! What is accepted, and what becomes of it.

use pgdrill_agent::config::{FencingMode, HostPort, VerifyClient, WatchdogMode};
use pgdrill_host::config::{Environment, read};
use proptest::prelude::*;

use super::{File, LEAST, said};

#[test]
fn the_least_is_accepted_and_has_patronis_defaults() {
    let config = File::with(LEAST).read().expect("it is accepted").config;
    assert_eq!((config.scope.as_str(), config.name.as_str(), config.namespace.as_str()), ("demo", "pg1", "service"));
    assert_eq!(config.etcd.hosts.len(), 3);
    assert_eq!(config.postgresql.connect_address, HostPort::new("10.0.0.1", 5432));
    assert_eq!(config.postgresql.pg_ctl_timeout.as_secs(), 60);
    assert_eq!((config.watchdog.mode, config.fencing.mode), (WatchdogMode::Automatic, FencingMode::Automatic));
    assert_eq!(config.bootstrap, None);
}

/// A node's configuration as deployment guides show it.
#[test]
fn a_guides_file_is_accepted_with_a_warning_for_every_wart() {
    insta::assert_snapshot!(said(include_str!("guide.yml")));
}

#[test]
fn the_first_configuration_is_written_as_it_stands_in_the_file() {
    let config = File::with(include_str!("guide.yml")).read().expect("it is accepted").config;
    let dcs = config.bootstrap.expect("it is there").dcs;
    let parameters = dcs.pointer("/postgresql/parameters").and_then(serde_json::Value::as_object).expect("they are");
    // PostgreSQL has removed it: the agent writes wal_keep_size in its place, and `/config` keeps what was asked for.
    assert_eq!(parameters["wal_keep_segments"], 8);
    assert!(parameters.contains_key("wal_level") && !parameters.contains_key("wal_keep_size"));
}

#[test]
fn every_section_arrives_where_it_belongs() {
    let file = File::with(include_str!("full.yml"));
    let loaded = file.read().map_err(|problems| file.said(&problems)).expect("it is accepted");
    assert_eq!(file.said(&loaded.warnings), "");
    let config = loaded.config;
    assert_eq!(config.restapi.tls.as_ref().expect("it is there").verify_client, VerifyClient::Optional);
    let etcd = config.etcd.tls.as_ref().expect("protocol: https");
    assert_eq!((&etcd.cacert, &etcd.key), (&Some("/etc/pgdrill/ca.crt".into()), &Some("/etc/pgdrill/etcd.key".into())));
    assert_eq!(config.etcd.user.as_ref().expect("it is there").username, "pgdrill");
    assert_eq!(config.api_url(), "https://10.0.0.1:8008/patroni");
    assert_eq!(config.postgresql.local_address, HostPort::new("127.0.0.1", 5432));
    assert_eq!(config.log.mode, Some(0o640), "YAML 1.1 has octal numbers");
    // Passwords do not show in `Debug`.
    insta::assert_debug_snapshot!((&config.bootstrap, &config.postgresql));
}

#[test]
fn the_agent_connects_through_the_servers_own_socket_when_it_is_told_to() {
    for (more, host) in [
        ("", "10.0.0.1"),
        ("use_unix_socket: false", "10.0.0.1"),
        ("use_unix_socket_repl: true", "10.0.0.1"),
        ("use_unix_socket: true", "/var/run/postgresql,/tmp,10.0.0.1"),
        ("use_unix_socket: on\n  parameters: { unix_socket_directories: /run/a }", "/run/a"),
        (
            "use_unix_socket: on\n  parameters: { unix_socket_directories: '@abstract, /run/a, /run/b' }",
            "/run/a,/run/b",
        ),
        ("use_unix_socket: on\n  parameters: { unix_socket_directories: '' }", "10.0.0.1"),
    ] {
        let file = File::with(&crate::LEAST.replace("  data_dir: /data", &format!("  data_dir: /data\n  {more}")));
        let loaded = file.read().map_err(|problems| file.said(&problems)).expect("it is accepted");
        assert_eq!(file.said(&loaded.warnings), "", "{more}");
        assert_eq!(loaded.config.postgresql.local_address, HostPort::new(host, 5432), "{more}");
    }
}

/// As in Patroni: the scheme of `url` counts, or else `protocol`; certificates alone do not.
#[test]
fn etcd_is_spoken_to_inside_tls_when_the_url_or_the_protocol_says_so() {
    let hosts = "hosts: [10.0.0.11:2379, 10.0.0.12:2379, 10.0.0.13:2379]";
    for (section, tls, user) in [
        ("hosts: [a, b], cacert: /ca", false, None),
        ("hosts: [a, b], protocol: https", true, None),
        ("url: 'https://a:2379', username: app, password: s3cret", true, Some("app")),
        ("url: 'https://root:s3cret@a:2379/'", true, Some("root")),
        ("url: 'http://a:2379', protocol: https", false, None),
    ] {
        let etcd = File::with(&LEAST.replace(hosts, section)).read().expect("it is accepted").config.etcd;
        assert_eq!((etcd.tls.is_some(), etcd.hosts[0].to_string().as_str()), (tls, "a:2379"), "{section}");
        let user_then = etcd.user.as_ref().map(|user| user.username.as_str());
        assert_eq!(user_then, user, "{section}");
        assert!(etcd.user.is_none_or(|user| user.password.expect("both").reveal() == "s3cret"), "{section}");
    }
}

/// What reaches PostgreSQL's programs and the agent's own connections: libpq's default is written out, its only way is not.
#[test]
fn parameters_of_a_users_connection_are_libpqs() {
    let files = "sslrootcert: /ca, sslcert: /crt, sslkey: /key";
    for (written, expected) in [
        (String::new(), "sslmode=prefer"),
        (", sslmode: disable".into(), "sslmode=disable"),
        (", sslmode: allow".into(), "sslmode=allow"),
        (", sslmode: require".into(), "sslmode=require"),
        (", sslmode: require, sslcert: /crt".into(), "sslcert=/crt sslmode=require"),
        (", sslmode: verify-ca".into(), "sslmode=verify-ca"),
        (", sslmode: verify-ca, sslrootcert: /ca".into(), "sslmode=verify-ca sslrootcert=/ca"),
        (format!(", sslmode: verify-full, {files}"), "sslcert=/crt sslkey=/key sslmode=verify-full sslrootcert=/ca"),
        (
            ", sslmode: verify-ca, sslcrl: /crl, sslcrldir: /crls".into(),
            "sslcrl=/crl sslcrldir=/crls sslmode=verify-ca",
        ),
        (", sslmode: verify-full, sslrootcert: system".into(), "sslmode=verify-full sslrootcert=system"),
        (
            ", gssencmode: prefer, channel_binding: disable, sslnegotiation: postgres".into(),
            "channel_binding=disable gssencmode=prefer sslmode=prefer",
        ),
    ] {
        let text = LEAST.replace("username: replicator", &format!("username: replicator{written}"));
        let loaded = File::with(&text).read().expect("it is accepted");
        assert!(loaded.warnings.is_empty(), "{written}: {:?}", loaded.warnings);
        let options = loaded.config.postgresql.connection.replication;
        let options: Vec<_> = options.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(options.join(" "), expected, "{written}");
    }
}

#[test]
fn files_of_a_folder_are_merged_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("it is written");
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("its owner may");
    };
    write("10-least.yml", LEAST);
    write("20-node.yaml", "name: pg2\npostgresql: { data_dir: /other }\ntags: { nosync: true }\n");
    write("30-none.yml", "tags: null\nrestapi: { listne: 1 }\n");
    write("ignored.txt", "no: [yaml");
    let problems = read(Some(folder.path()), &Environment::default()).expect_err("a field is misspelt");
    let said = problems[0].to_string().replace(&format!("{}/", folder.path().display()), "");
    assert!(said.starts_with("30-none.yml:2:12: restapi.listne: found the field \"listne\""), "{said}");
    write("30-none.yml", "tags: null\n");
    let config = read(Some(folder.path()), &Environment::default()).expect("it is accepted").config;
    assert_eq!((config.name.as_str(), config.postgresql.data_dir.as_str()), ("pg2", "/other"));
    assert!(config.tags.is_empty());
}

#[test]
fn a_file_with_passwords_that_everybody_can_read_is_warned_of() {
    let file = File::with(LEAST);
    file.permit(0o644);
    let warnings = file.read().expect("it is accepted").warnings;
    assert!(file.said(&warnings).contains("passwords in a file with permissions 0644"), "{warnings:?}");
}

#[test]
fn groups_that_are_merged_by_anchors_are_read_as_patroni_reads_them() {
    let text = format!("{LEAST}tags: &tags\n  nosync: true\npgdrill:\n  fencing:\n    mode: required\n");
    let text = text.replace("restapi: {", "restapi: { <<: &open { request_queue_size: 7 },");
    let config = File::with(&text).read().expect("it is accepted").config;
    assert_eq!(config.restapi.request_queue_size, 7);
    assert_eq!(config.fencing.mode, FencingMode::Required);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever is in the file: an answer.
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = File::with(&text).read();
    }

    /// A right file with something else in any place of it: an answer that shows no password.
    #[test]
    fn no_broken_file_makes_it_panic_or_talk(at in 0usize..2000, with in "[a-z0-9:,{}\\[\\]\"'& *<\\-\\n]{0,4}") {
        let full = include_str!("full.yml");
        let at = at % full.len();
        prop_assume!(full.is_char_boundary(at));
        let text = format!("{}{with}{}", &full[..at], &full[at..]);
        if let Err(problems) = File::with(&text).read() {
            for problem in problems {
                let shown = format!("{problem} {:?}", problem.report());
                prop_assert!(!shown.contains("tell-nobody"), "{}", shown);
            }
        }
    }
}
