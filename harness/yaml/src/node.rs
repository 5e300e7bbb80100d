//! YAML as a tree in which every value knows its place, so that every complaint can name it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::Spanned;

use crate::secret;

/// A value and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it is.
    pub place: Place,
}

/// A place in one of the files that are read together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Which of the reader's sources: 0 is the first.
    pub source: usize,
    /// From 1; 0: the source as a whole.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// In characters; 0 when unknown.
    pub width: usize,
}

/// A YAML value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A word or a text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// In the order of the file; a key may be there twice.
    Map(Vec<(Key, Node)>),
}

/// A field's name and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: Place,
}

impl Node {
    /// The field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(fields) => fields.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The value at a path such as `timeline[2].cut`, or the nearest one around it that exists.
    #[must_use]
    pub fn locate(&self, path: &str) -> &Node {
        let mut node = self;
        for part in path.split('.').flat_map(|part| part.split('[')) {
            let next = match (part.strip_suffix(']').and_then(|n| n.parse::<usize>().ok()), &node.value) {
                (Some(index), Value::List(items)) => items.get(index),
                _ => node.get(part),
            };
            match next {
                Some(next) => node = next,
                None => return node,
            }
        }
        node
    }

    /// The value at a path such as `restapi.listen`; nothing unless all of the path is there.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(self, |node, part| node.get(part))
    }

    /// Says of it and all that is in it that it is from this source.
    pub fn set_source(&mut self, source: usize) {
        self.place.source = source;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.set_source(source)),
            Value::Map(fields) => {
                for (key, node) in fields {
                    key.place.source = source;
                    node.set_source(source);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }

    /// Puts another tree over this one: groups are merged field by field, `null` removes a field, everything else replaces it.
    pub fn patch(&mut self, over: Node) {
        let Value::Map(changes) = over.value else {
            *self = over;
            return;
        };
        let Value::Map(fields) = &mut self.value else {
            *self = Node { value: Value::Map(changes), place: over.place };
            return;
        };
        for (key, node) in changes {
            let there = fields.iter_mut().find(|(there, _)| there.name == key.name);
            match (there, &node.value) {
                (_, Value::Null) => fields.retain(|(there, _)| there.name != key.name),
                (Some((_, before)), Value::Map(_)) => before.patch(node),
                (Some(before), _) => *before = (key, node),
                (None, _) => fields.push((key, node)),
            }
        }
    }

    /// A value that is in no file: its place is 0.
    #[must_use]
    pub fn of_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Number(number) => Value::Number(number.clone()),
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(Self::of_json).collect()),
            Json::Object(fields) => {
                let key = |name: &String| Key { name: name.clone(), place: Place::default() };
                Value::Map(fields.iter().map(|(name, field)| (key(name), Self::of_json(field))).collect())
            }
        };
        Self { value, place: Place::default() }
    }

    /// As JSON, for settings that are passed on as they are. Of a key that is there twice the last one counts.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(fields) => {
                let fields = fields.iter().map(|(key, node)| (key.name.clone(), node.to_json()));
                serde_json::Value::Object(fields.collect())
            }
        }
    }

    /// What it is, for messages: `the text "30s"`, `a list`; without the secrets that are inside of a text. What is a secret itself is
    /// for [`crate::Reader::wrong`] to know, from the place.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => quoted(&secret::without(text)),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a group of fields".into(),
        }
    }
}

/// The text in quotes; of a long one the beginning.
pub(crate) fn quoted(text: &str) -> String {
    if text.chars().count() > 60 {
        // What the quotes of a short one escape, a long one has as well.
        let beginning: String = text.chars().take(57).collect();
        return format!("\"{beginning}...\"");
    }
    format!("{text:?}")
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { place: place(&spanned), value: spanned.value })
    }
}

/// The place of use: of an alias that is where it stands, not where its anchor is.
fn place<T>(spanned: &Spanned<T>) -> Place {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Place {
        source: 0,
        line: number(spanned.referenced.line()),
        column: number(spanned.referenced.column()),
        width: number(spanned.referenced.span().len()),
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Value, E> {
        // Too long for a number: as text it fails every check that expects one.
        Ok(Value::Text(number.to_string()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Value, E> {
        Ok(Value::Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        // JSON knows no infinity; as text it fails every check that expects a number.
        Ok(Number::from_f64(number).map_or_else(|| Value::Text(number.to_string()), Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let place = place(&key);
            map.push((Key { name: key.value, place }, entries.next_value()?));
        }
        Ok(Value::Map(map))
    }
}
