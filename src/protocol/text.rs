//! Invalid UTF-8, as Java decodes it.

use bytestring::ByteString;

/// Decodes with U+FFFD for what is not UTF-8, cutting where `new String(bytes, UTF_8)` cuts: like
/// [`String::from_utf8_lossy`], but an encoded surrogate counts as one error and not as three.
pub(crate) fn lossy(mut bytes: &[u8]) -> ByteString {
    let mut text = String::with_capacity(bytes.len() + 8);
    while let Some(chunk) = bytes.utf8_chunks().next() {
        text.push_str(chunk.valid());
        let invalid = &bytes[chunk.valid().len()..];
        let skip = match invalid {
            [] => break,
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
            [0xed, 0xa0..=0xbf, ..] => 2,
            _ => chunk.invalid().len(),
        };
        text.push(char::REPLACEMENT_CHARACTER);
        bytes = &invalid[skip..];
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogates_are_one_error() {
        assert_eq!(lossy(b"a\xed\xa0\x80b"), "a\u{fffd}b");
        assert_eq!(lossy(b"\xed\xa0"), "\u{fffd}");
        assert_eq!(lossy(b"\xed\xbfx"), "\u{fffd}x");
    }

    #[test]
    fn the_rest_is_rusts() {
        for bytes in
            [&b"\xff\xfe"[..], b"\xe0\x80\x80", b"\xf0\x9f\x98", b"ok\xc3", b"\xf4\x90\x80\x80z", b""]
        {
            assert_eq!(lossy(bytes), String::from_utf8_lossy(bytes).as_ref());
        }
    }
}
