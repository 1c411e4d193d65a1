//! ● The canary's customer, endpoint and subscription: made by whichever instance is first, and kept by all.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    api::endpoint::EndpointSettings,
    clock,
    config::CanarySection,
    model::{
        grants::{Granted, Grants},
        id::{self, ResourceKind},
        scope::Scope,
        settings::EndpointState,
    },
    store::{
        Pool, StoreError,
        config_write::{Lookup, RowChange},
        customers::{self, CustomerWrite},
        endpoints::{self, EndpointWrite},
        secret_box::SecretBox,
        secrets::{EndpointSecrets, StoredAuth, StoredSigningSecret, signing_secret},
        subscriptions::{self, SubscriptionParent, SubscriptionWrite},
    },
};

/// The key of all three.
const UID: &str = "postrider-canary";
/// Nobody is there: each instance puts its own receiver in its place.
const URL: &str = "https://canary.invalid/";

/// Makes what is missing, and returns the endpoint's id. One that was paused or disabled is enabled again.
pub(super) async fn make(pool: &Pool, secrets: &SecretBox, config: &CanarySection) -> Result<Arc<str>, StoreError> {
    let topic = config.topic.as_str();
    let url = if config.url.is_empty() { URL } else { &config.url };
    let new_id = |kind| id::new(kind, clock::wall_ms(), rand::random());
    let uid = || Some(UID.to_owned());
    let grants = Grants { topics: Granted::These(BTreeSet::from([topic.to_owned()])), tenants: Granted::All };
    let with = CustomerWrite { name: "Postrider's own canary".to_owned(), grants, quotas: None };
    let customer = customers::write(pool, Some(UID), |known| {
        let change = match known {
            None => RowChange::Create { id: new_id(ResourceKind::Customer), uid: uid(), with },
            Some(_) => RowChange::Update(with),
        };
        Ok::<_, std::convert::Infallible>(change)
    });
    let Ok(customer) = customer.await?;
    let customer_id = customer.row.id;
    let endpoint = endpoints::write(pool, Some(UID), Some(&customer_id), |context| {
        let change = match &context.endpoint {
            Lookup::Found(known) => {
                let with = known.with_state(EndpointState::Enabled, &known.state_reason);
                let state_reason =
                    if known.state == EndpointState::Enabled { with.state_reason } else { "canary".to_owned() };
                RowChange::Update(EndpointWrite { url: url.to_owned(), state_reason, ..with })
            }
            Lookup::Missing | Lookup::Ambiguous => {
                let id = new_id(ResourceKind::Endpoint);
                let signing = vec![StoredSigningSecret { secret: signing_secret(rand::random()), expires_ms: None }];
                let sealed = EndpointSecrets { auth: StoredAuth::None, signing };
                let with = EndpointWrite {
                    customer_id: customer_id.clone(),
                    state: EndpointState::Enabled,
                    state_reason: "canary".to_owned(),
                    suspended: false,
                    url: url.to_owned(),
                    settings: EndpointSettings::default(),
                    secrets: secrets.seal(&id, &sealed.to_bytes(), rand::random()),
                };
                RowChange::Create { id, uid: uid(), with }
            }
        };
        Ok::<_, std::convert::Infallible>(change)
    });
    let Ok(endpoint) = endpoint.await?;
    let endpoint_id = endpoint.row.id;
    let under = SubscriptionParent { customer_id: Some(&customer_id), endpoint: Some(&endpoint_id) };
    let with = SubscriptionWrite { endpoint_id: endpoint_id.clone(), topic: topic.to_owned(), scope: Scope::Topic };
    let subscription = subscriptions::write(pool, under, Some(UID), |context| {
        let change = match &context.subscription {
            Lookup::Found(known) if known.topic == topic => RowChange::Keep,
            Lookup::Found(_) => RowChange::Update(with),
            Lookup::Missing | Lookup::Ambiguous => {
                RowChange::Create { id: new_id(ResourceKind::Subscription), uid: uid(), with }
            }
        };
        Ok::<_, std::convert::Infallible>(change)
    });
    let Ok(_) = subscription.await?;
    Ok(endpoint_id.into())
}
