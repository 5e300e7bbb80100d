//! What a sweep plays: every scenario with every combination of values that is legal together.

use pgdrill_reports::{Setting, Skipped};
use serde_json::Value;

use super::{SweepArgs, vary, vary::Vary};
use crate::{
    command::{Failure, error},
    input::{self, Loaded, ScenarioFile},
    playing::{Conditions, Task, tasks},
};

/// More runs than that are a slip of the finger.
const MOST: usize = 1_000_000;

/// One scenario with one combination.
pub(crate) struct Planned {
    pub(crate) settings: Vec<Setting>,
    pub(crate) loaded: Loaded,
    pub(crate) tasks: Vec<Task>,
}

/// Everything that is played, scenario by scenario, and what cannot be.
pub(crate) struct Plan {
    pub(crate) cells: Vec<Planned>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Plan {
    /// Reads the scenarios with every combination.
    ///
    /// # Errors
    /// What is wrong with the files themselves, and with the options where nothing is left to play.
    pub(crate) fn of(arguments: &SweepArgs) -> Result<Self, Failure> {
        let usage = |why: String| Failure::Usage(vec![error(why)]);
        twice(&arguments.vary).map_err(usage)?;
        // As they are: what is wrong with them is no combination's fault.
        let scenarios = crate::command::scenario::load(&arguments.paths.paths, arguments.patroni.as_deref())?;
        let seeds: Vec<u64> = arguments.seeds.iter().collect();
        let combinations = arguments.vary.iter().map(|vary| vary.values.len()).fold(1_usize, usize::saturating_mul);
        let runs = combinations.saturating_mul(scenarios.len()).saturating_mul(seeds.len());
        if runs > MOST {
            return Err(usage(format!(
                "{combinations} combinations are {runs} runs, more than {MOST}: fewer values or seeds"
            )));
        }
        let mut plan = Self { cells: Vec::new(), skipped: Vec::new() };
        for scenario in &scenarios {
            for settings in combined(&arguments.vary) {
                plan.add(arguments, &scenario.file, settings, &seeds);
            }
        }
        match plan.skipped.first() {
            Some(Skipped { scenario, why, .. }) if plan.cells.is_empty() => {
                Err(usage(format!("no combination can be played; the first one, in {scenario}: {why}")))
            }
            _ => Ok(plan),
        }
    }

    fn add(&mut self, arguments: &SweepArgs, file: &ScenarioFile, settings: Vec<Setting>, seeds: &[u64]) {
        let changes: Vec<(String, Value)> = arguments
            .vary
            .iter()
            .zip(&settings)
            .map(|(vary, setting)| (vary.path.clone(), vary::value(&setting.value)))
            .collect();
        let why = match input::load(std::slice::from_ref(file), arguments.patroni.as_deref(), &changes) {
            Ok(mut loaded) => match loaded.remove(0) {
                Loaded { does_not_apply: Some(why), .. } => why,
                loaded => {
                    let conditions = Conditions {
                        patroni: arguments.patroni.clone(),
                        calibration: arguments.calibration.clone(),
                        ..Conditions::default()
                    };
                    let tasks = tasks(std::slice::from_ref(&loaded), seeds, &conditions);
                    self.cells.push(Planned { settings, loaded, tasks });
                    return;
                }
            },
            // Lines of the file mean nothing to who has set the field from outside.
            Err(invalid) => invalid.first_in_words(),
        };
        self.skipped.push(Skipped { settings, scenario: file.label.clone(), why });
    }
}

/// Whether a field is named twice.
fn twice(vary: &[Vary]) -> Result<(), String> {
    for (n, one) in vary.iter().enumerate() {
        if vary[..n].iter().any(|other| other.path == one.path) {
            return Err(format!("--vary {} is there twice; one takes all its values: {}=1,2,3", one.field, one.field));
        }
    }
    Ok(())
}

/// Every combination, the last field's values changing first.
fn combined(vary: &[Vary]) -> Vec<Vec<Setting>> {
    vary.iter().fold(vec![Vec::new()], |combinations, vary| {
        let with = |combination: &Vec<Setting>| {
            let each = |value: &String| Setting { field: vary.field.clone(), value: value.clone() };
            vary.values
                .iter()
                .map(|value| combination.iter().cloned().chain([each(value)]).collect())
                .collect::<Vec<_>>()
        };
        combinations.iter().flat_map(with).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_are_combined_with_all_others() {
        let vary: Vec<Vary> = ["ttl=20,30", "loop_wait=5,10"].map(|text| text.parse().expect(text)).into();
        let values = |settings: Vec<Setting>| settings.into_iter().map(|it| it.value).collect::<Vec<_>>().join(" ");
        let combined: Vec<String> = combined(&vary).into_iter().map(values).collect();
        assert_eq!(combined, ["20 5", "20 10", "30 5", "30 10"]);
    }

    #[test]
    fn a_field_is_named_once() {
        let vary: Vec<Vary> = ["ttl=20", "cluster.patroni.ttl=30"].map(|text| text.parse().expect(text)).into();
        assert!(twice(&vary).expect_err("it is there twice").contains("cluster.patroni.ttl=1,2,3"));
    }
}
