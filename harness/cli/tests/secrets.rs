//! No command shows a secret of a file that it is given, however the secret is written and whatever is wrong with the file; and what a
//! secret is changes no word of what is said: of two secrets of the same length everything that is printed is the same.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// A configuration without a mistake, but for addresses at which nobody is.
const RIGHT: &str = "\
scope: demo
name: pg1
etcd3: { hosts: ['127.0.0.1:1', '127.0.0.1:2'] }
restapi: { listen: 127.0.0.1:5998, authentication: { username: admin, password: SECRET } }
postgresql:
  listen: 127.0.0.1:5999
  bin_dir: /nowhere
  data_dir: /nowhere/data
  use_pg_rewind: true
  authentication:
    superuser: { username: postgres, password: SECRET }
    replication: { username: rep, password: SECRET }
";

const ETCD: &str = "etcd3: { hosts: ['127.0.0.1:1', '127.0.0.1:2'] }";
const REST: &str = "authentication: { username: admin, password: SECRET }";
const USER: &str = "replication: { username: rep, password: SECRET }";
const BIN: &str = "  bin_dir: /nowhere\n";

/// What is written in place of what. `SECRET` is the secret, `URL` and `BASE64` are it encoded, `ESCAPED` has its first letter as `\x..`.
const SPELLINGS: [(&str, &str); 46] = [
    ("", ""),
    // Mistakes beside it.
    (REST, "authentication: { usrname: admin, password: SECRET }"),
    (REST, "authentication: { username: admin, pasword: SECRET }"),
    (REST, "authentication: { username: admin, kennwort: SECRET }"),
    (REST, "authentication: { username: admin, SECRET }"),
    (REST, "authentication: { username: admin, password:SECRET }"),
    (REST, "authentication: { username: admin, password: [SECRET] }"),
    (REST, "authentication: { username: admin, password: { SECRET: SECRET } }"),
    (REST, "authentication: { username: admin, password: &SECRET }"),
    (REST, "authentication: { username: admin, password: !SECRET }"),
    (REST, "authentication: { username: admin, password: *SECRET }"),
    (REST, "authentication: { username: admin, password: 'SECRET', password: \"SECRET\" }"),
    (REST, "authentication: { username: admin, \"pass\\u0077ord\": SECRET, x: y }"),
    (REST, "authentication: { username: admin, password: \"ESCAPED\", x: y }"),
    (REST, "authentication: admin:SECRET"),
    (REST, "authentication: 'admin:SECRET"),
    (REST, "authentication: SECRET, verify_client: none"),
    (REST, "auth: 'admin:SECRET', authentication: { username: admin, password: SECRET, x: y }"),
    (REST, "http_extra_headers: { Authorization: 'Basic BASE64', 'X Y': 'Bearer SECRET' }"),
    (REST, "http_extra_headers: { Authorization: \"Basic\\n BASE64\" }"),
    (USER, "replication: { username: rep, password: SECRET, sslpassword: SECRET, sslmode: sometimes }"),
    (USER, "replication: { username: rep, password: 123SECRET4"),
    (USER, "replication: rep:SECRET"),
    (USER, "replication:\n      username: rep\n     password: SECRET"),
    (USER, "replication:\n      username: rep\n\tpassword: SECRET"),
    (USER, "replication:\n      usename: rep\n      password: |\n        SECRET\n        SECRET"),
    (USER, "replication:\n      usename: rep\n      password: \"SECRET\n        SECRET\""),
    (USER, "replication:\n      usename: rep\n      password: \"SECRET\n        SECRET"),
    (USER, "replication:\n      usename: rep\n      password:\n        - SECRET"),
    (USER, "replication:\n      usename: rep # password SECRET\n      password: x"),
    (USER, "replication: &r { usename: rep, password: SECRET }\n    rewind: *r"),
    ("scope: demo", "x: &s SECRET\nscope: demo\nwatchdog: { password: *s }"),
    ("scope: demo", "x: &s SECRET\nscope: demo\nwatchdog: { password: *s"),
    ("scope: demo", "scope: demo\n---\npassword: SECRET"),
    // In URLs, connection strings, commands.
    (ETCD, "etcd3: { url: 'https://root:SECRET@127.0.0.1:x' }"),
    (ETCD, "etcd3: { url: 'https://root:URL@127.0.0.1:1', hosts: [a] }"),
    (ETCD, "etcd3: { url: 'https://SECRET@127.0.0.1:1' }"),
    (ETCD, "etcd3: { hosts: ['https://root:SECRET@127.0.0.1:1'] }"),
    (ETCD, "etcd3: { host: 127.0.0.1, username: root, password: SECRET, proxy: 'http://root:SECRET@a:1', x: y }"),
    (BIN, "  bin_dir: /nowhere\n  parameters: { primary_conninfo: 'host=a password=SECRET user=rep', port: 1 }\n"),
    (BIN, "  bin_dir: /nowhere\n  parameters: { primary_conninfo: [\"host=a password='SECRET' user=rep\"] }\n"),
    (BIN, "  bin_dir: /nowhere\n  callbacks: { on_start: 'notify --password=SECRET \"a' }\n"),
    (
        BIN,
        "  bin_dir: /nowhere\n  callbacks: { on_start: 'curl -u admin:SECRET http://a' , on_begin: 'x --token SECRET' }\n",
    ),
    (
        BIN,
        "  bin_dir: /nowhere\n  basebackup: ['password=SECRET', { password: [SECRET] }]\n  pg_hba: ['host all all 0.0.0.0/0 ldap ldapbindpasswd=SECRET md5']\n",
    ),
    (BIN, "  bin_dir: /nowhere\n  pg_ctl_timeout: 'postgres://rep:SECRET@a/b'\n  password: SECRET\n"),
    (BIN, "  bin_dir: /nowhere # restore --password=SECRET\n  unknown: 1 # password: SECRET\n"),
];

