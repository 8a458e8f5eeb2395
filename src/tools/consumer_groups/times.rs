//! Moments and durations as Java reads them on the command line.

use crate::tools::exception::Exception;

const DAY_MS: i64 = 86_400_000;

/// Milliseconds since 1970 of `YYYY-MM-DDTHH:mm:SS.sss[Z|±hh[:mm]]`; without a zone it is UTC. As in Java's
/// `SimpleDateFormat`, the digits after the dot are a number of milliseconds, and what follows is not looked at.
///
/// Source: Kafka 2.8.2, `Utils.getDateTime`.
pub fn parse_date_time(text: &str) -> Result<i64, Exception> {
    let parse_exception = |message: String| Exception::new("java.text.ParseException", message);
    let Some((_, time)) = text.split_once('T').filter(|(_, time)| !time.is_empty()) else {
        return Err(parse_exception(
            "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format".to_string(),
        ));
    };
    let time = time.split('T').next().unwrap_or(time);
    let text = if time.contains(['+', '-', 'Z']) { text.to_string() } else { format!("{text}Z") };
    fields(&text).ok_or_else(|| parse_exception(format!("Unparseable date: \"{text}\"")))
}

fn fields(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut field = |end: &str| -> Option<i64> {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let value = rest[..digits].parse().ok()?;
        rest = rest[digits..].strip_prefix(end)?;
        Some(value)
    };
    let (year, month, day) = (field("-")?, field("-")?, field("T")?);
    let (hour, minute, second, millisecond) = (field(":")?, field(":")?, field(".")?, field("")?);
    let is_legal = (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && millisecond < 1000
        && year < 1_000_000;
    let zone_ms = zone_ms(rest)?;
    let seconds = (hour * 60 + minute) * 60 + second;
    is_legal.then(|| days_since_1970(year, month, day) * DAY_MS + seconds * 1000 + millisecond - zone_ms)
}

/// `Z`, `±hh:mm` or `±hh`.
fn zone_ms(text: &str) -> Option<i64> {
    if text.starts_with('Z') {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let number = |part: Option<&str>| {
        part.filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?.parse::<i64>().ok()
    };
    let hours = number(text.get(1..3))?;
    let minutes = match text.as_bytes().get(3) {
        Some(b':') => number(text.get(4..6)).unwrap_or(0),
        _ => 0,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Milliseconds of `PnDTnHnMn.nS`, as `java.time.Duration.parse` reads it.
pub fn parse_duration(text: &str) -> Result<i64, Exception> {
    duration(text).ok_or_else(|| {
        Exception::new("java.time.format.DateTimeParseException", "Text cannot be parsed to a Duration")
    })
}

fn duration(text: &str) -> Option<i64> {
    let upper = text.to_ascii_uppercase();
    let (sign, rest) = match upper.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, upper.strip_prefix('+').unwrap_or(&upper)),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (rest, None),
    };
    if time == Some("") || (days.is_empty() && time.is_none()) {
        return None;
    }
    let mut total_ms: i64 = 0;
    if !days.is_empty() {
        total_ms = days.strip_suffix('D')?.parse::<i64>().ok()?.checked_mul(DAY_MS)?;
    }
    let mut time = time.unwrap_or_default();
    for (unit, factor) in [('H', 3_600_000), ('M', 60_000)] {
        if let Some((number, rest)) = time.split_once(unit) {
            total_ms = total_ms.checked_add(number.parse::<i64>().ok()?.checked_mul(factor)?)?;
            time = rest;
        }
    }
    if !time.is_empty() {
        let seconds = time.strip_suffix('S')?.replace(',', ".");
        let (whole, fraction) = seconds.split_once('.').unwrap_or((&seconds, ""));
        let is_negative = whole.starts_with('-');
        if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let fraction_ms: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
        let fraction_ms = if is_negative { -fraction_ms } else { fraction_ms };
        let whole_ms = whole.parse::<i64>().ok()?.checked_mul(1000)?;
        total_ms = total_ms.checked_add(whole_ms)?.checked_add(fraction_ms)?;
    }
    Some(sign * total_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_with_and_without_a_zone() {
        let parse = |text: &str| parse_date_time(text).map_err(|error| error.message.unwrap());
        assert_eq!(parse("1970-01-01T00:00:00.000"), Ok(0));
        assert_eq!(parse("2020-02-29T12:34:56.789Z"), Ok(1_582_979_696_789));
        assert_eq!(parse("2020-02-29T12:34:56.789+02:00"), Ok(1_582_972_496_789));
        assert_eq!(parse("2020-02-29T12:34:56.789-0200"), Ok(1_582_986_896_789));
        assert_eq!(parse("1969-12-31T23:59:59.5"), Ok(-995), "five milliseconds, as in Java");
        assert!(parse("yesterday").unwrap_err().contains("does not contain a 'T'"));
        assert_eq!(
            parse("2019-02-29T00:00:00.000").unwrap_err(),
            "Unparseable date: \"2019-02-29T00:00:00.000Z\""
        );
        assert!(parse("2020-01-01T00:00Z").unwrap_err().starts_with("Unparseable date"));
        assert!(parse("2020-01-01Tü").is_err());
        assert!(parse("2020-01-01T00:00:00.000+ü").is_err());
    }

    #[test]
    fn durations() {
        let parse = |text: &str| parse_duration(text).ok();
        assert_eq!(parse("P1D"), Some(DAY_MS));
        assert_eq!(parse("pt1h2m3.5s"), Some(3_723_500));
        assert_eq!(parse("-PT0.000999999S"), Some(0));
        assert_eq!(parse("P1DT-6H"), Some(18 * 3_600_000));
        assert_eq!(parse("PT-1.5S"), Some(-1_500));
        for bad in
            ["1D", "P", "PT", "P1DT", "P1Y", "P9999999999999999D", "PT1M1H", "PT1", "", "PT1.0000000000S"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
