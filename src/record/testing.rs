//! What the tests of this module share: a seeded generator and random records.

use super::batch::Compression;
use super::builder::{BatchBuilder, BatchOptions};
use super::reader::{Header, Record};
use bytes::Bytes;

/// SplitMix64. The seed of a run comes from `RECORD_SEED` or the clock, and is printed.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn seeded(test: &str) -> Rng {
        let given = std::env::var("RECORD_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(crate::common::random::next_u64);
        println!("{test}: RECORD_SEED={seed}");
        Rng(seed)
    }

    /// As [`Rng::seeded`], but without a seed in the environment the same run every time.
    pub(crate) fn fixed(test: &str, seed: u64) -> Rng {
        let given = std::env::var("RECORD_SEED").ok().and_then(|seed| seed.parse().ok());
        println!("{test}: RECORD_SEED={}", given.unwrap_or(seed));
        Rng(given.unwrap_or(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Null, or up to `max` bytes, random or compressible.
    pub(crate) fn field(&mut self, max: u64) -> Option<Bytes> {
        if self.below(6) == 0 {
            return None;
        }
        let len = self.below(max + 1) as usize;
        let mut bytes = vec![self.next() as u8; len];
        if self.below(2) == 0 {
            bytes.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()));
        }
        Some(bytes.into())
    }
}

pub(crate) const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Records at offsets from 0, with what the format can hold.
pub(crate) fn random_records(rng: &mut Rng, magic: i8) -> Vec<Record> {
    let count = 1 + rng.below(30) as i64;
    let max = [3, 100, 3000, 200_000][rng.below(4) as usize];
    (0..count)
        .map(|offset| Record {
            offset,
            timestamp: if magic == 0 { -1 } else { rng.below(1 << 42) as i64 - 1 },
            sequence: -1,
            key: rng.field(max.min(2000)),
            value: rng.field(max),
            headers: match magic {
                2 if rng.below(3) == 0 => (0..rng.below(4))
                    .map(|_| Header { key: rng.field(20).unwrap_or_default(), value: rng.field(50) })
                    .collect(),
                _ => Vec::new(),
            },
        })
        .collect()
}

/// The batch of `records`.
pub(crate) fn build(options: BatchOptions, records: &[Record]) -> Bytes {
    let mut builder = BatchBuilder::new(options).unwrap();
    for r in records {
        builder.append_at(r.offset, r.timestamp, r.key.as_deref(), r.value.as_deref(), &r.headers).unwrap();
    }
    builder.build().unwrap()
}

/// True if the format has the codec.
pub(crate) fn exists(magic: i8, compression: Compression) -> bool {
    magic == 2 || compression != Compression::Zstd
}
