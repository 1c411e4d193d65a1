//! ○ The producer's texts of a dead letter in their columns. PostgreSQL keeps every text but NUL, so texts that hold one
//! stand as bytes in a column of their own: a redriven event has the ids that it had.

/// Event id, tenant, department and type.
pub type LetterTexts<T = String> = [Option<T>; 4];

/// The texts for their columns, and those that hold a NUL for theirs. Their own columns are empty then, so no filter and
/// no grant takes one for another's.
#[must_use]
pub fn columns(texts: LetterTexts<&str>) -> (LetterTexts, Option<Vec<u8>>) {
    let (mut columns, mut with_nul) = (LetterTexts::default(), LetterTexts::<&[u8]>::default());
    for ((text, column), with_nul) in texts.into_iter().zip(&mut columns).zip(&mut with_nul) {
        match text {
            Some(text) if text.contains('\0') => *with_nul = Some(text.as_bytes()),
            text => *column = text.map(str::to_owned),
        }
    }
    let some_have = with_nul.iter().any(Option::is_some);
    (columns, some_have.then(|| with_nul.map(Option::unwrap_or_default).join(&BETWEEN)))
}

/// The texts of these columns.
#[must_use]
pub fn texts(mut columns: LetterTexts, with_nul: Option<&[u8]>) -> LetterTexts {
    let parts = with_nul.into_iter().flat_map(|bytes| bytes.split(|byte| *byte == BETWEEN));
    for (column, part) in columns.iter_mut().zip(parts).filter(|(_, part)| !part.is_empty()) {
        *column = String::from_utf8(part.to_vec()).ok();
    }
    columns
}

/// No UTF-8 has this byte.
const BETWEEN: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_as_it_was() {
        let choices = [None, Some("a"), Some("a\0é"), Some("\0")];
        for code in 0..256_usize {
            let given: LetterTexts<&str> = std::array::from_fn(|place| choices[code >> (2 * place) & 3]);
            let (columns, with_nul) = columns(given);
            assert!(columns.iter().flatten().all(|text| !text.contains('\0')), "{given:?}");
            assert_eq!(with_nul.is_some(), given.iter().flatten().any(|text| text.contains('\0')), "{given:?}");
            assert_eq!(texts(columns, with_nul.as_deref()), given.map(|text| text.map(str::to_owned)));
        }
    }

    #[test]
    fn a_text_with_a_nul_is_not_in_a_column_that_is_filtered_by() {
        let (columns, with_nul) = columns([None, Some("te\0nant"), None, Some("type")]);
        assert_eq!(
            (columns, with_nul.as_deref()),
            ([None, None, None, Some("type".into())], Some(&b"\xffte\0nant\xff\xff"[..]))
        );
    }
}
