//! Secrets of a text that is YAML, by its structure: what belongs to a secret's name, what is in a group of users, what is inside of
//! a text, and what an alias (`*name`) brings to such a place from elsewhere.

use std::{collections::BTreeMap, ops::Range};

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use super::{name, within};

/// No file of the largest size that is read has more than a few of them for each of its characters.
const MOST_EVENTS: usize = 4_000_000;

/// The places in characters, and whether all of the text is YAML.
pub(super) fn places(text: &str, chars: &[char]) -> (Vec<Range<usize>>, bool) {
    let options = granit_parser::options! {
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        max_buffered_comment_events: usize::MAX,
    };
    let mut walk = Walk { chars, ..Walk::default() };
    for (count, event) in Parser::new_from_str_with_options(text, options).enumerate() {
        match event {
            Ok((event, span)) if count < MOST_EVENTS => walk.event(&event, &span),
            _ => return (walk.hidden, false),
        }
    }
    (walk.hidden, true)
}

/// What a value is by where it is.
#[derive(Clone, Copy, Default, PartialEq)]
enum Context {
    /// To be shown, but for what is inside of a text.
    #[default]
    Plain,
    /// In a group of users: to be shown if its name is known to be harmless.
    OfUsers,
    /// A secret, with all that is below it.
    Secret,
}

/// A list or a group that is open.
struct Open {
    context: Context,
    /// Where it begins to be hidden, if it is the secret itself.
    hidden_from: Option<usize>,
    begin: usize,
    anchor: usize,
    is_flow: bool,
    /// Whether it is itself the name of a field.
    is_key: bool,
    group: Option<Group>,
}

/// What is known of a group of fields.
#[derive(Default)]
struct Group {
    /// The name whose value comes next.
    key: Option<Key>,
    has_username: bool,
    /// Names without values: `{ username: admin, s3cret }`.
    lone: Vec<Range<usize>>,
}

struct Key {
    name: String,
    place: Range<usize>,
}

/// What a node is by where it stands.
struct Role {
    context: Context,
    /// The name that it is the value of.
    key: Option<Key>,
    is_key: bool,
}

#[derive(Default)]
struct Walk<'c> {
    chars: &'c [char],
    open: Vec<Open>,
    anchors: BTreeMap<usize, Range<usize>>,
    hidden: Vec<Range<usize>>,
    /// Whether the node before was hidden: its anchor is told of after it.
    last_hidden: bool,
}

