//! ○ Shapes for the document of the API: those of types with names are referred to, and collected.

use std::{borrow::Cow, marker::PhantomData};

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::Contract};
use serde_json::{Map, Value};

use super::shape::{close, given, plain, settings, take_null};

/// Shapes by their names.
pub struct Components {
    generator: SchemaGenerator,
    named: Map<String, Value>,
    finish: fn(&mut Value),
}

impl Components {
    /// Collects shapes of types that are taken.
    #[must_use]
    pub fn taken() -> Self {
        Components::new(Contract::Deserialize, take_null)
    }

    /// Collects shapes of types that are given.
    #[must_use]
    pub fn given() -> Self {
        Components::new(Contract::Serialize, close)
    }

    fn new(contract: Contract, finish: fn(&mut Value)) -> Self {
        let settings = settings(contract).with(|settings| {
            settings.inline_subschemas = false;
            settings.definitions_path = "/components/schemas".into();
        });
        Components { generator: settings.into_generator(), named: Map::new(), finish }
    }

    /// Adds the shape of a type, under the type's name.
    pub fn add<T: JsonSchema>(&mut self) -> &mut Self {
        self.generator.subschema_for::<T>();
        self
    }

    /// Adds the shape of a type that has no name of its own.
    pub fn add_as<T: JsonSchema>(&mut self, name: &str) -> &mut Self {
        let shape = T::json_schema(&mut self.generator).to_value();
        self.named.insert(name.to_owned(), shape);
        self
    }

    /// Each by its name.
    #[must_use]
    pub fn collected(mut self) -> Map<String, Value> {
        let mut shapes = self.generator.take_definitions(true);
        shapes.append(&mut self.named);
        for shape in shapes.values_mut() {
            plain(shape);
            (self.finish)(shape);
        }
        shapes
    }
}

/// The shape of a `T` as it is given, for a member: without limits, for what was taken once may be beyond those of today.
pub struct Given<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Given<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::try_from(given::<T>()).expect("invariant: a shape is an object")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        customer::{CustomerBody, CustomerView},
        dead_letter_view::LetterPage,
    };

    #[test]
    fn an_answer_is_closed_and_a_member_that_may_be_absent_is_null_only_where_that_means_something() {
        let mut shapes = Components::given();
        shapes.add::<LetterPage>();
        let shapes = shapes.collected();
        let letter = &shapes["DeadLetter"];
        assert_eq!(letter["additionalProperties"], json!(false));
        let required = letter["required"].as_array().expect("names");
        assert!(required.contains(&json!("tenant")) && !required.contains(&json!("key")), "{required:?}");
        let kind = |name: &str| &letter["properties"][name]["type"];
        assert_eq!((kind("key"), kind("key_base64")), (&json!(["string", "null"]), &json!("string")));
        assert_eq!(shapes["DeadLetterPage"]["properties"]["data"]["items"]["$ref"], "#/components/schemas/DeadLetter");
    }

    #[test]
    fn a_body_may_leave_members_out_and_an_answer_has_them_all() {
        let (mut taken, mut given) = (Components::taken(), Components::given());
        taken.add::<CustomerBody>();
        given.add::<CustomerView>();
        let (taken, given) = (taken.collected(), given.collected());
        assert_eq!(taken["CustomerBody"]["required"], json!(["name", "grants"]));
        let required = given["Customer"]["required"].as_array().expect("names");
        assert_eq!(required.len(), given["Customer"]["properties"].as_object().expect("members").len());
    }
}
