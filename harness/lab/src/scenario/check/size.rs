//! Settings that are too small for the size of the cluster: it would never come up, and only servers' logs would say why.

use super::wrong;
use crate::scenario::{
    Need, Problem, Scenario,
    read::{Node, Reader},
};

/// A parameter that is too small: its name, what was found, what would be right, and why.
struct Small {
    need: Need,
    found: u64,
}

impl Small {
    fn found(&self, scenario: &Scenario) -> String {
        let nodes = scenario.cluster.nodes;
        let clients = scenario.workload.clients();
        format!("{} in a cluster of {nodes} nodes and {clients} clients", self.found)
    }

    fn expected(&self) -> String {
        format!("at least {}, better {}", self.need.least, self.need.enough)
    }

    fn help(&self) -> String {
        format!("{}; without the line the lab sets what is needed", self.need.why)
    }
}

fn too_small(scenario: &Scenario) -> Vec<Small> {
    let parameters = &scenario.cluster.patroni.postgresql.parameters;
    let needs = Need::of(&scenario.cluster, scenario.workload.clients()).into_iter();
    let small = |need: Need| Some(Small { need, found: need.given(parameters).filter(|found| *found < need.least)? });
    needs.filter_map(small).collect()
}

pub(super) fn check(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    for small in too_small(scenario) {
        let path = format!("cluster.patroni.postgresql.parameters.{}", small.need.parameter);
        wrong(reader, root, &path, small.found(scenario), small.expected()).help = small.help();
    }
}

/// What of a user's own settings is too small for this scenario; of the file as a whole.
pub(in crate::scenario) fn wrong_for_size(scenario: &Scenario, file: &std::path::Path) -> Vec<Problem> {
    let problem = |small: Small| {
        let name = scenario.name.as_str();
        let found = format!("{}: {} ({name})", small.need.parameter, small.found(scenario));
        Problem::of_file(file.to_owned(), found, small.expected()).with_help(small.need.why)
    };
    too_small(scenario).into_iter().map(problem).collect()
}
