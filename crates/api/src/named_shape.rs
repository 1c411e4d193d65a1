//! ○ A shape of the document: its name, and the type that it is the shape of.

use std::{borrow::Cow, fmt};

pub use schemars::JsonSchema;

use super::components::Components;

/// A shape to be referred to by name.
#[derive(Clone)]
pub struct NamedShape {
    pub name: Cow<'static, str>,
    add: fn(&mut Components, &str),
}

impl NamedShape {
    /// The shape of a type, by the type's own name.
    #[must_use]
    pub fn of<T: JsonSchema>() -> NamedShape {
        NamedShape { name: T::schema_name(), add: |components, _| _ = components.add::<T>() }
    }

    /// The shape of a type that has no name of its own.
    #[must_use]
    pub fn named<T: JsonSchema>(name: &'static str) -> NamedShape {
        NamedShape { name: name.into(), add: |components, name| _ = components.add_as::<T>(name) }
    }

    /// A shape that is made from another one.
    #[must_use]
    pub fn derived(name: &'static str) -> NamedShape {
        NamedShape { name: name.into(), add: |_, _| () }
    }

    /// Adds the shape, and the shapes that it refers to.
    pub fn add_to(&self, components: &mut Components) {
        (self.add)(components, &self.name);
    }
}

impl fmt::Debug for NamedShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
