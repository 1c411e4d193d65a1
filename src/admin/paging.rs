//! ○ Cursor paging: `{"data":[],"next_cursor":null}`. A cursor is opaque to callers; inside it is the last id.

use actix_web::http::StatusCode;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::problem::Problem;
use crate::{
    api::resource::{ApiResource, ListPage, ListRow},
    model::id::{self, ResourceKind},
    store::list_row::Listed,
};
/// The page that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Empty at the beginning.
    pub after: String,
    pub limit: usize,
}

pub const LIMIT_DEFAULT: usize = 50;
pub const LIMIT_MAX: usize = 250;

impl PageRequest {
    /// # Errors
    /// 400 `invalid_query` or `invalid_cursor`.
    pub fn parse(kind: ResourceKind, limit: Option<&str>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = self::limit(limit)?;
        let after = match cursor {
            None => String::new(),
            Some(cursor) => decode(kind, cursor).ok_or_else(invalid_cursor)?,
        };
        Ok(PageRequest { after, limit })
    }

    /// Number of rows to ask the store for: one more than the page has, to know whether there is another page.
    #[must_use]
    pub fn rows(&self) -> i64 {
        self.limit as i64 + 1
    }

    /// The page of these rows.
    #[must_use]
    pub fn page<R, T>(&self, mut rows: Vec<R>, id: impl Fn(&R) -> &str, view: impl FnMut(R) -> T) -> ListPage<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| encode(id(last)));
        ListPage { data: rows.into_iter().map(view).collect(), next_cursor }
    }
}

impl PageRequest {
    /// As [`PageRequest::page`], of rows of which some may be unreadable.
    #[must_use]
    pub fn listed<R, T: ApiResource>(&self, rows: Vec<Listed<R>>, view: impl Fn(&R) -> T) -> ListPage<ListRow<T>> {
        self.page(rows, |row| &row.id, |row| shown(&row, &view))
    }
}

/// Number of rows of a page.
///
/// # Errors
/// 400 `invalid_query`.
pub fn limit(given: Option<&str>) -> Result<usize, Problem> {
    let Some(text) = given else { return Ok(LIMIT_DEFAULT) };
    text.parse()
        .ok()
        .filter(|limit| (1..=LIMIT_MAX).contains(limit))
        .ok_or_else(|| Problem::invalid_query(format!("limit must be a whole number from 1 to {LIMIT_MAX}")))
}

/// 400: this leads nowhere.
#[must_use]
pub fn invalid_cursor() -> Problem {
    let detail = "this cursor is not one that was given out for this list; begin without a cursor";
    Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", detail)
}

/// A row of a list, which may be unreadable.
#[must_use]
pub fn shown<R, T: ApiResource>(row: &Listed<R>, view: impl Fn(&R) -> T) -> ListRow<T> {
    let unreadable = || ListRow::unreadable(row.id.clone());
    row.row.as_ref().map_or_else(unreadable, |row| ListRow::Readable(view(row)))
}

/// The cursor that goes on after this id.
#[must_use]
pub fn encode(id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(id)
}

fn decode(kind: ResourceKind, cursor: &str) -> Option<String> {
    let id = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    id::is(kind, &id).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: u8) -> Vec<String> {
        (0..count).map(|n| id::new(ResourceKind::Endpoint, n.into(), [0; 10])).collect()
    }

    #[test]
    fn pages_go_on_until_there_is_no_more() {
        let request = PageRequest::parse(ResourceKind::Endpoint, Some("2"), None).expect("page");
        let all = ids(3);
        let page = request.page(all.clone(), |id| id, |id| id);
        assert_eq!(page.data, all[..2]);
        let next = PageRequest::parse(ResourceKind::Endpoint, None, page.next_cursor.as_deref()).expect("page");
        assert_eq!(next.after, all[1]);
        assert_eq!(next.page(all[2..].to_vec(), |id| id, |id| id).next_cursor, None);
    }

    #[test]
    fn a_cursor_of_another_list_or_of_nowhere_is_refused() {
        let of_customers = encode(&id::new(ResourceKind::Customer, 1, [0; 10]));
        for cursor in [of_customers.as_str(), "x", "", "%%", &encode("ep_'; DROP TABLE endpoint")] {
            let problem = PageRequest::parse(ResourceKind::Endpoint, None, Some(cursor)).expect_err("refused");
            assert_eq!((problem.status.as_u16(), problem.code), (400, "invalid_cursor"));
        }
    }

    #[test]
    fn a_limit_beyond_the_largest_page_is_refused() {
        for limit in ["0", "251", "-1", "ten", ""] {
            assert!(PageRequest::parse(ResourceKind::Endpoint, Some(limit), None).is_err(), "{limit}");
        }
    }
}
