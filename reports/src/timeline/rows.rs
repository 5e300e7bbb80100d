//! The events from top to bottom: time at the left, then one lane per node, the faults in force, the leader lock, the
//! clients, and what happened.

use std::time::Duration;

use pgdrill_lab::event::{At, Event};

use super::{
    Detail,
    clients::Clients,
    faults::Faults,
    lines::{Changed, Line, Teller},
    names::Names,
    state::{Cluster, Node},
    words,
};
use crate::{
    palette::{self, paint},
    text::{duration, left, right, shorten, wrap},
};

/// Longer silences get a line of their own.
const QUIET: Duration = Duration::from_secs(15);
/// Columns of the time.
const TIME: usize = 9;
/// Columns of the clients' lane.
const ACKS: usize = 8;
/// A message is never squeezed into less.
const NARROWEST_MESSAGE: usize = 24;
/// Longer messages are cut, except where everything is asked for.
const MESSAGE_LINES: usize = 3;

/// Draws the rows.
pub(crate) fn draw(events: &[Event], clients: &Clients, detail: Detail, width: usize) -> String {
    let mut rows = Rows::new(events, clients, detail, width);
    let mut teller = Teller::new(detail, clients);
    let mut cluster = Cluster::with_nodes_of(events);
    let names = Names::of(events);
    for event in events {
        let event = &*names.named(event);
        let role_before = cluster.node(&event.node).map(Node::role);
        cluster.see(event);
        let lock = cluster.lock.see(event);
        if let Some(line) = teller.tell(event, &Changed { lock, role_before, after: &cluster }) {
            rows.push(event, &cluster, &line);
        }
    }
    rows.finish(events.last().map_or(At(0), |e| e.at), &cluster)
}

struct Rows<'a> {
    clients: &'a Clients,
    faults: Faults,
    detail: Detail,
    /// Columns of one node's lane.
    cell: usize,
    /// Columns of the lock's lane: the longest name of a node.
    lock: usize,
    message: usize,
    last: Option<At>,
    out: String,
}

impl<'a> Rows<'a> {
    fn new(events: &[Event], clients: &'a Clients, detail: Detail, width: usize) -> Self {
        let nodes = Cluster::with_nodes_of(events).nodes;
        let longest = nodes.iter().map(|n| n.name.chars().count()).max().unwrap_or(0).clamp(4, 16);
        let mut rows = Self {
            clients,
            faults: Faults::of(events),
            detail,
            cell: longest.min(8) + 1,
            lock: longest,
            message: 0,
            last: None,
            out: String::new(),
        };
        // Many nodes: first the lanes give way, down to a letter, two marks and a gap, then the terminal wraps.
        while rows.cell > 4 && rows.lanes(nodes.len()) + NARROWEST_MESSAGE > width {
            rows.cell -= 1;
        }
        rows.message = width.saturating_sub(rows.lanes(nodes.len())).max(NARROWEST_MESSAGE);
        rows.heading(&nodes);
        rows
    }

    /// Columns left of the message.
    fn lanes(&self, nodes: usize) -> usize {
        let ordinal = if self.detail == Detail::Everything { 8 } else { 0 };
        let faults = if self.faults.any() { 4 } else { 0 };
        let acks = if self.clients.any() { ACKS + 1 } else { 0 };
        TIME + ordinal + 2 + nodes * self.cell + faults + self.lock + 1 + acks
    }

    fn heading(&mut self, nodes: &[Node]) {
        let mut heading = right("time", TIME);
        if self.detail == Detail::Everything {
            heading.push_str(&right("event", 8));
        }
        heading.push_str("  ");
        for node in nodes {
            heading.push_str(&left(&self.column_name(&node.name), self.cell));
        }
        if self.faults.any() {
            heading.push_str("flt ");
        }
        heading.push_str(&left("lock", self.lock + 1));
        if self.clients.any() {
            heading.push_str(&left("acks", ACKS + 1));
        }
        heading.push_str("what happened");
        self.out.push_str(&paint(palette::HEADING, heading));
        self.out.push('\n');
    }

