//! ○ A page of dead letters, and from where to go on: next_cursor through what is there now, resume_cursor through
//! whatever may come.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{paging, problem::Problem};
use crate::{
    api::dead_letter_view::LetterPage,
    model::id::{self, ResourceKind},
    store::dead_letter_read::{DeadLetterPosition, LetterHead},
};

/// The page that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LetterPageRequest {
    pub after: DeadLetterPosition,
    pub limit: usize,
}

/// The page, which goes on from `tried` where the filter found no more up to there, and there are more letters.
#[must_use]
pub(super) fn going_on_from(page: LetterPage, tried: Option<&DeadLetterPosition>) -> LetterPage {
    LetterPage { next_cursor: page.next_cursor.or_else(|| tried.map(encode)), ..page }
}

impl LetterPageRequest {
    /// # Errors
    /// 400 `invalid_query` or `invalid_cursor`.
    pub(super) fn parse(limit: Option<&str>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = paging::limit(limit)?;
        let after = match cursor {
            None => DeadLetterPosition::default(),
            Some(cursor) => decode(cursor).ok_or_else(paging::invalid_cursor)?,
        };
        Ok(LetterPageRequest { after, limit })
    }

    /// Number of rows to ask the store for: one more than the page has, to know whether there is another page.
    #[must_use]
    pub(super) fn rows(&self) -> i64 {
        self.limit as i64 + 1
    }

    /// True if these letters are worth an answer to somebody who waits for the next one: with a cursor only those that
    /// it can go past, or the same ones would be answered again and again.
    #[must_use]
    pub(super) fn are_news(&self, rows: &[LetterHead]) -> bool {
        let from_the_beginning = self.after == DeadLetterPosition::default();
        rows.first().is_some_and(|first| first.is_settled || from_the_beginning)
    }

    /// Both cursors of a page that shows `rows`, the first ones after where it began; `more` when there are others.
    ///
    /// A letter that is not settled is shown, and not passed: others may yet be written before it.
    #[must_use]
    pub(super) fn cursors(&self, rows: &[LetterHead], more: bool) -> (Option<String>, Option<String>) {
        let next = rows.last().filter(|_| more).map(LetterHead::position);
        let settled = rows.iter().take_while(|row| row.is_settled).last().map(LetterHead::position);
        let resume =
            settled.or_else(|| Some(self.after.clone()).filter(|after| *after != DeadLetterPosition::default()));
        (next.as_ref().map(encode), resume.as_ref().map(encode))
    }
}

fn encode(position: &DeadLetterPosition) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{}.{}", position.written_in, position.id))
}

fn decode(cursor: &str) -> Option<DeadLetterPosition> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (written_in, id) = text.split_once('.')?;
    let written_in = written_in.parse().ok().filter(|written_in| *written_in >= 0)?;
    id::is(ResourceKind::DeadLetter, id).then(|| DeadLetterPosition { written_in, id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn letter(written_in: i64, is_settled: bool) -> LetterHead {
        LetterHead {
            // The lower the later: the order is that of the transactions.
            id: id::new(ResourceKind::DeadLetter, 1_000 - written_in, [0; 10]),
            endpoint_id: String::new(),
            customer_id: String::new(),
            topic: String::new(),
            partition: 0,
            offset: 0,
            record_ms: 0,
            occurred_ms: 0,
            event_id: None,
            tenant: None,
            department: None,
            kind: None,
            reason: String::new(),
            attempts: 1,
            last_status: None,
            last_class: None,
            excerpt: None,
            received_at: Timestamp::UNIX_EPOCH,
            created_at: Timestamp::UNIX_EPOCH,
            state: String::new(),
            redrive_requested_at: None,
            data_bytes: 0,
            written_in,
            is_settled,
        }
    }

    fn request(cursor: Option<&str>) -> LetterPageRequest {
        LetterPageRequest::parse(Some("2"), cursor).expect("a page")
    }

    #[test]
    fn one_resumes_after_the_last_letter_before_which_nothing_can_come() {
        let [first, second, third] = [letter(5, true), letter(6, true), letter(9, false)];
        let (next, resume) = request(None).cursors(&[first.clone(), second.clone()], true);
        assert_eq!(next, resume, "all of it is settled");
        assert_eq!(request(resume.as_deref()).after, second.position());
        let (next, resume) = request(None).cursors(&[first.clone(), third.clone()], false);
        assert_eq!((next, request(resume.as_deref()).after), (None, first.position()));
        let (next, resume) = request(None).cursors(std::slice::from_ref(&third), true);
        assert_eq!((request(next.as_deref()).after, resume), (third.position(), None));
    }

    #[test]
    fn a_page_without_anything_new_resumes_where_it_began() {
        let before = request(None).cursors(&[letter(5, true)], false).1.expect("a cursor");
        for rows in [vec![], vec![letter(9, false)]] {
            let (next, resume) = request(Some(&before)).cursors(&rows, false);
            assert_eq!((next, resume.as_ref()), (None, Some(&before)));
        }
        assert_eq!(request(None).cursors(&[], false), (None, None));
    }

    #[test]
    fn whoever_resumes_is_not_answered_with_what_it_cannot_pass() {
        let resumed = request(Some(&encode(&letter(5, true).position())));
        assert!(!resumed.are_news(&[]) && !resumed.are_news(&[letter(9, false)]));
        assert!(resumed.are_news(&[letter(9, true)]) && request(None).are_news(&[letter(9, false)]));
    }

    #[test]
    fn a_cursor_that_was_not_given_out_is_refused() {
        let id = id::new(ResourceKind::DeadLetter, 1, [0; 10]);
        let made = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let wrong = [made(&id), made(&format!("-1.{id}")), made("7.ep_1"), made(&format!("7.{id}.8")), "%".to_owned()];
        for cursor in wrong {
            let problem = LetterPageRequest::parse(None, Some(&cursor)).expect_err("refused");
            assert_eq!(problem.code, "invalid_cursor", "{cursor}");
        }
    }
}
