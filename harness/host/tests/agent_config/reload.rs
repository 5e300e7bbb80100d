//! What a changed file changes in a running agent.

use pgdrill_host::config::{changes, with_live};

use super::{File, LEAST};

#[test]
fn changes_are_told_apart_by_whether_they_can_be_applied_at_once() {
    let before = File::with(LEAST).read().expect("it is accepted").config;
    assert!(changes(&before, &before).is_empty());
    let text = LEAST
        .replace("data_dir: /data", "data_dir: /other\n  pg_hba: [local all all peer]")
        .replace("10.0.0.13:2379", "10.0.0.14:2379")
        .replace("s3cret", "other");
    let after = File::with(&format!("{text}tags: {{ nosync: true }}\n")).read().expect("it is accepted").config;
    let found = changes(&before, &after);
    assert_eq!(found.live, ["tags", "restapi.authentication", "postgresql.pg_hba"]);
    assert_eq!(found.restart, ["etcd3", "postgresql.data_dir"]);
    let applied = with_live(&before, &after);
    assert_eq!(applied.postgresql.data_dir, "/data", "the old one counts until the agent is started anew");
    assert_eq!(changes(&applied, &after).live, <[&str; 0]>::default());
}
