//! ○ Timestamps as people write them.

/// `2026-01-31T12:34:56.789Z`, always 24 bytes. Times outside the years 0–9999 are moved to the nearest within.
pub(super) fn write_rfc3339(unix_ms: i64, out: &mut Vec<u8>) {
    let unix_ms = unix_ms.clamp(FIRST_MS, LAST_MS);
    let (days, ms_of_day) = (unix_ms.div_euclid(DAY_MS), unix_ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil_from_days(days);
    let (seconds, ms) = (ms_of_day / 1000, ms_of_day % 1000);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    write_digits(&mut text[0..4], year);
    write_digits(&mut text[5..7], month);
    write_digits(&mut text[8..10], day);
    write_digits(&mut text[11..13], seconds / 3600);
    write_digits(&mut text[14..16], seconds / 60 % 60);
    write_digits(&mut text[17..19], seconds % 60);
    write_digits(&mut text[20..23], ms);
    out.extend_from_slice(&text);
}

fn write_digits(out: &mut [u8], mut number: i64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // Eras of 400 years that begin in March, so that a leap day ends a year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

const DAY_MS: i64 = 86_400_000;
/// 0000-01-01T00:00:00.000Z
const FIRST_MS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z
const LAST_MS: i64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rfc3339(unix_ms: i64) -> String {
        let mut out = Vec::new();
        write_rfc3339(unix_ms, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn check(unix_ms: i64, text: &str) {
        assert_eq!(rfc3339(unix_ms), text);
    }

    #[test]
    fn a_timestamp_reads_as_people_write_it() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(-1, "1969-12-31T23:59:59.999Z");
        check(951_782_400_000, "2000-02-29T00:00:00.000Z");
        check(1_767_225_600_123, "2026-01-01T00:00:00.123Z");
        check(4_107_542_399_999, "2100-02-28T23:59:59.999Z");
        check(4_107_542_400_000, "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn a_time_out_of_range_is_moved_to_the_nearest_in_range() {
        check(i64::MAX, "9999-12-31T23:59:59.999Z");
        check(i64::MIN, "0000-01-01T00:00:00.000Z");
    }

    proptest! {
        #[test]
        fn it_says_what_jiff_says(unix_ms in FIRST_MS..=LAST_MS - 86_400_000) {
            let expected = jiff::Timestamp::from_millisecond(unix_ms).unwrap().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
            prop_assert_eq!(rfc3339(unix_ms), expected);
        }
    }
}
