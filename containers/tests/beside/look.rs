//! Everything that can be seen of a cluster from outside, as one document, with what differs from run to run by nature (times,
//! positions, identifiers) made equal.

use std::{
    collections::BTreeMap,
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use crate::{member::Member, place::bin_dir, plain, stage::Stage};

/// Between two looks that must be alike.
const PAUSE: Duration = Duration::from_millis(2500);

/// A cluster that goes on changing for so long is looked at as it is.
const LIMIT: Duration = Duration::from_secs(60);

/// Asked for their status alone.
const CHECKS: [&str; 27] = [
    "/",
    "/primary",
    "/master",
    "/read-write",
    "/leader",
    "/standby-leader",
    "/standby_leader",
    "/replica",
    "/read-only",
    "/synchronous",
    "/sync",
    "/asynchronous",
    "/async",
    "/quorum",
    "/read-only-sync",
    "/read-only-quorum",
    "/health",
    "/liveness",
    "/readiness",
    "/readiness?lag=1MB&mode=write",
    "/replica?lag=1MB",
    "/replica?tag_nosync=true",
    "/async?lag=100",
    "/failsafe",
    "/switchover",
    "/nothing",
    "/replica?lag=many",
];

/// Looks until two looks are alike.
pub(crate) fn settled(stage: &Stage) -> Value {
    for member in stage.members() {
        // Whether a standby has ever seen a commit since its start is told, too.
        let _ = member.sql("SET synchronous_commit TO local; COMMENT ON DATABASE postgres IS 'looked at'");
    }
    let began = Instant::now();
    let mut before = plain::plain(stage, look(stage));
    loop {
        sleep(PAUSE);
        let now = plain::plain(stage, look(stage));
        if now == before || began.elapsed() > LIMIT {
            let mut seen = now;
            if !stage.place.has_etcd() {
                // Both programs say so, after a while.
                return seen;
            }
            let [patronictl, ctl] = ["list", "topology", "history"].map(|word| told(stage, word)).into_iter().fold(
                [Map::new(), Map::new()],
                |[mut theirs, mut ours], (word, [patronictl, ctl])| {
                    theirs.insert(word.clone(), patronictl);
                    ours.insert(word, ctl);
                    [theirs, ours]
                },
            );
            seen["patronictl"] = patronictl.into();
            seen["pgdrill ctl"] = ctl.into();
            return seen;
        }
        before = now;
    }
}

fn told(stage: &Stage, word: &str) -> (String, [Value; 2]) {
    let said = stage.ctl(&[word]);
    // The system identifier and positions: a table is as wide as what stands in it.
    let lines = said.map(|text| {
        let cells = |line: &str| {
            let cells = line.split('|').map(|cell| plain::plain_text(stage, cell.trim())).collect::<Vec<_>>();
            Value::from(cells.join(" | ").trim_matches(['-', '+', ' ']).to_owned())
        };
        text.lines().filter(|line| !line.starts_with("+--")).map(cells).collect::<Vec<_>>().into()
    });
    (word.to_owned(), lines)
}

fn look(stage: &Stage) -> Value {
    let mut members = Map::new();
    for member in stage.members() {
        members.insert(
            member.name.clone(),
            json!({ "rest": rest(member, stage.place.has_etcd()), "sql": sql(member), "files": files(member), "control": control(member) }),
        );
    }
    json!({ "dcs": dcs(stage), "members": members })
}

/// Every key, decoded, and whether it goes with a lease.
pub(crate) fn dcs(stage: &Stage) -> Value {
    let said = stage.place.etcdctl(&["get", "--prefix", "/service/", "-w", "json"]);
    let Ok(said) = serde_json::from_slice::<Value>(&said.stdout) else { return "no answer".into() };
    let mut keys = BTreeMap::new();
    for pair in said["kvs"].as_array().into_iter().flatten() {
        let text = |name: &str| decode(pair[name].as_str().unwrap_or_default());
        let value = serde_json::from_str(&text("value")).ok().filter(Value::is_object);
        let value = value.or_else(|| serde_json::from_str(&text("value")).ok().filter(Value::is_array));
        let value = value.unwrap_or_else(|| text("value").into());
        // A member's tags or lists of names have no order that means something.
        keys.insert(text("key"), json!({ "value": value, "leased": pair["lease"].as_i64().unwrap_or(0) != 0 }));
    }
    json!(keys)
}

/// etcd's JSON has keys and values in base64.
fn decode(text: &str) -> String {
    let alphabet = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0u32, 0);
    for value in text.bytes().filter_map(alphabet) {
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn rest(member: &Member, has_etcd: bool) -> Value {
    let checks: BTreeMap<_, _> = CHECKS.iter().map(|path| ((*path).to_owned(), json!(member.status(path)))).collect();
    let options = ["/primary", "/replica", "/health"].map(|path| {
        let answer = |method: &str| member.ask(method, path, &Value::Null).map(|(status, _)| status);
        (path.to_owned(), json!({ "HEAD": answer("HEAD"), "OPTIONS": answer("OPTIONS") }))
    });
    let document = |path: &str| {
        let answer = member.ask("GET", path, &Value::Null);
        answer.map_or(Value::Null, |(status, body)| json!({ "status": status, "body": body }))
    };
    let mut documents: BTreeMap<_, _> = [("/patroni".to_owned(), document("/patroni"))].into();
    if has_etcd {
        // Without etcd pgdrill says so, and Patroni nothing, after a while.
        documents.extend(["/cluster", "/config", "/history"].map(|path| (path.to_owned(), document(path))));
    }
    documents.insert("/metrics".to_owned(), metrics(&document("/metrics")));
    json!({ "checks": checks, "methods": BTreeMap::from(options), "documents": documents })
}

/// Each metric with its type and value; the labels are the same everywhere.
fn metrics(answer: &Value) -> Value {
    let mut found = BTreeMap::new();
    let text = answer["body"].as_str().unwrap_or_default();
    for line in text.lines().filter(|line| !line.starts_with("# HELP")) {
        match line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            Some((name, kind)) => _ = found.insert(format!("type of {name}"), json!(kind)),
            None => {
                let Some((name, value)) = line.rsplit_once(' ') else { continue };
                let value = value.parse::<f64>().map_or_else(|_| json!(value), |number| json!(number));
                found.insert(name.to_owned(), value);
            }
        }
    }
    json!(found)
}

/// What PostgreSQL itself tells: everything that the agent has set up.
const SQL: [(&str, &str); 9] = [
    ("in recovery", "SELECT to_json(pg_is_in_recovery())"),
    (
        "settings",
        "SELECT json_object_agg(name, setting ORDER BY name) FROM pg_settings WHERE name NOT IN \
         ('application_name', 'transaction_deferrable', 'transaction_isolation', 'transaction_read_only', 'in_hot_standby')",
    ),
    ("pending restart", "SELECT json_agg(name ORDER BY name) FROM pg_settings WHERE pending_restart"),
    (
        "slots",
        "SELECT json_object_agg(slot_name, json_build_object('type', slot_type, 'plugin', plugin, 'database', database, \
         'active', active, 'temporary', temporary, 'reserves', restart_lsn IS NOT NULL)) FROM pg_replication_slots",
    ),
    (
        "standbys",
        "SELECT json_object_agg(application_name, json_build_object('user', usename, 'state', state, 'sync_state', sync_state, \
         'sync_priority', sync_priority)) FROM pg_stat_replication",
    ),
    (
        "receiver",
        "SELECT json_agg(json_build_object('status', status, 'slot', slot_name, 'host', sender_host, 'timeline', received_tli)) \
         FROM pg_stat_wal_receiver",
    ),
    (
        "roles",
        "SELECT json_object_agg(rolname, json_build_object('super', rolsuper, 'login', rolcanlogin, 'replication', \
         rolreplication)) FROM pg_roles WHERE rolname !~ '^pg_'",
    ),
    (
        "rights of rewind",
        "SELECT json_agg(routine_name::text ORDER BY 1) FROM information_schema.routine_privileges WHERE grantee = 'rewind'",
    ),
    (
        "hba",
        "SELECT json_agg(concat_ws(' ', type, array_to_string(database, ','), array_to_string(user_name, ','), address, \
         auth_method, error) ORDER BY line_number) FROM pg_hba_file_rules",
    ),
];

fn sql(member: &Member) -> Value {
    // One after the other in one session.
    let statements = SQL.map(|(_, statement)| format!("SELECT coalesce(({statement})::text, 'null');")).join("\n");
    let Ok(said) = member.sql(&statements) else { return "no answer".into() };
    let lines = said.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| Value::from(line)));
    SQL.iter().map(|(name, _)| (*name).to_owned()).zip(lines).collect::<Map<_, _>>().into()
}

