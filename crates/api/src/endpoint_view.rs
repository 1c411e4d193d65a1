//! ○ An endpoint, as it is given.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{
    components::Given,
    customer::CustomerName,
    endpoint::{AuthView, EndpointSettings},
    endpoint_health::EndpointHealth,
    examples::Example,
    resource::{ApiResource, RowStamps},
    text::{CustomerId, EndpointId, Moment},
};
use postrider_core::model::settings::EndpointState;

/// The members of an endpoint that every answer has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct EndpointMembers {
    /// Its id.
    #[schemars(with = "EndpointId")]
    pub id: String,
    /// Your own key.
    pub uid: Option<String>,
    /// The customer whose endpoint it is.
    #[schemars(with = "CustomerId")]
    pub customer_id: String,
    /// Its state.
    pub state: EndpointState,
    /// The author of the state: the API, or the rule that set it.
    pub state_reason: String,
    /// Over its quota since then: what comes is skipped, and noted as a gap.
    #[schemars(with = "Option<Moment>")]
    pub suspended_at: Option<Timestamp>,
    /// The address of its events.
    pub url: String,
    #[serde(flatten)]
    #[schemars(with = "SettingsMembers")]
    pub settings: EndpointSettings,
    #[serde(flatten)]
    pub stamps: RowStamps,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Endpoint", example = EndpointView::example())]
pub struct EndpointView {
    #[serde(flatten)]
    pub endpoint: EndpointMembers,
    /// The service has another key than the one that these were sealed with: what comes waits, until the right key is back or
    /// auth and secret are PUT again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("const" = true))]
    pub secrets_unreadable: Option<bool>,
}

/// An endpoint in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = ListedEndpoint::example())]
pub struct ListedEndpoint {
    #[serde(flatten)]
    pub endpoint: EndpointMembers,
    /// Its health, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<EndpointHealth>,
    /// Its customer, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerName>,
}

/// An endpoint with a new signing secret.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NewEndpoint", example = IssuedEndpoint::example())]
pub struct IssuedEndpoint {
    #[serde(flatten)]
    pub endpoint: EndpointMembers,
    /// The signing secret, shown this once.
    pub secret: String,
}

/// An endpoint of a bulk call.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct WrittenEndpoint {
    /// The endpoint's id.
    #[schemars(with = "EndpointId")]
    pub id: String,
    /// The signing secret of a new endpoint, shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

macro_rules! resources {
    ($($name:ident),*) => {
        $(impl ApiResource for $name {
            type Id = EndpointId;

            fn id(&self) -> &str {
                &self.endpoint.id
            }

            fn version(&self) -> Option<i64> {
                Some(self.endpoint.stamps.version)
            }
        })*
    };
}

resources!(EndpointView, ListedEndpoint, IssuedEndpoint);

/// The settings as they are given: with the part of the authentication that may be shown.
enum SettingsMembers {}

impl JsonSchema for SettingsMembers {
    fn schema_name() -> Cow<'static, str> {
        "EndpointSettings".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut settings = Given::<EndpointSettings>::json_schema(generator);
        let mut auth = generator.subschema_for::<AuthView>();
        auth.insert("description".to_owned(), "The part of its authentication that may be shown.".into());
        if let Some(members) = settings.get_mut("properties").and_then(|members| members.as_object_mut()) {
            members.insert("auth".to_owned(), auth.to_value());
        }
        if let Some(required) = settings.get_mut("required").and_then(|required| required.as_array_mut()) {
            required.push("auth".into());
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resource::ListRow;

    fn endpoint() -> EndpointMembers {
        EndpointMembers {
            id: "ep_1".to_owned(),
            uid: None,
            customer_id: "cus_1".to_owned(),
            state: EndpointState::Paused,
            state_reason: "api".to_owned(),
            suspended_at: None,
            url: "https://example.com/".to_owned(),
            settings: EndpointSettings::default(),
            stamps: RowStamps { version: 7, created_at: Timestamp::UNIX_EPOCH, updated_at: Timestamp::UNIX_EPOCH },
        }
    }

    #[test]
    fn an_endpoint_is_one_object_and_is_read_as_it_was_written() {
        let listed = ListedEndpoint { endpoint: endpoint(), health: None, customer: None };
        let json = serde_json::to_value(&listed).expect("json");
        assert_eq!(
            (&json["version"], &json["state"], &json["auth"]),
            (&json!(7), &json!("paused"), &json!({"type": "none"}))
        );
        assert_eq!((json.get("health"), json.get("settings")), (None, None));
        assert_eq!(serde_json::from_value::<ListRow<ListedEndpoint>>(json).expect("a row"), ListRow::Readable(listed));
    }

    #[test]
    fn a_row_that_cannot_be_read_has_an_id_and_says_so() {
        let row = ListRow::<ListedEndpoint>::unreadable("ep_1".to_owned());
        assert_eq!(serde_json::to_value(&row).expect("json"), json!({"id": "ep_1", "unreadable": true}));
    }
}
