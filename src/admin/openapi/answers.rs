//! ○ The shapes of answers: those of the types that are answered. Closed: a member that is not named here is not in an answer.

use serde_json::{Map, Value};

use crate::api::{
    actor::{ActorEverywhere, ActorPage},
    api_key::{ApiKeyView, CurrentKey, IssuedApiKey, ListedApiKey},
    attempt::{AttemptPage, TestView},
    components::Components,
    customer::{CustomerQuotas, CustomerView, WrittenCustomer},
    dead_letter_view::{Acknowledged, LetterPage, RedriveProgress, Redriving},
    endpoint_backlog::{BacklogView, PurgeResult},
    endpoint_health::StatsView,
    endpoint_view::{EndpointView, IssuedEndpoint, ListedEndpoint, WrittenEndpoint},
    match_view::MatchView,
    overview::Overview,
    problem::ProblemView,
    replay::ReplayView,
    resource::{BulkAnswer, ListPage, ListRow},
    subscription::{SubscriptionView, WrittenSubscription},
};

/// Each by its name; those of what they consist of as well.
pub(super) fn answers() -> Map<String, Value> {
    let mut shapes = Components::given();
    shapes.add::<ProblemView>();
    shapes.add::<CustomerView>().add::<CustomerQuotas>();
    shapes.add_as::<ListPage<ListRow<CustomerView>>>("CustomerPage");
    shapes.add_as::<BulkAnswer<WrittenCustomer>>("CustomersWritten");
    shapes.add::<EndpointView>().add::<IssuedEndpoint>();
    shapes.add_as::<ListPage<ListRow<ListedEndpoint>>>("EndpointPage");
    shapes.add_as::<BulkAnswer<WrittenEndpoint>>("EndpointsWritten");
    shapes.add::<StatsView>().add::<BacklogView>().add::<PurgeResult>();
    shapes.add::<TestView>().add::<AttemptPage>();
    shapes.add::<SubscriptionView>().add::<MatchView>();
    shapes.add_as::<ListPage<ListRow<SubscriptionView>>>("SubscriptionPage");
    shapes.add_as::<BulkAnswer<WrittenSubscription>>("SubscriptionsWritten");
    shapes.add::<LetterPage>().add::<Acknowledged>().add::<Redriving>().add::<RedriveProgress>();
    shapes.add::<ReplayView>().add_as::<ListPage<ReplayView>>("ReplayPage");
    shapes.add::<ApiKeyView>().add::<IssuedApiKey>().add::<CurrentKey>();
    shapes.add_as::<ListPage<ListedApiKey>>("ApiKeyPage");
    shapes.add::<Overview>().add::<ActorPage>().add::<ActorEverywhere>();
    shapes.collected()
}
