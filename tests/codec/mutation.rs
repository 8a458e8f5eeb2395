//! Seeded damage to golden frames.

use bytes::Bytes;

/// A small generator (SplitMix64), so that a seed means the same everywhere.
pub struct Random(u64);

impl Random {
    /// Takes the seed from `OTTLA_SEED`, or a new one, and prints it.
    pub fn seeded(test: &str) -> Random {
        let given =
            std::env::var("OTTLA_SEED").ok().map(|seed| seed.parse().expect("OTTLA_SEED is a number"));
        let seed = given.unwrap_or_else(ottla::common::random::next_u64);
        println!("{test}: OTTLA_SEED={seed}");
        Random(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// `frame` with one to four kinds of damage: bits flipped, bytes replaced by ones that matter in lengths,
/// cut off, cut out, or a piece of `other` put in.
pub fn mutate(random: &mut Random, frame: &[u8], other: &[u8]) -> Bytes {
    let mut bytes = frame.to_vec();
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = [0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff][random.below(6)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + random.below(bytes.len() - at + 1).min(8))),
            4 => {
                let end = (at + 5).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
            _ => {
                let from = random.below(other.len());
                let piece = &other[from..from + random.below(other.len() - from + 1).min(64)];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes.into()
}
