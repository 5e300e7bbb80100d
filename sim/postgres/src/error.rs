//! Errors as PostgreSQL reports them: severity, SQLSTATE, message, detail.

use pgwire::messages::response::{ErrorResponse, NoticeResponse};

/// What PostgreSQL reports in an `ErrorResponse` or `NoticeResponse`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PgError {
    /// `ERROR`, `FATAL` (ends the connection), `PANIC` (ends the server's processes) or `WARNING`.
    pub severity: &'static str,
    /// SQLSTATE, five characters.
    pub code: &'static str,
    /// The primary message.
    pub message: String,
    /// `DETAIL`.
    pub detail: Option<String>,
}

impl PgError {
    /// An `ERROR`.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: "ERROR", code, message: message.into(), detail: None }
    }

    /// A `FATAL` error.
    pub fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: "FATAL", ..Self::error(code, message) }
    }

    /// A `WARNING`.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: "WARNING", ..Self::error(code, message) }
    }

    /// A `PANIC`.
    pub fn panic(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: "PANIC", ..Self::error(code, message) }
    }

    /// 0A000: `construct` is outside what the model understands.
    pub fn unsupported(construct: impl std::fmt::Display) -> Self {
        Self::error("0A000", format!("the PostgreSQL model does not support {construct}"))
    }

    /// Adds a `DETAIL`.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn fields(&self) -> Vec<(u8, String)> {
        let mut fields = vec![
            (b'S', self.severity.to_owned()),
            (b'V', self.severity.to_owned()),
            (b'C', self.code.to_owned()),
            (b'M', self.message.clone()),
        ];
        fields.extend(self.detail.clone().map(|detail| (b'D', detail)));
        fields
    }

    pub(crate) fn to_response(&self) -> ErrorResponse {
        ErrorResponse::new(self.fields())
    }

    pub(crate) fn to_notice(&self) -> NoticeResponse {
        NoticeResponse::new(self.fields())
    }
}

impl std::fmt::Display for PgError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.severity, self.message)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, " ({detail})"))
    }
}

impl std::error::Error for PgError {}