impl Walk<'_> {
    fn event(&mut self, event: &Event<'_>, span: &Span) {
        let end = span.end.index().min(self.chars.len());
        let place = span.start.index().min(end)..end;
        match event {
            Event::Scalar(value, style, anchor, _) => {
                self.anchors.insert(*anchor, place.clone());
                self.scalar(value, *style, &place, span);
            }
            Event::Alias(id) => self.alias(self.anchors.get(id).cloned(), &place),
            Event::UnresolvedAlias(_) => self.alias(None, &place),
            Event::SequenceStart(style, anchor, _) => self.begins(None, *style, *anchor, place.start),
            Event::MappingStart(style, anchor, _) => self.begins(Some(Group::default()), *style, *anchor, place.start),
            Event::SequenceEnd | Event::MappingEnd => self.ends(place.end),
            Event::Anchor(..) if self.last_hidden => self.hidden.push(place),
            Event::Comment(text, _) => self.comment(text, &place),
            _ => {}
        }
    }

    /// What the next node is; the name that it belongs to is used up.
    fn role(&mut self) -> Role {
        let Some(open) = self.open.last_mut() else {
            return Role { context: Context::Plain, key: None, is_key: false };
        };
        let Some(group) = &mut open.group else {
            return Role { context: open.context, key: None, is_key: false };
        };
        let Some(key) = group.key.take() else {
            return Role { context: open.context, key: None, is_key: true };
        };
        let context = match open.context {
            Context::Secret => Context::Secret,
            _ if name::is_secret(&key.name) => Context::Secret,
            _ if name::is_group(&key.name) => Context::OfUsers,
            Context::OfUsers if !name::is_harmless(&key.name) => Context::OfUsers,
            _ => Context::Plain,
        };
        Role { context, key: Some(key), is_key: false }
    }

    fn names(&mut self, name: String, place: Range<usize>) {
        if let Some(group) = self.open.last_mut().and_then(|open| open.group.as_mut()) {
            group.has_username |= name == "username";
            group.key = Some(Key { name, place });
        }
    }

    fn scalar(&mut self, value: &str, style: ScalarStyle, place: &Range<usize>, span: &Span) {
        let role = self.role();
        self.last_hidden = role.context != Context::Plain && !role.is_key;
        if role.is_key {
            self.inside(value, place);
            self.names(value.to_owned(), place.clone());
            return;
        }
        let tag = span.tag_span().map(|tag| tag.start.index()..tag.end.index());
        if role.context == Context::Plain {
            return match tag {
                // `!Bearer SECRET`.
                Some(tag) => self
                    .inside(&format!("{} {value}", self.text(&tag).trim_start_matches('!')), &(tag.start..place.end)),
                None => self.inside(value, place),
            };
        }
        self.hidden.extend(tag);
        let is_nothing = place.is_empty() && style == ScalarStyle::Plain;
        match (role.key, is_nothing) {
            // Where nothing stands it is not said reliably: it may be the next name.
            (Some(key), true) => {
                self.hide_line(key.place.end, key.place.end);
                let lone = self.open.last_mut().and_then(|open| open.group.as_mut());
                if let Some(group) = lone.filter(|_| !name::is_secret(&key.name)) {
                    group.lone.push(key.place);
                }
            }
            (Some(key), false) => self.hide_line(key.place.end, place.end),
            (None, _) => self.hidden.push(place.clone()),
        }
    }

    /// Hides a value from behind its name to its end, and what follows in its last line: comments.
    fn hide_line(&mut self, from: usize, to: usize) {
        let is_flow = self.open.last().is_some_and(|open| open.is_flow);
        // A text over several lines ends where the next thing begins.
        let blank = self.chars[from..to.max(from)].iter().rev().take_while(|c| c.is_whitespace()).count();
        let mut to = to.max(from) - blank;
        if !is_flow {
            to += self.chars[to..].iter().take_while(|c| !matches!(c, '\n' | '\r')).count();
        }
        let lead = self.chars[from..to].iter().take_while(|c| matches!(c, ':' | ' ' | '\t')).count();
        self.hidden.push(from + lead..to);
    }

    fn text(&self, place: &Range<usize>) -> String {
        self.chars.get(place.clone()).unwrap_or_default().iter().collect()
    }

    /// Secrets inside of a text.
    fn inside(&mut self, value: &str, place: &Range<usize>) {
        let found = within::places(value);
        if found.is_empty() {
            return;
        }
        let raw = self.text(place);
        // Written with escapes or over several lines it does not stand there as it is: all of it is hidden.
        let Some(at) = raw.find(value) else { return self.hidden.push(place.clone()) };
        let begin = place.start + raw[..at].chars().count();
        let chars = |bytes: usize| begin + value[..bytes].chars().count();
        self.hidden.extend(found.into_iter().map(|range| chars(range.start)..chars(range.end)));
    }

    fn alias(&mut self, anchor: Option<Range<usize>>, place: &Range<usize>) {
        let role = self.role();
        if role.is_key {
            return self.names(String::new(), place.clone());
        }
        if role.context == Context::Plain {
            // Its name is what somebody forgot to quote.
            let written = self.text(place);
            self.inside(&written, place);
        } else {
            self.hidden.extend(anchor);
            self.hide_line(role.key.map_or(place.start, |key| key.place.end), place.end);
        }
    }

    fn begins(&mut self, group: Option<Group>, style: StructureStyle, anchor: usize, begin: usize) {
        let role = self.role();
        self.last_hidden = role.context == Context::Secret;
        let above = self.open.last().map_or(Context::Plain, |open| open.context);
        let is_secret = role.context == Context::Secret && above != Context::Secret;
        let hidden_from = is_secret.then(|| role.key.map_or(begin, |key| key.place.end));
        let is_flow = style == StructureStyle::Flow;
        let is_key = role.is_key;
        self.open.push(Open { context: role.context, hidden_from, begin, anchor, is_flow, is_key, group });
    }

    fn ends(&mut self, end: usize) {
        let Some(open) = self.open.pop() else { return };
        self.anchors.insert(open.anchor, open.begin..end);
        if let Some(from) = open.hidden_from {
            self.hide_line(from, end);
        }
        if let Some(group) = open.group.filter(|group| group.has_username && open.context == Context::OfUsers) {
            self.hidden.extend(group.lone);
        }
        if open.is_key {
            self.names(String::new(), open.begin..end);
        }
    }

    /// What was a line of settings once, or tells a password.
    fn comment(&mut self, text: &str, place: &Range<usize>) {
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        if words.any(name::is_secret) || text.split_whitespace().any(name::is_secret) {
            self.hidden.push(place.clone());
        } else {
            self.inside(text, place);
        }
    }
}