/// Words that are part of messages, and what has as many letters and is part of none.
const SECRETS: [[&str; 2]; 3] = [["password", "qxzvkjwy"], ["rep", "qzx"], ["use_pg_rewind", "qxz_vk_jwyqxz"]];

/// The file with a secret in it, and every form that the secret has there.
fn spelt(spelling: (&str, &str), secret: &str) -> (String, [String; 4]) {
    let (right, instead) = spelling;
    assert!(RIGHT.contains(right), "{right}");
    let hex = |byte: &u8| format!("{byte:02x}");
    let url: String = secret.bytes().map(|byte| format!("%{}", hex(&byte))).collect();
    let escaped = format!("\\x{}{}", hex(&secret.as_bytes()[0]), &secret[1..]);
    let base64 = base64(format!("admin:{secret}").as_bytes());
    let text = if right.is_empty() { RIGHT.to_owned() } else { RIGHT.replace(right, instead) };
    let text =
        text.replace("ESCAPED", &escaped).replace("BASE64", &base64).replace("URL", &url).replace("SECRET", secret);
    (text, [secret.to_owned(), url, escaped, base64])
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().chain([0, 0].iter()).take(3).fold(0usize, |bits, byte| bits << 8 | usize::from(*byte));
        for n in 0..4 {
            let is_there = n <= three.len();
            text.push(if is_there { LETTERS[bits >> (18 - 6 * n) & 63] as char } else { '=' });
        }
    }
    text
}

/// Every command that reads such a file, and what it prints.
fn printed(folder: &Path, text: &str) -> Vec<(&'static str, String)> {
    let file = folder.join("patroni.yml");
    fs::write(&file, text).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    [
        "agent --validate-config patroni.yml",
        "agent patroni.yml",
        "ctl -c patroni.yml version",
        "scenario check quiet.yaml --patroni patroni.yml",
    ]
    .into_iter()
    .map(|line| (line, pgdrill(folder, line)))
    .collect()
}

fn pgdrill(folder: &Path, line: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgdrill"));
    let output = command.current_dir(folder).args(line.split(' ')).env("NO_COLOR", "1").output().expect("it runs");
    assert_ne!(output.status.code(), Some(101), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text")).concat()
}

fn lab() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let quiet = "name: quiet\nabout: Nothing.\nworkload: { writers: 1, rate: 1/s, readers: 0 }\nduration: 10s\n";
    fs::write(folder.path().join("quiet.yaml"), quiet).expect("written");
    folder
}

#[test]
fn no_command_prints_a_secret_and_no_word_depends_on_it() {
    let folder = lab();
    let mut wrong = Vec::new();
    for (n, spelling) in SPELLINGS.into_iter().enumerate() {
        // Where a name belongs, `password` is one.
        let is_name = [", SECRET }", "{ SECRET:"].iter().any(|place| spelling.1.contains(place));
        let secrets = SECRETS[if is_name { 1 } else { n % SECRETS.len() }];
        let [one, other] = secrets.map(|secret| spelt(spelling, secret));
        let (of_one, of_other) = (printed(folder.path(), &one.0), printed(folder.path(), &other.0));
        for ((line, said), (_, too)) in of_one.into_iter().zip(of_other) {
            let form = other.1.iter().find(|form| too.contains(form.as_str()));
            let differs = said.lines().zip(too.lines()).find(|(this, that)| this != that);
            if form.is_some() || said != too {
                wrong.push(format!("{line} of {:?}: {form:?} {differs:?}", spelling.1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Events, reports and tables are passed on: nothing of the user's secrets comes into a run.
#[test]
fn a_run_with_a_users_file_leaves_its_secrets_out_of_everything() {
    let folder = lab();
    let text = RIGHT.replace(
        BIN,
        "  parameters: { archive_command: 'push --password=SECRET %p', primary_conninfo: 'host=a password=SECRET' }\n",
    );
    let dcs =
        "bootstrap: { dcs: { ttl: 25, postgresql: { parameters: { archive_command: 'push --token SECRET' } } } }\n";
    fs::write(folder.path().join("patroni.yml"), (text + dcs).replace("SECRET", "qxzvkjwy")).expect("written");
    let said = pgdrill(
        folder.path(),
        "run quiet.yaml --patroni patroni.yml --seed 1 -vvv --events e.jsonl --json j.json --junit u.xml",
    ) + &pgdrill(
        folder.path(),
        "compare quiet.yaml --patroni patroni.yml --worlds sim --seeds 0..1 --html c.html --json c.json",
    );
    let written = ["e.jsonl", "j.json", "u.xml", "c.html", "c.json"]
        .map(|file| fs::read_to_string(folder.path().join(file)).expect(file));
    assert!(written[0].contains(r#"\"ttl\":25"#), "the settings are played with");
    for text in written.iter().chain([&said]) {
        assert!(!text.contains("qxzvkjwy"), "{text}");
    }
}