/// Of a file every line that means something.
fn lines(text: &str) -> Value {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(Value::from).collect::<Vec<_>>().into()
}

/// What the agent keeps among PostgreSQL's own files.
fn files(member: &Member) -> Value {
    let dir = member.data_dir();
    let Ok(entries) = fs::read_dir(&dir) else { return "no folder".into() };
    let names =
        entries.flatten().map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().is_dir()));
    let names: BTreeMap<_, _> = names.map(|(name, dir)| (name, if dir { "folder" } else { "file" })).collect();
    let mut found = json!({ "names": names });
    for name in ["pg_hba.conf", "pg_ident.conf", "postgresql.auto.conf"] {
        found[name] = fs::read_to_string(dir.join(name)).map_or(Value::Null, |text| lines(&text));
    }
    let dynamic = fs::read_to_string(dir.join("patroni.dynamic.json")).unwrap_or_default();
    found["patroni.dynamic.json"] = serde_json::from_str(&dynamic).unwrap_or_default();
    let conf = fs::read_to_string(dir.join("postgresql.conf")).unwrap_or_default();
    let settings = conf.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let settings = settings.filter_map(|line| line.split_once('=').or_else(|| line.split_once(' ')));
    found["postgresql.conf"] =
        json!(settings.map(|(name, value)| (name.trim(), value.trim())).collect::<BTreeMap<_, _>>());
    found
}

/// Of `pg_controldata` what an agent decides about.
fn control(member: &Member) -> Value {
    let told = member.data_dir();
    let Ok(said) = std::process::Command::new(format!("{}/pg_controldata", bin_dir())).arg(told).output() else {
        return Value::Null;
    };
    let wanted =
        ["Database cluster state", "Latest checkpoint's TimeLineID", "wal_level setting", "max_connections setting"];
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let pairs = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| wanted.contains(name));
    pairs.map(|(name, value)| (name.to_owned(), Value::from(value.trim()))).collect::<Map<_, _>>().into()
}
