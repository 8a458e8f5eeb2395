//! `java.text.SimpleDateFormat`: the letters that stand for numbers, and quoted text.

use crate::common::clock;
use crate::tools::exception::Exception;

/// A pattern that was read.
pub struct DateFormat {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    /// A letter, and how often it stands there.
    Field(char, usize),
}

impl DateFormat {
    /// Reads a pattern.
    pub fn new(pattern: &str) -> Result<DateFormat, Exception> {
        let mut parts = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\'' => parts.push(Part::Text(quoted(&mut chars)?)),
                'y' | 'M' | 'd' | 'H' | 'k' | 'h' | 'K' | 'm' | 's' | 'S' | 'a' => {
                    let mut count = 1;
                    while chars.next_if_eq(&c).is_some() {
                        count += 1;
                    }
                    parts.push(Part::Field(c, count));
                }
                c if c.is_ascii_alphabetic() => {
                    let message = format!("Illegal pattern character '{c}'");
                    return Err(Exception::illegal_argument(message));
                }
                c => parts.push(Part::Text(c.to_string())),
            }
        }
        Ok(DateFormat { parts })
    }

    /// A moment in the machine's time zone.
    pub fn format(&self, ms: i64) -> String {
        let time = clock::local_time(ms);
        let mut out = String::new();
        for part in &self.parts {
            let (letter, count) = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Field(letter, count) => (*letter, *count),
            };
            let number = match letter {
                'y' if count == 2 => time.year % 100,
                'y' => time.year,
                'M' => time.month,
                'd' => time.day,
                'H' => time.hour,
                'k' => (time.hour + 23) % 24 + 1,
                'h' => (time.hour + 11) % 12 + 1,
                'K' => time.hour % 12,
                'm' => time.minute,
                's' => time.second,
                'S' => time.millisecond,
                _ => {
                    out.push_str(if time.hour < 12 { "AM" } else { "PM" });
                    continue;
                }
            };
            out.push_str(&format!("{number:0count$}"));
        }
        out
    }
}

/// Text up to the closing quote; two quotes are one.
fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, Exception> {
    if chars.next_if_eq(&'\'').is_some() {
        return Ok("'".to_string());
    }
    let mut text = String::new();
    loop {
        match chars.next() {
            Some('\'') if chars.next_if_eq(&'\'').is_some() => text.push('\''),
            Some('\'') => return Ok(text),
            Some(c) => text.push(c),
            None => return Err(Exception::illegal_argument("Unterminated quote")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let now = clock::local_time(1_234_567_890_123);
        let format = |pattern: &str| DateFormat::new(pattern).map(|format| format.format(1_234_567_890_123));
        assert_eq!(
            format("yyyy-MM-dd HH:mm:ss:SSS").unwrap(),
            format!(
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02}:123",
                now.year, now.month, now.day, now.hour, now.minute, now.second
            )
        );
        assert_eq!(format("yy 'o''clock' ''").unwrap(), format!("{:02} o'clock '", now.year % 100));
        assert!(format("yyyy b").unwrap_err().message.unwrap().contains("Illegal pattern character 'b'"));
        assert!(format("'open").is_err());
    }
}
