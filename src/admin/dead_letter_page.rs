//! ○ A page of dead letters, and from where to go on: next_cursor through what is there now, resume_cursor through
//! whatever may come.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{paging, problem::Problem};
use crate::{
    model::id::{self, ResourceKind},
    store::dead_letter_read::{DeadLetterPosition, LetterHead, LetterList, TriedLetter},
};

/// The page that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LetterPageRequest {
    pub after: DeadLetterPosition,
    /// End of the letters that were shown and before which nothing can come: `after`, until a page has shown one before
    /// which something may.
    settled: DeadLetterPosition,
    pub limit: usize,
}

impl LetterPageRequest {
    /// # Errors
    /// 400 `invalid_query` or `invalid_cursor`.
    pub(super) fn parse(limit: Option<&str>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = paging::limit(limit)?;
        let (after, settled) = match cursor {
            None => Default::default(),
            Some(cursor) => decode(cursor).ok_or_else(paging::invalid_cursor)?,
        };
        Ok(LetterPageRequest { after, settled, limit })
    }

    /// Number of rows to ask the store for: one more than the page has, to know whether there is another page.
    #[must_use]
    pub(super) fn rows(&self) -> i64 {
        self.limit as i64 + 1
    }

    /// True if this is worth an answer to somebody who waits for the next letter: with a cursor only what it can go past,
    /// or the same would be answered again and again.
    #[must_use]
    pub(super) fn is_news(&self, list: &LetterList) -> bool {
        let from_the_beginning = self.after == DeadLetterPosition::default();
        list.tried.as_ref().is_some_and(|tried| tried.is_settled)
            || list.rows.first().is_some_and(|first| first.is_settled || from_the_beginning)
    }

    /// Both cursors of a page that shows `rows`, the first ones after where it began; `more` when there are others. It
    /// goes on from `tried` where the filter found no more up to there.
    ///
    /// A letter that is not settled is shown, and not passed: others may yet be written before it. They would be behind
    /// whoever reads on, so the later pages of this walk pass none either, even when theirs are settled by then.
    #[must_use]
    pub(super) fn cursors(
        &self,
        rows: &[LetterHead],
        more: bool,
        tried: Option<&TriedLetter>,
    ) -> (Option<String>, Option<String>) {
        let tried = tried.filter(|_| !more);
        let next = rows
            .last()
            .filter(|_| more)
            .map(LetterHead::position)
            .or_else(|| tried.map(|tried| tried.position.clone()));
        let passed = rows.iter().map(|row| (row.position(), row.is_settled));
        let passed = passed.chain(tried.map(|tried| (tried.position.clone(), tried.is_settled)));
        let is_whole = self.settled == self.after;
        let settled = passed.take_while(|(_, is_settled)| is_whole && *is_settled).last();
        let settled = settled.map_or_else(|| self.settled.clone(), |(position, _)| position);
        let resume = (settled != DeadLetterPosition::default()).then(|| encode(&settled, &settled));
        (next.map(|next| encode(&next, &settled)), resume)
    }
}

/// `after`, and after a slash `settled` where it is another one: empty at the beginning.
fn encode(after: &DeadLetterPosition, settled: &DeadLetterPosition) -> String {
    let text = |position: &DeadLetterPosition| format!("{}.{}", position.written_in, position.id);
    BASE64_URL_SAFE_NO_PAD.encode(match settled {
        settled if settled == after => text(after),
        settled if *settled == DeadLetterPosition::default() => format!("{}/", text(after)),
        settled => format!("{}/{}", text(after), text(settled)),
    })
}

fn decode(cursor: &str) -> Option<(DeadLetterPosition, DeadLetterPosition)> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let Some((after, settled)) = text.split_once('/') else {
        let after = position(&text)?;
        return Some((after.clone(), after));
    };
    let after = position(after)?;
    let settled = if settled.is_empty() { DeadLetterPosition::default() } else { position(settled)? };
    (settled < after).then_some((after, settled))
}

