//! ○ Examples of customers, their keys, their subscriptions and the events that these match.

use super::{Example, TOPIC, VERSION, id_of, minutes_later, some};
use crate::{
    api_key::{ApiKeyView, CurrentKey, IssuedApiKey, KeyRole, ListedApiKey},
    customer::{CustomerName, CustomerQuota, CustomerQuotas, CustomerView, WrittenCustomer},
    match_view::{MatchVerdict, MatchView, MatchedEndpoint, MatchedEvent},
    resource::RowStamps,
    subscription::{SubscriptionView, WrittenSubscription},
};
use postrider_core::model::{
    grants::{Granted, Grants},
    id::ResourceKind,
    quotas::Quota,
    scope::Scope,
    settings::EndpointState,
};

impl Example for CustomerView {
    fn example() -> Self {
        let names = |names: &[&str]| Granted::These(names.iter().map(ToString::to_string).collect());
        CustomerView {
            id: id_of(ResourceKind::Customer),
            uid: some("acme"),
            name: "Acme".to_owned(),
            grants: Grants { topics: names(&[TOPIC]), tenants: names(&["2", "7"]) },
            quotas: [(Quota::EndpointsMax, 20)].into(),
            stamps: RowStamps::example(),
        }
    }
}

impl Example for CustomerName {
    fn example() -> Self {
        CustomerName { uid: some("acme"), name: "Acme".to_owned() }
    }
}

impl Example for WrittenCustomer {
    fn example() -> Self {
        WrittenCustomer { id: id_of(ResourceKind::Customer) }
    }
}

impl Example for CustomerQuotas {
    fn example() -> Self {
        let quota = |quota| (quota, CustomerQuota { limit: 1_000, own: quota == Quota::EndpointsMax, used: 3 });
        CustomerQuotas {
            customer_id: id_of(ResourceKind::Customer),
            quotas: Quota::ALL.into_iter().map(quota).collect(),
        }
    }
}

impl Example for ApiKeyView {
    fn example() -> Self {
        ApiKeyView {
            id: id_of(ResourceKind::ApiKey),
            name: "Acme, production".to_owned(),
            role: KeyRole::Customer,
            customer_id: Some(id_of(ResourceKind::Customer)),
            token_start: "prk_1x7c".to_owned(),
            previous_expires_at: None,
            expires_at: None,
            last_used_at: Some(minutes_later(60)),
            created_at: minutes_later(0),
            updated_at: minutes_later(0),
            created_by: "configured".to_owned(),
        }
    }
}

impl Example for ListedApiKey {
    fn example() -> Self {
        ListedApiKey { key: ApiKeyView::example(), customer: Some(CustomerName::example()) }
    }
}

impl Example for IssuedApiKey {
    fn example() -> Self {
        IssuedApiKey { key: ApiKeyView::example(), token: "prk_1x7c…".to_owned() }
    }
}

impl Example for CurrentKey {
    fn example() -> Self {
        let ApiKeyView { id, name, role, customer_id, expires_at, .. } = ApiKeyView::example();
        CurrentKey { id, name: Some(name), role, customer_id, expires_at }
    }
}

impl Example for SubscriptionView {
    fn example() -> Self {
        let departments = ["100", "200"].map(ToOwned::to_owned).into();
        SubscriptionView {
            id: id_of(ResourceKind::Subscription),
            uid: some("acme-orders"),
            endpoint_id: id_of(ResourceKind::Endpoint),
            topic: TOPIC.to_owned(),
            scope: Scope::Departments { departments: [("2".to_owned(), departments)].into() },
            stamps: RowStamps::example(),
            warnings: Vec::new(),
        }
    }
}

impl Example for WrittenSubscription {
    fn example() -> Self {
        WrittenSubscription {
            id: id_of(ResourceKind::Subscription),
            endpoint_id: id_of(ResourceKind::Endpoint),
            warnings: Vec::new(),
        }
    }
}

impl Example for MatchView {
    fn example() -> Self {
        let endpoint = MatchedEndpoint {
            endpoint_id: id_of(ResourceKind::Endpoint),
            uid: some("acme-erp"),
            customer_id: id_of(ResourceKind::Customer),
            url: "https://erp.example.com/webhooks".to_owned(),
            state: EndpointState::Enabled,
            silent_until: None,
            verdict: MatchVerdict {
                gets: true,
                code: "subscribed".into(),
                detail: "the event is sent to the endpoint".to_owned(),
                subscription_ids: vec![id_of(ResourceKind::Subscription)],
            },
        };
        MatchView {
            event: MatchedEvent {
                topic: TOPIC.to_owned(),
                tenant: some("2"),
                department: some("100"),
                kind: some("order.created"),
                id: some("4711"),
                refused: None,
            },
            version: VERSION,
            matched: 1,
            data: vec![endpoint],
            next_cursor: None,
        }
    }
}
