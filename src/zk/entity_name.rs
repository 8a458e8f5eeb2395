//! Names of users and clients as path elements: percent-encoded, because they may hold anything.
//!
//! Source: Kafka's `Sanitizer`: Java's `URLEncoder` over UTF-8, with `%20` for a blank and `%2A` for `*`.

/// The name as a path element.
pub fn sanitize(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The name that was sanitised. What is no encoding stays as it is.
pub fn desanitize(element: &str) -> String {
    let mut bytes = Vec::with_capacity(element.len());
    let mut rest = element.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match (first, tail.get(..2).and_then(hex)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        assert_eq!(sanitize("alice smith*"), "alice%20smith%2A");
        assert_eq!(sanitize("CN=a,O=b/c"), "CN%3Da%2CO%3Db%2Fc");
        assert_eq!(sanitize("a.b-c_D9~"), "a.b-c_D9%7E");
        for name in ["alice smith*", "ä€/%2F", "+", "<default>", ""] {
            assert_eq!(desanitize(&sanitize(name)), name);
        }
        assert_eq!(desanitize("100%"), "100%");
        assert_eq!(desanitize("%G1+"), "%G1 ");
    }
}
