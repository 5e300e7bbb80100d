//! `--want 'outage.p99<40s'`: what a combination of settings must keep.

use std::{cmp::Ordering, fmt, str::FromStr, time::Duration};

use pgdrill_lab::scenario::Span;
use pgdrill_reports::{CellFigures, Quantile, duration};

/// A bound of one figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Want {
    /// As it was typed.
    text: String,
    figure: Figure,
    relation: Relation,
    bound: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Millis,
    Share,
    Count,
}

/// A figure of a cell, by its name.
#[derive(Clone, Copy, Debug)]
struct Figure {
    name: &'static str,
    unit: Unit,
    of: fn(&CellFigures) -> Option<f64>,
}

impl PartialEq for Figure {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

const fn figure(name: &'static str, unit: Unit, of: fn(&CellFigures) -> Option<f64>) -> Figure {
    Figure { name, unit, of }
}

fn ms(quantile: Option<Quantile>) -> Option<f64> {
    quantile.map(|quantile| quantile.ms as f64)
}

const FIGURES: [Figure; 11] = [
    figure("outage.p50", Unit::Millis, |it| ms(it.outage_p50)),
    figure("outage.p95", Unit::Millis, |it| ms(it.outage_p95)),
    figure("outage.p99", Unit::Millis, |it| ms(it.outage_p99)),
    figure("outage.max", Unit::Millis, |it| it.outage_max_ms.map(|ms| ms as f64)),
    figure("availability", Unit::Share, |it| it.availability),
    figure("availability.min", Unit::Share, |it| it.availability_min),
    figure("lost_rows", Unit::Count, |it| Some(it.lost_rows as f64)),
    figure("lost_rows.max", Unit::Count, |it| Some(it.lost_rows_max as f64)),
    figure("leader_changes", Unit::Count, |it| Some(it.leader_changes as f64)),
    figure("needless_changes", Unit::Count, |it| Some(it.needless_changes as f64)),
    figure("violations", Unit::Count, |it| Some(it.violating as f64)),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Below,
    AtMost,
    Equal,
    AtLeast,
    Above,
}

/// Longer ones first: `<=` begins with `<`.
const RELATIONS: [(&str, Relation); 6] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("==", Relation::Equal),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Equal),
];

impl Relation {
    fn holds(self, value: f64, bound: f64) -> bool {
        let order = value.partial_cmp(&bound);
        match self {
            Self::Below => order == Some(Ordering::Less),
            Self::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Equal => order == Some(Ordering::Equal),
            Self::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::Above => order == Some(Ordering::Greater),
        }
    }
}

impl FromStr for Want {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = text.find(['<', '>', '=']).and_then(|at| {
            let (sign, relation) = RELATIONS.iter().find(|(sign, _)| text[at..].starts_with(sign))?;
            Some((text[..at].trim(), *relation, text[at + sign.len()..].trim()))
        });
        let Some((name, relation, bound)) = found else {
            return Err(format!("`{text}` is no bound: FIGURE<VALUE, as in 'outage.p99<40s' (<, <=, =, >=, >)"));
        };
        let Some(figure) = FIGURES.into_iter().find(|figure| figure.name == name) else {
            let names = FIGURES.map(|figure| figure.name).join(", ");
            return Err(format!("there is no figure `{name}`; there are: {names}"));
        };
        let bound = figure
            .unit
            .read(bound)
            .ok_or_else(|| format!("`{bound}` is no value for {name}: {}", figure.unit.form()))?;
        Ok(Self { text: text.to_owned(), figure, relation, bound })
    }
}

impl Unit {
    fn read(self, text: &str) -> Option<f64> {
        match self {
            Self::Millis => Some(text.parse::<Span>().ok()?.nanos() as f64 / 1e6),
            Self::Share => {
                let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent.trim_end(), 100.0));
                number.parse::<f64>().ok().map(|number| number / scale).filter(|share| (0.0..=1.0).contains(share))
            }
            Self::Count => text.parse::<u64>().ok().map(|count| count as f64),
        }
    }

    const fn form(self) -> &'static str {
        match self {
            Self::Millis => "a duration with its unit, as in 40s or 500ms",
            Self::Share => "a share, as in 0.99 or 99%",
            Self::Count => "a whole number",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Millis => duration(Duration::from_millis(value as u64)),
            Self::Share => format!("{:.3} %", value * 100.0),
            Self::Count => format!("{value:.0}"),
        }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Want {
    /// What is not as wanted: the bound and what was measured. What was not judged in every run is known of none.
    pub(crate) fn missed(&self, figures: &CellFigures) -> Option<String> {
        if figures.judged < figures.runs {
            return Some(format!("{self}: only {} of {} runs could be judged", figures.judged, figures.runs));
        }
        match (self.figure.of)(figures) {
            None => Some(format!("{self}: no run measured it")),
            Some(value) if self.relation.holds(value, self.bound) => None,
            Some(value) => Some(format!("{self}: it is {}", self.figure.unit.show(value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> CellFigures {
        CellFigures {
            runs: 10,
            judged: 10,
            outage_p95: Some(Quantile { ms: 40_000, interval_ms: None }),
            availability: Some(0.995),
            lost_rows: 3,
            ..CellFigures::default()
        }
    }

    #[test]
    fn each_relation_holds_where_it_should() {
        for (want, holds) in [
            ("outage.p95<40s", false),
            ("outage.p95 <= 40s", true),
            ("outage.p95=40s", true),
            ("outage.p95>39500ms", true),
            ("availability>=99.5%", true),
            ("availability>0.995", false),
            ("lost_rows<4", true),
            ("violations==0", true),
            ("needless_changes>0", false),
        ] {
            let want: Want = want.parse().expect(want);
            assert_eq!(want.missed(&figures()).is_none(), holds, "{want}");
        }
    }

    #[test]
    fn what_is_missed_says_what_was_measured_and_what_is_unknown_is_missed() {
        let want: Want = "outage.p95<30s".parse().expect("it is one");
        assert_eq!(want.missed(&figures()).as_deref(), Some("outage.p95<30s: it is 40.0 s"));
        let unjudged = CellFigures { judged: 9, ..figures() };
        let lax: Want = "violations=0".parse().expect("it is one");
        assert_eq!(lax.missed(&unjudged).as_deref(), Some("violations=0: only 9 of 10 runs could be judged"));
        let unmeasured: Want = "outage.max<1s".parse().expect("it is one");
        assert_eq!(unmeasured.missed(&figures()).as_deref(), Some("outage.max<1s: no run measured it"));
    }

    #[test]
    fn what_is_no_bound_is_told_with_what_would_be_right() {
        for (typed, said) in [
            ("outage.p99", "is no bound"),
            ("outage<1s", "there are: outage.p50, outage.p95"),
            ("outage.p99<fast", "a duration with its unit"),
            ("availability>101%", "a share"),
            ("violations=none", "a whole number"),
            ("violations=-1", "a whole number"),
        ] {
            let why = typed.parse::<Want>().expect_err(typed);
            assert!(why.contains(said), "{typed}: {why}");
        }
    }
}
