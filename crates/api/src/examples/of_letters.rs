//! ○ Examples of dead letters, and of the results of commands about them.

use serde_json::value::RawValue;

use super::{Example, TOPIC, WEBHOOK_ID, id_of, minutes_later, some};
use crate::dead_letter_view::{
    Acknowledged, HeaderView, LetterPage, LetterView, RecordView, RedriveProgress, Redriving,
};
use postrider_core::model::{disposition::Reason, id::ResourceKind};

impl Example for LetterView {
    fn example() -> Self {
        LetterView {
            id: id_of(ResourceKind::DeadLetter),
            endpoint_id: Some(id_of(ResourceKind::Endpoint)),
            customer_id: Some(id_of(ResourceKind::Customer)),
            topic: TOPIC.to_owned(),
            partition: 3,
            offset: 1_042,
            timestamp: Some(minutes_later(0)),
            occurred_at: Some(minutes_later(0)),
            webhook_id: some(WEBHOOK_ID),
            event_id: some("4711"),
            kind: some("order.created"),
            tenant: some("2"),
            department: some("100"),
            reason: Reason::Rejected.as_str().to_owned(),
            attempts: 1,
            last_status: Some(422),
            last_class: some("http_4xx"),
            last_excerpt: some("unknown order"),
            received_at: minutes_later(0),
            created_at: minutes_later(1),
            state: "dead".to_owned(),
            redrive_requested_at: None,
            data_bytes: 64,
            record: Some(RecordView {
                key: Some(some("4711")),
                key_base64: None,
                data: RawValue::from_string(r#"{"total":12}"#.to_owned()).ok().map(Some),
                data_base64: None,
                headers: vec![HeaderView { name: "tenant".to_owned(), value: Some(some("2")), value_base64: None }],
            }),
        }
    }
}

impl Example for LetterPage {
    fn example() -> Self {
        LetterPage { data: vec![LetterView::example()], next_cursor: None, resume_cursor: some("ZGxfMDFrZzlh") }
    }
}

impl Example for Acknowledged {
    fn example() -> Self {
        Acknowledged { acknowledged: 40, more: false }
    }
}

impl Example for Redriving {
    fn example() -> Self {
        Redriving { redriving: 40, more: false, requested_at: minutes_later(10) }
    }
}

impl Example for RedriveProgress {
    fn example() -> Self {
        RedriveProgress { delivered: 37, waiting: 2, dead_again: 1, cancelled: 0 }
    }
}
