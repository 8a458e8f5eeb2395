use super::super::testing::{CODECS, Rng};
use super::*;

fn compressed(compression: Compression, magic: i8, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(compression, magic, input, &mut out);
    out
}

fn decompressed(
    compression: Compression,
    magic: i8,
    input: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    decompress_into(compression, magic, input, limit, &mut out).map(|()| out)
}

#[test]
fn any_bytes_round_trip() {
    let mut rng = Rng::seeded("any_bytes_round_trip");
    for size in [0, 1, 100, 32 * 1024, 64 * 1024, 64 * 1024 + 1, WINDOW_SIZE, 1_500_000] {
        let noise: Vec<u8> = (0..size).map(|_| rng.next() as u8).collect();
        let text: Vec<u8> = (0..size).map(|i| b"lorem ipsum"[i % 11] ^ (rng.below(20) == 0) as u8).collect();
        for input in [noise, text, vec![0; size]] {
            for compression in CODECS {
                let packed = compressed(compression, 2, &input);
                let limit = input.len();
                assert!(
                    decompressed(compression, 2, &packed, limit) == Ok(input.clone()),
                    "{compression:?} {size}"
                );
                if size > 0 {
                    let error = decompressed(compression, 2, &packed, limit - 1).unwrap_err();
                    assert!(
                        matches!(error, CodecError::TooLarge { .. }),
                        "{compression:?} {size}: {error:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn small_buffers_read_the_same() {
    let mut rng = Rng::seeded("small_buffers_read_the_same");
    let input: Vec<u8> = (0..200_000).map(|i| if i % 3 == 0 { rng.next() as u8 } else { 7 }).collect();
    for compression in CODECS {
        let packed = compressed(compression, 2, &input);
        let mut decoder = Decoder::new(compression, 2, &packed, u64::MAX).unwrap();
        let (mut out, mut buffer) = (Vec::new(), [0; 1000]);
        loop {
            let size = 1 + rng.below(1000) as usize;
            match decoder.read(&mut buffer[..size]).unwrap() {
                0 => break,
                count => out.extend_from_slice(&buffer[..count]),
            }
        }
        assert!(out == input, "{compression:?}");
    }
}

#[test]
fn cut_streams_are_errors() {
    let input: Vec<u8> = (0..5000u32).flat_map(|i| i.to_le_bytes()).collect();
    for compression in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let packed = compressed(compression, 2, &input);
        for cut in [1, 5, packed.len() / 2, packed.len() - 1] {
            assert!(decompressed(compression, 2, &packed[..cut], 1 << 20).is_err(), "{compression:?} {cut}");
        }
    }
    let packed = compressed(Compression::Snappy, 2, &input);
    assert_eq!(
        decompressed(Compression::Snappy, 2, &packed[..packed.len() - 1], 1 << 20),
        Err(CodecError::Cut)
    );
}

#[test]
fn bombs_end_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let packed = compressed(compression, 2, &zeros);
        let mut out = Vec::new();
        let error = decompress_into(compression, 2, &packed, 1 << 20, &mut out).unwrap_err();
        assert_eq!(error, CodecError::TooLarge { limit: 1 << 20 }, "{compression:?}");
        assert!(out.capacity() <= 8 << 20, "{compression:?}: {}", out.capacity());
    }
    // A raw snappy block that claims 4 GiB.
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0];
    assert!(matches!(decompressed(Compression::Snappy, 2, &claim, 1 << 30), Err(CodecError::Malformed(_))));
}

#[test]
fn snappy_framing() {
    let packed = compressed(Compression::Snappy, 2, b"hello");
    assert_eq!(packed[..16], [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    let twice = [packed.clone(), packed].concat();
    assert_eq!(decompressed(Compression::Snappy, 2, &twice, 100), Ok(b"hellohello".to_vec()));
    let bare = snap::raw::Encoder::new().compress_vec(&[5; 100_000]).unwrap();
    assert_eq!(decompressed(Compression::Snappy, 2, &bare, 100_000), Ok(vec![5; 100_000]));
}

#[test]
fn lz4_header_checksum_of_format_0() {
    let (old, new) = (compressed(Compression::Lz4, 0, b"hello"), compressed(Compression::Lz4, 1, b"hello"));
    assert_eq!(new[..7], [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    assert_ne!(old[6], new[6]);
    assert_eq!(decompressed(Compression::Lz4, 0, &old, 100), Ok(b"hello".to_vec()));
    assert_eq!(decompressed(Compression::Lz4, 0, &new, 100), Ok(b"hello".to_vec()));
    assert!(matches!(decompressed(Compression::Lz4, 1, &old, 100), Err(CodecError::Malformed(_))));
}

#[test]
fn gzip_members_and_trailing_bytes() {
    let mut packed = compressed(Compression::Gzip, 2, b"one");
    packed.extend(compressed(Compression::Gzip, 2, b"two"));
    packed.extend(b"junk");
    assert_eq!(decompressed(Compression::Gzip, 2, &packed, 100), Ok(b"onetwo".to_vec()));
}

#[test]
fn damaged_streams_never_panic() {
    let mut rng = Rng::seeded("damaged_streams_never_panic");
    let input: Vec<u8> = (0..20_000).map(|i| (i / 40) as u8).collect();
    for compression in CODECS {
        let packed = compressed(compression, 2, &input);
        for _ in 0..2000 {
            let mut bad = packed.clone();
            for _ in 0..=rng.below(4) {
                let at = rng.below(bad.len() as u64) as usize;
                bad[at] = rng.next() as u8;
            }
            bad.truncate(1 + rng.below(bad.len() as u64 * 2) as usize);
            let _ = decompressed(compression, rng.below(3) as i8, &bad, 100_000);
        }
    }
}
