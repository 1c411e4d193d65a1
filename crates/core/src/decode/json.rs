//! ○ Walks a JSON value along several pointers at once, and skips everything else without building it.
//!
//! **Invariant:** the stack grows with the pointers, never with the record: what no pointer leads into is skipped by
//! `serde_json`'s loop, which keeps open brackets on the heap (a recursive skip overflows at 100,000 of them).

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{Found, Pointer, Text, Undecodable, What};
use crate::model::event::{ByteSpan, Record};

/// The pointers of all fields, as one tree.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    root: Node,
    /// A bit for each field.
    wanted: u8,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// The fields that stand here.
    wanted: SmallVec<[What; 1]>,
    children: Vec<Child>,
}

#[derive(Clone, Debug)]
struct Child {
    /// The name within an object.
    name: Box<str>,
    /// The position within an array, if the name is one.
    index: Option<usize>,
    node: Node,
}

impl Tree {
    pub(super) fn is_empty(&self) -> bool {
        self.wanted == 0
    }

    pub(super) fn add(&mut self, pointer: &Pointer, what: What) {
        self.wanted |= what.bit();
        let mut node = &mut self.root;
        for name in pointer.tokens() {
            let at = node.children.iter().position(|child| child.name == *name).unwrap_or_else(|| {
                node.children.push(Child { name: name.clone(), index: array_index(name), node: Node::default() });
                node.children.len() - 1
            });
            node = &mut node.children[at].node;
        }
        node.wanted.push(what);
    }
}

/// Puts what the pointers lead to into `found`; of a name that stands twice in an object the first counts.
pub(super) fn look_into(tree: &Tree, record: &Record, value: ByteSpan, found: &mut Found) -> Result<(), Undecodable> {
    let text = std::str::from_utf8(value.of(&record.bytes)).map_err(|_| Undecodable::NotJson)?;
    let mut search = Search { text, text_start: value.start, left: tree.wanted, careful: false, found };
    // A quick walk also fails on what is JSON but fits into no `str` or f64 (half a surrogate pair, 1e999), and the fields
    // may stand behind that.
    if search.walk(&tree.root) || search.careful().walk(&tree.root) { Ok(()) } else { Err(Undecodable::NotJson) }
}

/// RFC 6901: digits without a leading zero.
fn array_index(name: &str) -> Option<usize> {
    let is_canonical = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
    is_canonical.then(|| name.parse().ok()).flatten()
}

struct Search<'s, 'j> {
    text: &'j str,
    /// Position of the text in the record's bytes.
    text_start: u32,
    /// A bit for each field whose place was not passed yet.
    left: u8,
    /// Names and values on the way are read as they are written: slower, but whatever is JSON is walked through.
    careful: bool,
    found: &'s mut Found,
}

impl<'j> Search<'_, 'j> {
    /// Says if all was found, or the whole text is JSON. An error with everything found only means that we left in the
    /// middle.
    fn walk(&mut self, root: &Node) -> bool {
        let mut json = serde_json::Deserializer::from_str(self.text);
        let walked = Walk { node: root, search: self }.deserialize(&mut json).and_then(|()| json.end());
        walked.is_ok() || self.left == 0
    }

    /// The same search for what is left; what was passed stays as it was found.
    fn careful(&mut self) -> &mut Self {
        self.careful = true;
        self
    }

    fn take(&mut self, what: What, raw: &'j str) {
        if self.left & what.bit() != 0 {
            self.left &= !what.bit();
            self.found.put(what, text_of(raw, self.text, self.text_start));
        }
    }
}

/// A string or a number as a field's text; anything else is no text.
fn text_of(raw: &str, text: &str, text_start: u32) -> Option<Text> {
    match raw.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
            Some(Text::Utf8(span_within(&raw[1..raw.len() - 1], text, text_start)))
        }
        [b'"', ..] => Some(serde_json::from_str(raw).map_or(Text::Broken, Text::Unescaped)),
        [b'-' | b'0'..=b'9', ..] => Some(Text::Utf8(span_within(raw, text, text_start))),
        _ => None,
    }
}

/// `part` is a slice of `text`: `serde_json` borrows from its input.
fn span_within(part: &str, text: &str, text_start: u32) -> ByteSpan {
    let offset = part.as_ptr().addr() - text.as_ptr().addr();
    debug_assert!(offset + part.len() <= text.len(), "the part is borrowed from the text");
    // Both fit: they lie within a record's bytes, which count in u32.
    ByteSpan { start: text_start + offset as u32, len: part.len() as u32 }
}

/// Reads one value of the document, at one node of the tree.
struct Walk<'w, 's, 'j> {
    node: &'w Node,
    search: &'w mut Search<'s, 'j>,
}

impl<'j> DeserializeSeed<'j> for Walk<'_, '_, 'j> {
    type Value = ();

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.node.wanted.is_empty() && !self.search.careful {
            return deserializer.deserialize_any(self);
        }
        let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?.get();
        for what in &self.node.wanted {
            self.search.take(*what, raw);
        }
        if !self.node.children.is_empty() && raw.starts_with(['{', '[']) {
            // A field here and another one below it, or a careful search: the value is passed again.
            let mut json = serde_json::Deserializer::from_str(raw);
            json.deserialize_any(self).map_err(D::Error::custom)?;
        }
        Ok(())
    }
}

impl<'j> Visitor<'j> for Walk<'_, '_, 'j> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(child) = map.next_key_seed(Name { of: self.node, careful: self.search.careful })? {
            match child {
                Some(node) => {
                    map.next_value_seed(Walk { node, search: self.search })?;
                    if self.search.left == 0 {
                        return Ok(());
                    }
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut seq: A) -> Result<(), A::Error> {
        for at in 0.. {
            let next = match self.node.children.iter().find(|child| child.index == Some(at)) {
                Some(child) => seq.next_element_seed(Walk { node: &child.node, search: self.search })?,
                None => seq.next_element::<IgnoredAny>()?.map(drop),
            };
            if next.is_none() || self.search.left == 0 {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Reads a name in an object; the child of that name, if a pointer leads there.
struct Name<'w> {
    of: &'w Node,
    careful: bool,
}

impl<'j, 'w> DeserializeSeed<'j> for Name<'w> {
    type Value = Option<&'w Node>;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if !self.careful {
            return deserializer.deserialize_str(self);
        }
        let raw = <&RawValue as serde::Deserialize>::deserialize(deserializer)?.get();
        // A name that is no text is none of a pointer's.
        Ok(serde_json::Deserializer::from_str(raw).deserialize_str(self).unwrap_or(None))
    }
}

impl<'w> Visitor<'_> for Name<'w> {
    type Value = Option<&'w Node>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.of.children.iter().find(|child| *child.name == *name).map(|child| &child.node))
    }
}
