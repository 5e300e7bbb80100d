//! A JSON Schema validator for the tests: the keywords that the schema uses, and a panic for any other, so that none is passed
//! over. The library for it would bring some thirty packages into every build of the tests.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use regex::Regex;
use serde_json::{Map, Value};

pub(super) struct Validator<'s> {
    root: &'s Value,
    patterns: RefCell<BTreeMap<String, Rc<Regex>>>,
}

/// Keywords that say something to people only.
const REMARKS: [&str; 7] = ["$schema", "$id", "$defs", "title", "description", "default", "patternErrorMessage"];

impl<'s> Validator<'s> {
    pub(super) fn of(root: &'s Value) -> Self {
        Self { root, patterns: RefCell::default() }
    }

    /// What is wrong with a document: the place and what is expected there.
    pub(super) fn errors(&self, document: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(self.root, document, "", &mut errors);
        errors
    }

    fn takes(&self, schema: &Value, value: &Value) -> bool {
        let mut errors = Vec::new();
        self.check(schema, value, "", &mut errors);
        errors.is_empty()
    }

    fn check(&self, schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
        let Value::Object(keywords) = schema else {
            assert!(schema.is_boolean(), "{schema} is no schema");
            if schema == &Value::Bool(false) {
                errors.push(format!("{place}: nothing is allowed"));
            }
            return;
        };
        for (keyword, wanted) in keywords {
            if !REMARKS.contains(&keyword.as_str()) && keyword != "errorMessage" {
                self.keyword(keywords, keyword, wanted, value, place, errors);
            }
        }
    }

    fn keyword(
        &self,
        all: &Map<String, Value>,
        keyword: &str,
        wanted: &Value,
        value: &Value,
        place: &str,
        errors: &mut Vec<String>,
    ) {
        let number = |wanted: &Value| wanted.as_f64().expect("a number");
        let list = |wanted: &'_ Value| wanted.as_array().expect("a list").clone();
        let holds = match keyword {
            "$ref" => {
                let pointer =
                    wanted.as_str().and_then(|target| target.strip_prefix('#')).expect("a place in the schema");
                let target = self.root.pointer(pointer).unwrap_or_else(|| panic!("{wanted} leads nowhere"));
                return self.check(target, value, place, errors);
            }
            "allOf" => return list(wanted).iter().for_each(|schema| self.check(schema, value, place, errors)),
            "anyOf" => list(wanted).iter().any(|schema| self.takes(schema, value)),
            "oneOf" => list(wanted).iter().filter(|schema| self.takes(schema, value)).count() == 1,
            "not" => !self.takes(wanted, value),
            "if" => {
                let branch = if self.takes(wanted, value) { "then" } else { "else" };
                return all.get(branch).into_iter().for_each(|schema| self.check(schema, value, place, errors));
            }
            "then" | "else" => true,
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|name| is_a(value, name)),
                name => is_a(value, name),
            },
            "enum" => list(wanted).contains(value),
            "const" => wanted == value,
            "pattern" => value.as_str().is_none_or(|text| self.pattern(wanted).is_match(text)),
            "minimum" => value.as_f64().is_none_or(|n| n >= number(wanted)),
            "exclusiveMinimum" => value.as_f64().is_none_or(|n| n > number(wanted)),
            "maximum" => value.as_f64().is_none_or(|n| n <= number(wanted)),
            "minItems" => value.as_array().is_none_or(|items| items.len() as f64 >= number(wanted)),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as f64 <= number(wanted)),
            "uniqueItems" => {
                value.as_array().is_none_or(|i| i.iter().enumerate().all(|(n, item)| !i[..n].contains(item)))
            }
            "minProperties" => value.as_object().is_none_or(|fields| fields.len() as f64 >= number(wanted)),
            "required" => value.as_object().is_none_or(|fields| {
                list(wanted).iter().all(|name| fields.contains_key(name.as_str().expect("a name")))
            }),
            "dependentRequired" => value.as_object().is_none_or(|fields| {
                let named = wanted.as_object().expect("fields").iter().filter(|(name, _)| fields.contains_key(*name));
                named
                    .flat_map(|(_, needed)| list(needed))
                    .all(|name| fields.contains_key(name.as_str().expect("a name")))
            }),
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(wanted, item, &format!("{place}/{n}"), errors);
                }
                return;
            }
            "properties" | "patternProperties" => true,
            "additionalProperties" => return self.additional(all, wanted, value, place, errors),
            other => panic!("the keyword {other} is not known to this validator"),
        };
        // Fields are looked at once, whichever of their keywords comes first.
        if keyword == "properties" {
            self.fields(wanted, value, place, errors);
        }
        if !holds {
            let words: String = format!("{keyword}: {wanted}").chars().take(120).collect();
            errors.push(format!("{place}: {value} is not {words}"));
        }
    }

    fn fields(&self, properties: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
        for (name, schema) in properties.as_object().expect("fields") {
            if let Some(field) = value.get(name) {
                self.check(schema, field, &format!("{place}/{name}"), errors);
            }
        }
    }

    /// Fields beside those that are named, some of them by a pattern.
    fn additional(
        &self,
        all: &Map<String, Value>,
        wanted: &Value,
        value: &Value,
        place: &str,
        errors: &mut Vec<String>,
    ) {
        let Value::Object(fields) = value else { return };
        let patterns: Vec<_> = all.get("patternProperties").and_then(Value::as_object).into_iter().flatten().collect();
        for (name, field) in
            fields.iter().filter(|(name, _)| all.get("properties").is_none_or(|p| p.get(name).is_none()))
        {
            let by_pattern: Vec<_> =
                patterns.iter().filter(|(p, _)| self.pattern(&Value::String((*p).clone())).is_match(name)).collect();
            for (_, schema) in &by_pattern {
                self.check(schema, field, &format!("{place}/{name}"), errors);
            }
            if by_pattern.is_empty() && wanted == &Value::Bool(false) {
                errors.push(format!("{place}: the field {name:?} is not allowed"));
            } else if by_pattern.is_empty() {
                self.check(wanted, field, &format!("{place}/{name}"), errors);
            }
        }
    }

    fn pattern(&self, pattern: &Value) -> Rc<Regex> {
        let pattern = pattern.as_str().expect("a text");
        let mut patterns = self.patterns.borrow_mut();
        let compiled = || Rc::new(Regex::new(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}")));
        Rc::clone(patterns.entry(pattern.to_owned()).or_insert_with(compiled))
    }
}

fn is_a(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("a type's name") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}
