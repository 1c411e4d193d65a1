//! ○ Bodies of requests: each a type that is read from JSON which was held to the type's shape.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    check::{Object, check},
    errors::{FieldError, FieldErrors, MISSING},
};

/// A body of the API.
pub trait Body: DeserializeOwned {
    /// The shape in which it is taken.
    fn shape() -> &'static Value;
}

/// Makes a type a [`Body`].
macro_rules! body {
    ($name:ident) => {
        impl crate::body::Body for $name {
            fn shape() -> &'static serde_json::Value {
                static SHAPE: std::sync::LazyLock<serde_json::Value> =
                    std::sync::LazyLock::new(crate::shape::taken::<$name>);
                &SHAPE
            }
        }
    };
}
pub(crate) use body;

/// Reads a body whose members do not depend on each other.
///
/// # Errors
/// Every wrong field.
pub fn read<T: Body>(object: &Object) -> Result<T, FieldErrors> {
    Said::of::<T>(object).into_body()
}

/// The right members of a body, and the mistakes in the others.
pub struct Said {
    pub object: Object,
    pub errors: FieldErrors,
}

impl Said {
    /// Holds an object to a body's shape.
    #[must_use]
    pub fn of<T: Body>(object: &Object) -> Said {
        Said::in_shape(object, T::shape())
    }

    #[must_use]
    pub fn in_shape(object: &Object, shape: &Value) -> Said {
        let mut errors = FieldErrors::default();
        Said { object: check(object, shape, &mut errors), errors }
    }

    pub fn wrong(&mut self, field: &str, message: impl std::fmt::Display) {
        self.errors.add(field, message);
    }

    /// A member that may be left out, and is needed here.
    pub fn require(&mut self, name: &str) {
        if !self.has(name) && !self.errors.name(name) {
            self.wrong(name, MISSING);
        }
    }

    /// True if a member was said and is right.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.object.get(name)?.as_str()
    }

    /// A member by a JSON pointer.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        let (name, rest) = pointer.strip_prefix('/')?.split_once('/').unwrap_or((pointer.strip_prefix('/')?, ""));
        let member = self.object.get(name)?;
        if rest.is_empty() { Some(member) } else { member.pointer(&format!("/{rest}")) }
    }

    /// A member that is an object.
    pub fn part(&mut self, name: &str) -> Option<&mut Object> {
        self.object.get_mut(name)?.as_object_mut()
    }

    /// The body, if nothing is wrong.
    ///
    /// # Errors
    /// All mistakes.
    pub fn into_body<T: DeserializeOwned>(mut self) -> Result<T, FieldErrors> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        // A shape that allows more than its type can hold is ours to mend; the caller hears of it all the same.
        serde_json::from_value(Value::Object(self.object)).map_err(|error| {
            self.errors.listed.push(FieldError::new("", format!("cannot be read: {error}")));
            FieldErrors { total: 1, ..self.errors }
        })
    }
}