fn position(text: &str) -> Option<DeadLetterPosition> {
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

    fn tried(written_in: i64, is_settled: bool) -> TriedLetter {
        TriedLetter { position: letter(written_in, is_settled).position(), is_settled }
    }

    fn request(cursor: Option<&str>) -> LetterPageRequest {
        LetterPageRequest::parse(Some("2"), cursor).expect("a page")
    }

    #[test]
    fn one_resumes_after_the_last_letter_before_which_nothing_can_come() {
        let [first, second, third] = [letter(5, true), letter(6, true), letter(9, false)];
        let (next, resume) = request(None).cursors(&[first.clone(), second.clone()], true, None);
        assert_eq!(next, resume, "all of it is settled");
        assert_eq!(request(resume.as_deref()).after, second.position());
        let (next, resume) = request(None).cursors(&[first.clone(), third.clone()], false, None);
        assert_eq!((next, request(resume.as_deref()).after), (None, first.position()));
        let (next, resume) = request(None).cursors(std::slice::from_ref(&third), true, None);
        assert_eq!((request(next.as_deref()).after, resume), (third.position(), None));
    }

    #[test]
    fn what_an_unsettled_letter_held_back_is_not_passed_by_the_pages_after_it() {
        let [first, second] = [letter(5, true), letter(9, false)];
        let tried = tried(12, true);
        for (rows, held_at) in [(vec![second.clone()], None), (vec![first.clone(), second], Some(first.position()))] {
            let (mut next, mut resume) = request(None).cursors(&rows, true, None);
            // All of them are settled by now.
            let pages =
                [(vec![letter(9, true), letter(10, true)], true), (vec![], false), (vec![letter(13, true)], false)];
            for (rows, more) in pages {
                assert_eq!(resume.as_deref().map(|resume| request(Some(resume)).after), held_at, "before {rows:?}");
                (next, resume) = request(next.as_deref()).cursors(&rows, more, Some(&tried));
            }
            assert_eq!(resume.map(|resume| request(Some(&resume)).after), held_at);
        }
    }

    #[test]
    fn where_a_filter_found_no_more_it_goes_on_from_the_last_letter_that_was_tried() {
        let (first, settled, unsettled) = (letter(5, true), tried(9, true), tried(9, false));
        let (next, resume) = request(None).cursors(std::slice::from_ref(&first), false, Some(&settled));
        assert_eq!((request(next.as_deref()).after, next), (settled.position.clone(), resume));
        let (next, resume) = request(None).cursors(std::slice::from_ref(&first), false, Some(&unsettled));
        assert_eq!(request(next.as_deref()).after, unsettled.position, "which may be passed on this walk alone");
        assert_eq!(request(resume.as_deref()).after, first.position());
        // A page that ends early ends before that.
        let (next, _) = request(None).cursors(std::slice::from_ref(&first), true, Some(&settled));
        assert_eq!(request(next.as_deref()).after, first.position());
    }

    #[test]
    fn a_page_without_anything_new_resumes_where_it_began() {
        let before = request(None).cursors(&[letter(5, true)], false, None).1.expect("a cursor");
        for rows in [vec![], vec![letter(9, false)]] {
            let (next, resume) = request(Some(&before)).cursors(&rows, false, None);
            assert_eq!((next, resume.as_ref()), (None, Some(&before)));
        }
        assert_eq!(request(None).cursors(&[], false, None), (None, None));
    }

    #[test]
    fn a_cursor_of_the_version_before_goes_on_and_resumes_from_its_one_position() {
        let at = letter(5, true).position();
        let old = request(Some(&BASE64_URL_SAFE_NO_PAD.encode(format!("5.{}", at.id))));
        assert_eq!((&old.after, &old.settled), (&at, &at));
    }

    #[test]
    fn whoever_resumes_is_not_answered_with_what_it_cannot_pass() {
        let at = letter(5, true).position();
        let resumed = request(Some(&encode(&at, &at)));
        let list = |rows: &[LetterHead], tried| LetterList { rows: rows.to_vec(), tried };
        let [settled, unsettled] = [[letter(9, true)], [letter(9, false)]];
        assert!(!resumed.is_news(&list(&[], None)) && !resumed.is_news(&list(&unsettled, Some(tried(12, false)))));
        assert!(resumed.is_news(&list(&settled, None)) && resumed.is_news(&list(&[], Some(tried(12, true)))));
        assert!(request(None).is_news(&list(&unsettled, None)));
    }

    #[test]
    fn a_cursor_that_was_not_given_out_is_refused() {
        let id = id::new(ResourceKind::DeadLetter, 1, [0; 10]);
        let made = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let twice = [format!("/7.{id}"), format!("7.{id}/8.{id}"), format!("7.{id}/7.{id}"), format!("7.{id}/6.{id}/")];
        let once = [id.clone(), format!("-1.{id}"), "7.ep_1".to_owned(), format!("7.{id}.8"), "0.".to_owned()];
        let wrong = once.iter().chain(&twice).map(|text| made(text)).chain(["%".to_owned()]);
        for cursor in wrong {
            let problem = LetterPageRequest::parse(None, Some(&cursor)).expect_err("refused");
            assert_eq!(problem.code, "invalid_cursor", "{cursor}");
        }
    }
}