    /// A name that fits its lane; the end of a name tells nodes apart, so the start gives way.
    fn column_name(&self, name: &str) -> String {
        let room = self.cell - 1;
        let count = name.chars().count();
        name.chars().skip(count.saturating_sub(room)).collect()
    }

    fn push(&mut self, event: &Event, cluster: &Cluster, line: &Line) {
        self.quiet_until(event.at, cluster);
        let lines = if self.detail == Detail::Everything { usize::MAX } else { MESSAGE_LINES };
        let mut message = wrap(&line.text, self.message, lines).into_iter();
        let mut row = right(&format!("{:.3}", event.at.secs()), TIME);
        if self.detail == Detail::Everything {
            row.push_str(&paint(palette::QUIET, right(&format!("#{}", event.ordinal), 8)));
        }
        row.push_str("  ");
        row.push_str(&self.state(event.at, cluster));
        row.push_str(&paint(line.style, message.next().unwrap_or_default()));
        self.out.push_str(row.trim_end());
        self.out.push('\n');
        let indent = " ".repeat(self.lanes(cluster.nodes.len()));
        for more in message {
            self.out.push_str(&format!("{indent}{}\n", paint(line.style, more)));
        }
        self.last = Some(event.at);
    }

    /// All lanes right of the time, as they are at that moment.
    fn state(&self, at: At, cluster: &Cluster) -> String {
        let mut lanes = String::new();
        for node in &cluster.nodes {
            let mut marks = String::new();
            if cluster.lock.holder() == Some(&node.name) {
                marks.push('*');
            }
            if node.agent_stopped() {
                marks.push('!');
            }
            let role = node.role();
            lanes.push_str(&paint(role.style(), left(&format!("{}{marks}", role.glyph()), self.cell)));
        }
        if self.faults.any() {
            let letters: String = self.faults.in_force(at).map(words::fault_letter).collect();
            lanes.push_str(&paint(palette::FAULT, left(&shorten(&letters, 3), 4)));
        }
        let holder = cluster.lock.holder().unwrap_or("-");
        lanes.push_str(&paint(palette::LOCK, left(&shorten(holder, self.lock), self.lock + 1)));
        if self.clients.any() {
            lanes.push_str(&self.acks(at));
        }
        lanes
    }

    /// The clients' lane: acknowledged writes in the second that ends here.
    fn acks(&self, at: At) -> String {
        if self.clients.out_at(at) {
            return paint(palette::BAD, left("×", ACKS + 1));
        }
        let rate = self.clients.rate(At(at.0.saturating_sub(1_000_000_000)), at);
        let text = if rate > 0.0 { format!("{rate:.0}/s") } else { "-".to_owned() };
        left(&text, ACKS + 1)
    }

    /// Says how long nothing was worth a line.
    fn quiet_until(&mut self, at: At, cluster: &Cluster) {
        let Some(last) = self.last else { return };
        let silence = at.since(last);
        if silence < QUIET {
            return;
        }
        let rate =
            if self.clients.any() { format!(", {:.0} acks/s", self.clients.rate(last, at)) } else { String::new() };
        let text = shorten(&format!("quiet for {}{rate}", duration(silence)), self.message);
        let indent = " ".repeat(self.lanes(cluster.nodes.len()) - TIME);
        self.out.push_str(&paint(palette::QUIET, format!("{}{indent}{text}", right("⋮", TIME))));
        self.out.push('\n');
    }

    fn finish(mut self, end: At, cluster: &Cluster) -> String {
        self.quiet_until(end, cluster);
        let row = format!("{}  {}", right(&format!("{:.3}", end.secs()), TIME), {
            let gap = if self.detail == Detail::Everything { " ".repeat(8) } else { String::new() };
            format!("{gap}{}", self.state(end, cluster))
        });
        self.out.push_str(&format!("{row}{}\n", paint(palette::QUIET, "end of the run")));
        self.out
    }
}
