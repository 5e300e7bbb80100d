//! A run that did not pass, explained: the first violation, the events that lead to it, and the command that plays it again.

use pgdrill_lab::verdict::{Verdict, explain};

use crate::{
    palette::{self, paint},
    run::{Ending, Run},
    text::{right, wrap},
    timeline::{names::Names, words},
};

/// Further violations are listed up to this many.
const FURTHER: usize = 5;
/// An event's words are cut after this many lines.
const EVENT_LINES: usize = 3;

/// Explains a run that did not pass; for one that passed it says so in a line. The events must still be there.
#[must_use]
pub fn explanation(run: &Run, width: usize) -> String {
    let style = match run.verdict() {
        Verdict::Pass => palette::GOOD,
        Verdict::Fail => palette::BAD,
        Verdict::Unknown | Verdict::Vacuous | Verdict::Unsupported | Verdict::NotApplicable => palette::DOUBTFUL,
    };
    let mut out = format!(
        "{} {}\n",
        paint(palette::HEADING, format!("{}, seed {}:", run.scenario, run.seed)),
        paint(style, run.word())
    );
    match &run.ending {
        Ending::Judged(judgement) if !judgement.violations.is_empty() => violations(&mut out, run, width),
        Ending::Unreproducible(why) => {
            // Lines of JSON: wrapping would make them useless for comparing by eye or by tool.
            out.push_str("  Played twice with the same seed it was not the same: this is a bug of pgdrill itself.\n");
            for line in why.lines() {
                out.push_str(&format!("  {line}\n"));
            }
        }
        Ending::Crashed(why) => {
            paragraph(&mut out, why, width);
            paragraph(&mut out, "This is a bug of pgdrill itself. Please report it with this message.", width);
        }
        Ending::Unsupported(reasons) => reasons.iter().for_each(|why| paragraph(&mut out, why, width)),
        Ending::Judged(_) | Ending::Unplayable(_) | Ending::NotApplicable(_) => {
            paragraph(&mut out, &run.reason(), width)
        }
    }
    if let Some(because) = &run.because {
        out.push('\n');
        paragraph(&mut out, because, width);
    }
    if run.verdict() != Verdict::Pass {
        out.push_str(&format!("\n  reproduce: {}\n", paint(palette::HEADING, &run.reproduce)));
    }
    out
}

fn paragraph(out: &mut String, text: &str, width: usize) {
    // A message's own line breaks stay: what is wrong, then what to do about it.
    for line in text.lines().flat_map(|line| wrap(line, width.saturating_sub(2), usize::MAX)) {
        out.push_str(&format!("  {line}\n"));
    }
}

fn violations(out: &mut String, run: &Run, width: usize) {
    let Ending::Judged(judgement) = &run.ending else { return };
    let Some((first, further)) = judgement.violations.split_first() else { return };
    let sentence = format!("{} at {}: {}", first.code(), first.at, first.broken);
    for line in wrap(&sentence, width.saturating_sub(2), usize::MAX) {
        out.push_str(&format!("  {}\n", paint(palette::BAD, line)));
    }
    let leading = explain(first, &run.events);
    if !leading.is_empty() {
        out.push_str("\n  How it came about (> marks what shows it):\n");
    }
    let names = Names::of(&run.events);
    for event in leading {
        let event = names.named(event);
        let shows = first.ordinals.contains(&event.ordinal);
        let head = format!(
            "  {} {} {} ",
            if shows { ">" } else { " " },
            right(&format!("{:.3}", event.at.secs()), 9),
            right(&format!("#{}", event.ordinal), 7),
        );
        let room = width.saturating_sub(head.len()).max(30);
        for (i, line) in wrap(&words::anything(&event.node, &event.what), room, EVENT_LINES).into_iter().enumerate() {
            let head = if i == 0 { head.clone() } else { " ".repeat(head.len()) };
            let line = if shows { paint(palette::HEADING, line) } else { line };
            out.push_str(&format!("{head}{line}\n"));
        }
    }
    if !further.is_empty() {
        out.push_str(&format!("\n  Further violations ({}):\n", further.len()));
        for violation in further.iter().take(FURTHER) {
            let lines = wrap(&violation.to_string(), width.saturating_sub(4), EVENT_LINES);
            lines.iter().for_each(|line| out.push_str(&format!("    {line}\n")));
        }
        if further.len() > FURTHER {
            out.push_str(&format!("    … and {} more\n", further.len() - FURTHER));
        }
    }
}
