//! ○ `If-Match` and `If-None-Match` (RFC 9110): a write that happens only if nobody else wrote, a read that is answered
//! only if something changed. An entity tag is the resource's version: `"v12"`.

use actix_web::http::StatusCode;

use super::problem::Problem;

/// Conditions of a request on the version that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    matches: Option<Tags>,
    none_matches: Option<Tags>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Tags {
    /// `*`: any version.
    Any,
    These(Vec<Tag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    weak: bool,
    opaque: String,
}

/// The entity tag of a version.
#[must_use]
pub(super) fn tag_of(version: i64) -> String {
    format!("\"v{version}\"")
}

impl Conditions {
    /// From the values of the two headers.
    ///
    /// # Errors
    /// 400 `invalid_header` for what is no list of entity tags: ignored, it would protect nothing.
    pub(super) fn parse(if_match: Option<&str>, if_none_match: Option<&str>) -> Result<Self, Problem> {
        let read = |name: &str, value: Option<&str>| {
            let Some(value) = value else { return Ok(None) };
            let invalid = || {
                let detail = format!("{name} must be * or entity tags as they are given out: \"v12\"");
                Problem::new(StatusCode::BAD_REQUEST, "invalid_header", detail)
            };
            tags(value).map(Some).ok_or_else(invalid)
        };
        Ok(Conditions { matches: read("If-Match", if_match)?, none_matches: read("If-None-Match", if_none_match)? })
    }

    /// True if a write may go on; `version` is what is there, if anything is.
    ///
    /// # Errors
    /// 412 `precondition_failed`.
    pub(super) fn check(&self, version: Option<i64>) -> Result<(), Problem> {
        let right = self.matches.as_ref().is_none_or(|tags| tags.hold(version, false));
        let wrong = self.none_matches.as_ref().is_some_and(|tags| tags.hold(version, true));
        if right && !wrong {
            return Ok(());
        }
        let detail = match version {
            Some(version) => format!("the resource is at {} now; read it again", tag_of(version)),
            None => "there is no such resource".to_owned(),
        };
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail))
    }

    /// True if the reader has this version already.
    #[must_use]
    pub(super) fn is_known(&self, version: i64) -> bool {
        self.none_matches.as_ref().is_some_and(|tags| tags.hold(Some(version), true))
    }
}

impl Tags {
    /// `weakly`: a tag that says "equivalent" is enough.
    fn hold(&self, version: Option<i64>, weakly: bool) -> bool {
        let Some(version) = version else { return false };
        match self {
            Tags::Any => true,
            Tags::These(tags) => {
                let right = format!("v{version}");
                tags.iter().any(|tag| tag.opaque == right && (weakly || !tag.weak))
            }
        }
    }
}

fn tags(value: &str) -> Option<Tags> {
    if value.trim() == "*" {
        return Some(Tags::Any);
    }
    let tags: Vec<Tag> = value.split(',').map(|tag| tag_in(tag.trim())).collect::<Option<_>>()?;
    (tags.len() <= TAGS_MAX).then_some(Tags::These(tags))
}

fn tag_in(text: &str) -> Option<Tag> {
    let (weak, quoted) = text.strip_prefix("W/").map_or((false, text), |rest| (true, rest));
    let opaque = quoted.strip_prefix('"')?.strip_suffix('"')?;
    (!opaque.contains('"')).then(|| Tag { weak, opaque: opaque.to_owned() })
}

const TAGS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(if_match: Option<&str>, if_none_match: Option<&str>, version: Option<i64>, may: bool) {
        let conditions = Conditions::parse(if_match, if_none_match).expect("valid");
        assert_eq!(conditions.check(version).is_ok(), may, "{if_match:?} {if_none_match:?} {version:?}");
    }

    #[test]
    fn a_write_goes_on_only_at_the_version_it_was_made_for() {
        check(None, None, Some(3), true);
        check(Some("\"v3\""), None, Some(3), true);
        check(Some("\"v1\", \"v3\""), None, Some(3), true);
        check(Some("*"), None, Some(3), true);
        check(Some("\"v2\""), None, Some(3), false);
        check(Some("W/\"v3\""), None, Some(3), false);
        check(Some("*"), None, None, false);
        check(Some("\"v3\""), None, None, false);
    }

    #[test]
    fn none_match_creates_only() {
        check(None, Some("*"), None, true);
        check(None, Some("*"), Some(3), false);
        check(None, Some("W/\"v3\""), Some(3), false);
        check(None, Some("\"v2\""), Some(3), true);
    }

    #[test]
    fn what_protects_nothing_is_refused() {
        for header in ["v3", "\"v3", "", "\"a\"b\"", "*, \"v3\"", &"\"v1\",".repeat(101)] {
            let problem = Conditions::parse(Some(header), None).expect_err(header);
            assert_eq!((problem.status.as_u16(), problem.code), (400, "invalid_header"));
        }
    }
}
