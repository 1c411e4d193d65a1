//! ○ Prefixed ids that sort by time: `ep_01jc…`, a UUID v7 in lower-case base32 (Crockford's digits, as in TypeID).

use std::fmt;

use uuid::{Builder, Uuid};

/// The kind of resource that an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    Customer,
    Endpoint,
    Subscription,
    DeadLetter,
    Replay,
    Attempt,
    ApiKey,
    Count,
}

impl ResourceKind {
    /// With the underscore: `ep_`.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            ResourceKind::Customer => "cus_",
            ResourceKind::Endpoint => "ep_",
            ResourceKind::Subscription => "sub_",
            ResourceKind::DeadLetter => "dl_",
            ResourceKind::Replay => "rep_",
            ResourceKind::Attempt => "att_",
            ResourceKind::ApiKey => "key_",
            ResourceKind::Count => "cnt_",
        }
    }
}

/// A new id. `entropy` are ten random bytes; ids of one millisecond sort by the first twelve bits of them.
#[must_use]
pub fn new(kind: ResourceKind, wall_ms: i64, entropy: [u8; 10]) -> String {
    written(kind, uuid(wall_ms, entropy).as_u128())
}

/// The name of something that is no resource: a UUID v7 in hexadecimal digits.
#[must_use]
pub fn name(wall_ms: i64, entropy: [u8; 10]) -> String {
    uuid(wall_ms, entropy).simple().to_string()
}

fn uuid(wall_ms: i64, entropy: [u8; 10]) -> Uuid {
    Builder::from_unix_timestamp_millis(u64::try_from(wall_ms).unwrap_or(0), &entropy).into_uuid()
}

/// 256 bits as 52 digits of the same alphabet: what a token is made of.
#[must_use]
pub fn digits_of(entropy: [u128; 2]) -> String {
    format!("{}{}", Digits(entropy[0]), Digits(entropy[1]))
}

/// The lowest id of a millisecond: where a range of time begins.
#[must_use]
pub fn lowest(kind: ResourceKind, wall_ms: i64) -> String {
    let ms = u128::try_from(wall_ms).unwrap_or(0).min((1 << 48) - 1);
    written(kind, ms << 80)
}

/// True for a text that could be an id of this kind. A caller's own key must not look like one.
#[must_use]
pub fn is(kind: ResourceKind, text: &str) -> bool {
    text.strip_prefix(kind.prefix())
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|digit| ALPHABET.contains(&digit)))
}

/// 26 digits of 5 bits hold 128 bits.
const DIGITS: usize = 26;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn written(kind: ResourceKind, number: u128) -> String {
    format!("{}{}", kind.prefix(), Digits(number))
}

struct Digits(u128);

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for place in (0..DIGITS).rev() {
            f.write_char(char::from(ALPHABET[(self.0 >> (5 * place)) as usize & 31]))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_their_time_whatever_the_dice_say() {
        let early = new(ResourceKind::DeadLetter, 1_700_000_000_000, [0xff; 10]);
        let late = new(ResourceKind::DeadLetter, 1_700_000_000_001, [0; 10]);
        assert!(early < late, "{early} < {late}");
    }

    #[test]
    fn the_lowest_id_of_a_millisecond_is_not_above_any_of_it_and_above_all_before() {
        let lowest_of = |ms| lowest(ResourceKind::DeadLetter, ms);
        assert!(lowest_of(5) <= new(ResourceKind::DeadLetter, 5, [0; 10]));
        assert!(new(ResourceKind::DeadLetter, 4, [0xff; 10]) < lowest_of(5));
    }

    #[test]
    fn a_name_begins_with_its_time() {
        let name = name(0x0188_7766_5544, [0xff; 10]);
        assert_eq!((&name[..13], name.len()), ("0188776655447", 32));
    }

    #[test]
    fn an_id_is_told_from_a_callers_own_key() {
        assert!(is(ResourceKind::Endpoint, &new(ResourceKind::Endpoint, 1, [7; 10])));
        assert!(!is(ResourceKind::Endpoint, "ep_mine"));
        assert!(!is(ResourceKind::Endpoint, &new(ResourceKind::Customer, 1, [7; 10])));
    }
}
