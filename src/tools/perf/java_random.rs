//! `java.util.Random` with a seed: payloads are the same as Kafka's.

const MULTIPLIER: i64 = 0x5_DEEC_E66D;
const INCREMENT: i64 = 0xB;
const MASK: i64 = (1 << 48) - 1;

/// The generator.
pub struct JavaRandom {
    state: i64,
}

impl JavaRandom {
    /// Begins where Java begins.
    pub fn new(seed: i64) -> JavaRandom {
        JavaRandom { state: (seed ^ MULTIPLIER) & MASK }
    }

    fn next_31(&mut self) -> i32 {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT) & MASK;
        (self.state >> 17) as i32
    }

    /// A number in `0..bound`; `bound` is positive.
    pub fn below(&mut self, bound: i32) -> i32 {
        assert!(bound > 0);
        let mut bits = self.next_31();
        if bound & (bound - 1) == 0 {
            return ((i64::from(bound) * i64::from(bits)) >> 31) as i32;
        }
        loop {
            let number = bits % bound;
            // The last, incomplete stretch of numbers would favour small ones.
            if bits.wrapping_sub(number).wrapping_add(bound - 1) >= 0 {
                return number;
            }
            bits = self.next_31();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_java() {
        // new Random(0).nextInt(26), as letters
        let mut random = JavaRandom::new(0);
        let letters: String = (0..10).map(|_| char::from(random.below(26) as u8 + b'A')).collect();
        assert_eq!(letters, "SSXVNJHPDQ");
    }
}
