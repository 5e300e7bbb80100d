//! The REST API by itself: every path with every method, and bodies of all kinds.

use serde_json::{Value, json};

use super::{Situation, set};
use crate::stage::Stage;

pub(super) const SITUATIONS: [Situation; 3] = [
    Situation::new("every_path_is_asked_with_every_method", paths).short(),
    Situation::new("requests_have_bodies_of_all_kinds", bodies).short(),
    Situation::new("a_configuration_is_patched_and_put", configured).short(),
];

/// What both agents know by name, and some that they do not.
const PATHS: [&str; 27] = [
    "/",
    "/primary",
    "/leader",
    "/standby-leader",
    "/replica",
    "/read-only",
    "/synchronous",
    "/asynchronous",
    "/quorum",
    "/health",
    "/liveness",
    "/readiness",
    "/patroni",
    "/cluster",
    "/history",
    "/config",
    "/metrics",
    "/failsafe",
    "/reload",
    "/restart",
    "/reinitialize",
    "/switchover",
    "/failover",
    "/mpp",
    "/sigterm",
    "/nothing",
    "/patroni/more",
];

/// Those that are answered without a body that somebody must have sent, and that change nothing in that case.
const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "BREW"];

fn paths(stage: &mut Stage) {
    stage.cluster(2, |_| {});
    stage.until_streaming(&["pg2"]);
    // Whoever answers for others tells what he has last seen of them.
    stage.record("begun");
    for name in ["pg1", "pg2"] {
        for path in PATHS {
            for method in METHODS {
                answer(stage, &format!("{method} {path} of {name}"), name, &format!("{method} {path}"), None);
            }
        }
        // Each of these does something also without a body.
        for call in
            ["DELETE /switchover", "DELETE /restart", "DELETE /nothing", "POST /mpp", "POST /citus", "POST /sigterm"]
        {
            answer(stage, &format!("{call} of {name}"), name, call, None);
        }
        answer(stage, &format!("POST /reload of {name}"), name, "POST /reload", None);
    }
    stage.record("settled");
}

/// What is no JSON object, or none that says what is wanted.
const BODIES: [&str; 6] = ["", "{}", "[1]", "true", "{\"leader\": ", "{\"nothing\": 1}"];

fn bodies(stage: &mut Stage) {
    stage.cluster(2, |file| set(file, "bootstrap.dcs.failsafe_mode", json!(true)));
    stage.until_streaming(&["pg2"]);
    for call in ["PATCH /config", "POST /switchover", "POST /failover", "POST /failsafe", "POST /mpp"] {
        for body in BODIES.iter().filter(|body| call != "PATCH /config" || !body.contains("nothing")) {
            answer(stage, &format!("{call} with {body:?}"), "pg2", call, Some(body));
        }
    }
    for body in [
        json!([1]),
        json!({ "nothing": 1 }),
        json!({ "role": "primary" }),
        json!({ "role": "king" }),
        json!({ "postgres_version": "9.6.1" }),
        json!({ "postgres_version": "old" }),
        json!({ "timeout": "-1" }),
        json!({ "timeout": "soon" }),
        json!({ "restart_pending": true }),
        json!({ "schedule": "soon" }),
        json!({ "schedule": "2020-01-01T00:00:00+00:00" }),
        json!({ "schedule": "2099-01-01T00:00:00" }),
    ] {
        answer(stage, &format!("POST /restart with {body}"), "pg2", "POST /restart", Some(&body.to_string()));
    }
    for body in ["{}", "[1]", "{\"force\": "] {
        answer(stage, &format!("POST /reinitialize with {body:?}"), "pg1", "POST /reinitialize", Some(body));
    }
    let ping =
        json!({ "name": "pg9", "conn_url": "postgres://x/postgres", "api_url": "http://x/patroni", "slots": {} });
    for name in ["pg1", "pg2"] {
        answer(stage, &format!("POST /failsafe to {name}"), name, "POST /failsafe", Some(&ping.to_string()));
    }
    stage.record("settled");
}

fn configured(stage: &mut Stage) {
    stage.cluster(1, |_| {});
    for (label, call, body) in [
        ("a field", "PATCH /config", json!({ "ttl": 25 })),
        ("nothing new", "PATCH /config", json!({ "ttl": 25 })),
        ("fields below others", "PATCH /config", json!({ "a": { "b": { "c": 1 } }, "postgresql": { "x": [1, 2] } })),
        ("fields that go", "PATCH /config", json!({ "a": { "b": null }, "postgresql": { "x": null } })),
        ("what was not there goes", "PATCH /config", json!({ "gone": null, "new": { "gone": null } })),
        ("a list instead", "PATCH /config", json!({ "a": [1] })),
        ("a whole one", "PUT /config", json!({ "ttl": 20, "loop_wait": 1, "retry_timeout": 3, "x": null, "y": 1.0 })),
        (
            "the same again",
            "PUT /config",
            json!({ "ttl": 20, "loop_wait": 1, "retry_timeout": 3, "x": null, "y": 1.0 }),
        ),
    ] {
        let method = call.split(' ').next().unwrap_or_default();
        let became = stage.of("pg1").answer(method, "/config", Some(&body.to_string())).expect("it answers");
        let wanted = became.body.clone();
        assert_eq!(became.status, 200, "{label}: {wanted}");
        stage.note(label, became.told("/config"));
        // Patroni tells what it knew in its last cycle.
        let known = |stage: &Stage| stage.of("pg1").ask("GET", "/config", &Value::Null) == Some((200, wanted.clone()));
        stage.until("it is known", known);
        answer(stage, &format!("{label}, read again"), "pg1", "GET /config", None);
    }
    stage.record("settled");
}

/// Records status, headers and body.
fn answer(stage: &mut Stage, label: &str, name: &str, call: &str, body: Option<&str>) {
    let (method, path) = call.split_once(' ').expect("a method and a path");
    let told = stage.of(name).answer(method, path, body).map_or(Value::Null, |answer| answer.told(path));
    stage.note(label, told);
}
