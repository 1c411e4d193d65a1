//! ○ A place in a record, as the configuration names it.

use std::str::FromStr;

/// The place of one field of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FieldSource {
    #[default]
    Nowhere,
    /// The record's key.
    Key,
    /// The last header of this name; the case of letters counts.
    Header(Box<str>),
    /// In the value.
    Json(Pointer),
}

/// An RFC 6901 pointer to something within a JSON value: its tokens, unescaped; none for the value itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Box<[Box<str>]>);

/// The places of all fields of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSources {
    pub tenant: FieldSource,
    pub department: FieldSource,
    /// The event's type.
    pub kind: FieldSource,
    pub id: FieldSource,
    pub time: FieldSource,
}

/// The reason why a text is not a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldSourceError {
    #[error("a place is `header:NAME`, `json:/pointer`, `key`, or empty for nowhere")]
    Unknown,
    #[error("a header's name is missing after `header:`")]
    HeaderName,
    #[error("a JSON pointer begins with `/`, or is empty for the whole value")]
    PointerStart,
    #[error("in a JSON pointer `~` is written `~0` and `/` within a name `~1`")]
    PointerEscape,
    #[error("a JSON pointer has at most {} parts", Pointer::TOKENS_MAX)]
    PointerDepth,
}

impl FieldSource {
    /// Reads `header:NAME`, `json:/pointer`, `key`, or nothing for nowhere.
    ///
    /// # Errors
    /// [`FieldSourceError`] says how it should look.
    pub fn parse(text: &str) -> Result<Self, FieldSourceError> {
        match text.split_once(':') {
            None if text.is_empty() => Ok(FieldSource::Nowhere),
            None if text == "key" => Ok(FieldSource::Key),
            Some(("header", "")) => Err(FieldSourceError::HeaderName),
            Some(("header", name)) => Ok(FieldSource::Header(name.into())),
            Some(("json", pointer)) => pointer.parse().map(FieldSource::Json),
            _ => Err(FieldSourceError::Unknown),
        }
    }
}

impl Pointer {
    /// A deeper one is a mistake; and reading goes one level of the stack deeper for each.
    pub const TOKENS_MAX: usize = 32;

    pub(super) fn tokens(&self) -> &[Box<str>] {
        &self.0
    }
}

impl FromStr for Pointer {
    type Err = FieldSourceError;

    fn from_str(text: &str) -> Result<Self, FieldSourceError> {
        if text.is_empty() {
            return Ok(Pointer(Box::default()));
        }
        let tokens = text.strip_prefix('/').ok_or(FieldSourceError::PointerStart)?.split('/');
        let tokens = tokens.map(unescaped).collect::<Result<Box<[_]>, _>>()?;
        if tokens.len() > Pointer::TOKENS_MAX {
            return Err(FieldSourceError::PointerDepth);
        }
        Ok(Pointer(tokens))
    }
}

fn unescaped(token: &str) -> Result<Box<str>, FieldSourceError> {
    let mut parts = token.split('~');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = match part.as_bytes().first() {
            Some(b'0') => ('~', &part[1..]),
            Some(b'1') => ('/', &part[1..]),
            _ => return Err(FieldSourceError::PointerEscape),
        };
        name.push(rest.0);
        name.push_str(rest.1);
    }
    Ok(name.into())
}
