//! Snappy as snappy-java's SnappyOutputStream frames it; see the grammar in `compression`.

use super::CodecError;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_SIZE: usize = 16;
/// What snappy-java cuts the input into.
const BLOCK_SIZE: usize = 32 * 1024;
/// A 3-byte copy yields at most 64 bytes; a block that claims more is not one.
const MAX_RATIO: u64 = 32;

pub(super) struct Decoder<'a> {
    input: &'a [u8],
    /// The input is one raw block without framing.
    bare: bool,
    /// Output of a block that did not fit the caller's buffer, and what of it was handed out.
    block: Vec<u8>,
    given: usize,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> Result<Decoder<'a>, CodecError> {
        let framed = input.len() >= HEADER_SIZE && input.starts_with(&MAGIC);
        let mut decoder = Decoder { input, bare: !framed, block: Vec::new(), given: 0 };
        if framed {
            decoder.skip_header()?;
        }
        Ok(decoder)
    }

    fn skip_header(&mut self) -> Result<(), CodecError> {
        if i32::from_be_bytes([self.input[8], self.input[9], self.input[10], self.input[11]]) < 1 {
            return Err(CodecError::Malformed("incompatible version of the snappy framing"));
        }
        self.input = &self.input[HEADER_SIZE..];
        Ok(())
    }

    /// The next raw block, `None` at the end.
    fn next_block(&mut self) -> Result<Option<&'a [u8]>, CodecError> {
        if self.bare {
            let block = std::mem::take(&mut self.input);
            return Ok((!block.is_empty()).then_some(block));
        }
        loop {
            if self.input.is_empty() {
                return Ok(None);
            }
            // Streams may stand one after another.
            if self.input.len() >= HEADER_SIZE && self.input.starts_with(&MAGIC) {
                self.skip_header()?;
                continue;
            }
            let Some((size, rest)) = self.input.split_first_chunk::<4>() else {
                return Err(CodecError::Cut);
            };
            let size = i32::from_be_bytes(*size);
            let size =
                usize::try_from(size).map_err(|_| CodecError::Malformed("negative snappy block size"))?;
            if rest.len() < size {
                return Err(CodecError::Cut);
            }
            self.input = &rest[size..];
            return Ok(Some(&rest[..size]));
        }
    }

    /// `left` of `limit` bytes may still come out.
    pub(super) fn read(&mut self, out: &mut [u8], left: u64, limit: u64) -> Result<usize, CodecError> {
        loop {
            if self.given < self.block.len() {
                let count = (self.block.len() - self.given).min(out.len());
                out[..count].copy_from_slice(&self.block[self.given..self.given + count]);
                self.given += count;
                return Ok(count);
            }
            let Some(block) = self.next_block()? else { return Ok(0) };
            let size =
                snap::raw::decompress_len(block).map_err(|_| CodecError::Malformed("not a snappy block"))?;
            if size as u64 > block.len() as u64 * MAX_RATIO {
                return Err(CodecError::Malformed("a snappy block claims more than it can hold"));
            }
            if size as u64 > left {
                return Err(CodecError::TooLarge { limit });
            }
            let mut decoder = snap::raw::Decoder::new();
            let malformed = |_| CodecError::Malformed("broken snappy block");
            if size <= out.len() {
                let count = decoder.decompress(block, &mut out[..size]).map_err(malformed)?;
                if count > 0 {
                    return Ok(count);
                }
            } else {
                self.block.resize(size, 0);
                let count = decoder.decompress(block, &mut self.block).map_err(malformed)?;
                self.block.truncate(count);
                self.given = 0;
            }
        }
    }
}

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&1i32.to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    let mut encoder = snap::raw::Encoder::new();
    for block in input.chunks(BLOCK_SIZE) {
        let size_at = out.len();
        out.resize(size_at + 4 + snap::raw::max_compress_len(block.len()), 0);
        let size = encoder.compress(block, &mut out[size_at + 4..]).expect("the output has the largest size");
        out[size_at..size_at + 4].copy_from_slice(&(size as i32).to_be_bytes());
        out.truncate(size_at + 4 + size);
    }
}
