//! Zig-zag varints, as v2 records use them: 7 bits a byte, least significant first.
//!
//! Source: Kafka 2.8.2, `common/utils/ByteUtils.java`. As there, surplus bits of the last byte of an over-long
//! encoding are dropped; an encoding that does not end after 5 (int) or 10 (long) bytes is an error.

/// Longest encoding of an int, in bytes.
pub const MAX_VARINT_SIZE: usize = 5;
/// Longest encoding of a long, in bytes.
pub const MAX_VARLONG_SIZE: usize = 10;

fn zig_zag_i32(raw: u32) -> i32 {
    ((raw >> 1) as i32) ^ -((raw & 1) as i32)
}

fn zig_zag_i64(raw: u64) -> i64 {
    ((raw >> 1) as i64) ^ -((raw & 1) as i64)
}

/// Why no number could be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VarintError {
    /// The bytes end within the number.
    Cut,
    /// The last allowed byte says that there are more.
    TooLong,
}

/// Reads an int at `*at`, which moves behind it.
#[inline(always)]
pub fn read_i32(bytes: &[u8], at: &mut usize) -> Result<i32, VarintError> {
    // One and two bytes, by far the most frequent, without a loop.
    match bytes.get(*at..*at + 2) {
        Some(&[first, _]) if first < 0x80 => {
            *at += 1;
            Ok(zig_zag_i32(u32::from(first)))
        }
        Some(&[first, second]) if second < 0x80 => {
            *at += 2;
            Ok(zig_zag_i32(u32::from(first & 0x7f) | u32::from(second) << 7))
        }
        _ => read_long_i32(bytes, at),
    }
}

#[inline(never)]
fn read_long_i32(bytes: &[u8], at: &mut usize) -> Result<i32, VarintError> {
    let mut raw = 0u32;
    for i in 0..MAX_VARINT_SIZE {
        let byte = *bytes.get(*at + i).ok_or(VarintError::Cut)?;
        raw |= u32::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *at += i + 1;
            return Ok(zig_zag_i32(raw));
        }
    }
    Err(VarintError::TooLong)
}

/// Reads a long at `*at`, which moves behind it.
#[inline(always)]
pub fn read_i64(bytes: &[u8], at: &mut usize) -> Result<i64, VarintError> {
    // One and two bytes, by far the most frequent, without a loop.
    match bytes.get(*at..*at + 2) {
        Some(&[first, _]) if first < 0x80 => {
            *at += 1;
            Ok(zig_zag_i64(u64::from(first)))
        }
        Some(&[first, second]) if second < 0x80 => {
            *at += 2;
            Ok(zig_zag_i64(u64::from(first & 0x7f) | u64::from(second) << 7))
        }
        _ => read_long_i64(bytes, at),
    }
}

#[inline(never)]
fn read_long_i64(bytes: &[u8], at: &mut usize) -> Result<i64, VarintError> {
    let mut raw = 0u64;
    for i in 0..MAX_VARLONG_SIZE {
        let byte = *bytes.get(*at + i).ok_or(VarintError::Cut)?;
        raw |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *at += i + 1;
            return Ok(zig_zag_i64(raw));
        }
    }
    Err(VarintError::TooLong)
}

/// Appends an int.
pub fn write_i32(out: &mut Vec<u8>, value: i32) {
    write_raw(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// Appends a long.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    write_raw(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn write_raw(out: &mut Vec<u8>, mut raw: u64) {
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// Bytes that [`write_i32`] takes.
pub fn size_i32(value: i32) -> usize {
    size_raw(u64::from(((value << 1) ^ (value >> 31)) as u32))
}

/// Bytes that [`write_i64`] takes.
pub fn size_i64(value: i64) -> usize {
    size_raw(((value << 1) ^ (value >> 63)) as u64)
}

fn size_raw(raw: u64) -> usize {
    (64 - (raw | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        for shift in 0..64 {
            for near in [-1i64, 0, 1] {
                for value in
                    [(1i64 << shift).wrapping_add(near), (1i64 << shift).wrapping_add(near).wrapping_neg()]
                {
                    let mut out = Vec::new();
                    write_i64(&mut out, value);
                    assert_eq!((out.len(), read_i64(&out, &mut 0)), (size_i64(value), Ok(value)));
                    assert_eq!(read_i64(&out[..out.len() - 1], &mut 0), Err(VarintError::Cut));
                    out.clear();
                    write_i32(&mut out, value as i32);
                    assert_eq!(
                        (out.len(), read_i32(&out, &mut 0)),
                        (size_i32(value as i32), Ok(value as i32))
                    );
                }
            }
        }
        assert_eq!(read_i32(&[0xff; 6], &mut 0), Err(VarintError::TooLong));
        assert_eq!(read_i64(&[0xff; 11], &mut 0), Err(VarintError::TooLong));
        assert_eq!(read_i32(&[0xff, 0xff, 0xff, 0xff, 0x0f], &mut 0), Ok(i32::MIN));
    }
}
