//! ○ The shapes of answers: those of the types that are answered. Closed: a member that is not named here is not in an answer.

use serde_json::{Map, Value};

use super::documented::Documented;
use crate::api::{components::Components, problem::ProblemView};

/// Each by its name; those of what they consist of as well.
pub(super) fn answers(documented: &[Documented]) -> Map<String, Value> {
    let mut shapes = Components::given();
    shapes.add::<ProblemView>();
    for (_, shape) in documented.iter().flat_map(|operation| &operation.answers) {
        shape.iter().for_each(|shape| shape.add_to(&mut shapes));
    }
    shapes.collected()
}
