//! **Standby cluster.** While `standby_cluster` is configured nobody leaves recovery.
//!
//! Source: Patroni's documentation, "Standby cluster": all of its members replicate from a remote primary. A member that was
//! promoted has a timeline of its own, and can never stream from there again without a rewind.
//!
//! Judged by SQL probes that were asked after the `config` key began to name where the WAL comes from, or after the run began if that
//! was its first configuration. Limits: a cluster that becomes a standby cluster in the run has a primary until that has stopped,
//! so it is not judged from then on.

use serde_json::Value;

use super::{Broken, Finding, Violation, later, violation};
use crate::{
    event::At,
    history::{History, Version},
    rules::Rules,
};

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    if !rules.standby_cluster {
        return Finding::not_applicable("this is no standby cluster");
    }
    let until = promoted_by_an_operator(history).unwrap_or(At(u64::MAX));
    Finding::of(rules.nodes.iter().filter_map(|node| left_recovery(rules, history, node, until)).collect())
}

/// When `standby_cluster` was taken out of the configuration: from then on its leader is to be promoted.
fn promoted_by_an_operator(history: &History<'_>) -> Option<At> {
    let versions = history.keys.versions("config");
    let first = versions.iter().position(is_standby)?;
    versions[first..].iter().find(|version| !is_standby(version)).map(|version| version.at)
}

fn is_standby(version: &Version<'_>) -> bool {
    let section = version.json().and_then(|config| config.get("standby_cluster").cloned());
    section.as_ref().and_then(Value::as_object).is_some_and(|section| !section.is_empty())
}

fn left_recovery(rules: &Rules, history: &History<'_>, node: &str, until: At) -> Option<Violation> {
    // The change may have been recorded after the agent acted upon it.
    let asked_before = |at: At| later(at, rules.observation_slack) < until || until == At(u64::MAX);
    history.probes.sql(node).iter().filter(|probe| asked_before(probe.at)).find_map(|probe| {
        let state = probe.state.filter(|state| !state.in_recovery)?;
        let broken = Broken::LeftRecovery { node: node.to_owned(), timeline: state.timeline };
        Some(violation(probe.at, vec![probe.ordinal], broken))
    })
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{
        history::script::{Script, primary, standby},
        oracle::Finding,
        rules::Rules,
    };

    const CONFIG: &str = r#"{"standby_cluster":{"host":"remote"}}"#;

    fn found(script: &Script) -> Vec<String> {
        let rules = Rules { standby_cluster: true, ..Rules::default() };
        judge(&rules, &script.history()).violations().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_member_that_leaves_recovery_is_a_violation() {
        let script = Script::new().dcs(1.0, "config", CONFIG).sql(2.0, "pg1", Some(standby(1, 9, "remote")));
        assert!(found(&script).is_empty());
        let said = found(&script.sql(3.0, "pg2", Some(primary(2, 9))));
        assert_eq!(
            said,
            ["3.000s left_recovery: pg2 is out of recovery on timeline 2 although this is a standby cluster"]
        );
    }

    #[test]
    fn an_operator_who_ends_the_standby_days_gets_a_primary() {
        let script = Script::new().dcs(1.0, "config", CONFIG).dcs(50.0, "config", "{}");
        assert!(
            found(&script.clone().sql(49.5, "pg1", Some(primary(2, 9)))).is_empty(),
            "the watch may have been late"
        );
        assert!(found(&script.clone().sql(60.0, "pg1", Some(primary(2, 9)))).is_empty());
        assert_eq!(found(&script.sql(40.0, "pg1", Some(primary(2, 9)))).len(), 1);
    }

    #[test]
    fn any_other_cluster_is_not_judged() {
        assert!(matches!(judge(&Rules::default(), &Script::new().history()), Finding::NotApplicable { .. }));
    }
}
