//! An answer of the REST API, taken apart.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By their names in small letters.
    headers: BTreeMap<String, String>,
    /// As a document, if it is one.
    pub(crate) body: Value,
}

impl Answer {
    /// Reads it; `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
        let fields = lines.filter_map(|line| line.split_once(':'));
        let headers = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
        Some(Self { status, headers, body })
    }

    /// What is to be alike: not how the two servers end a body, nor metrics, which are compared one by one elsewhere. Of an error
    /// page of Python's web server its message.
    pub(crate) fn told(mut self, path: &str) -> Value {
        for name in ["date", "server", "content-length", "connection"] {
            self.headers.remove(name);
        }
        if path == "/metrics" && self.status == 200 {
            self.body = json!("metrics");
        }
        let page = self.body.as_str().and_then(|page| page.split_once("<p>Message: "));
        match page.and_then(|(_, rest)| rest.split_once("</p>")) {
            Some((message, _)) => {
                let message = message.strip_suffix('.').unwrap_or(message);
                json!({ "status": self.status, "error": message })
            }
            None if self.status >= 400 && self.body.is_string() => {
                json!({ "status": self.status, "error": self.body })
            }
            None => json!({ "status": self.status, "headers": self.headers, "body": self.body }),
        }
    }
}
