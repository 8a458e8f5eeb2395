//! LZ4 frames, as Kafka's KafkaLZ4Block{Input,Output}Stream read and write them.
//!
//! ```text
//! frame = 04 22 4D 18, FLG, BD, [content size 8], HC, block*, 00000000, [content checksum 4]
//! block = size u32 (little-endian; top bit: stored as it is), bytes, [block checksum 4]
//! ```
//!
//! FLG: version 01 in bits 6-7, bit 5 independent blocks (required), 4 block checksums, 3 content size,
//! 2 content checksum (not checked, as in Kafka). HC is the second byte of xxh32 over FLG to content size.
//! Clients before KIP-57 hashed the frame's magic too: in message format 0 that wrong byte is written, and none
//! is checked.

use super::CodecError;
use twox_hash::XxHash32;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const STORED_BIT: u32 = 0x8000_0000;
const BLOCK_SIZE: usize = 64 * 1024;
/// Version 1, independent blocks.
const FLG: u8 = 0x60;
/// Blocks of 64 KiB.
const BD: u8 = 0x40;

pub(super) struct Decoder<'a> {
    input: &'a [u8],
    block_checksums: bool,
    max_block_size: usize,
    finished: bool,
    /// Output of a block that did not fit the caller's buffer, and what of it was handed out.
    block: Vec<u8>,
    given: usize,
}

fn header_checksum(bytes: &[u8]) -> u8 {
    (XxHash32::oneshot(0, bytes) >> 8) as u8
}

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8], skip_header_checksum: bool) -> Result<Decoder<'a>, CodecError> {
        if input.len() < 6 {
            return Err(CodecError::Cut);
        }
        if input[..4] != MAGIC {
            return Err(CodecError::Malformed("not an LZ4 frame"));
        }
        let (flg, bd) = (input[4], input[5]);
        if flg >> 6 != 1 || flg & 0x03 != 0 || flg & 0x20 == 0 {
            return Err(CodecError::Malformed("unsupported LZ4 frame flags"));
        }
        if bd & 0x8f != 0 || bd >> 4 < 4 {
            return Err(CodecError::Malformed("unsupported LZ4 block size"));
        }
        let checksum_at = if flg & 0x08 != 0 { 14 } else { 6 };
        let stored = *input.get(checksum_at).ok_or(CodecError::Cut)?;
        if !skip_header_checksum && stored != header_checksum(&input[4..checksum_at]) {
            return Err(CodecError::Malformed("LZ4 frame descriptor is corrupted"));
        }
        Ok(Decoder {
            input: &input[checksum_at + 1..],
            block_checksums: flg & 0x10 != 0,
            max_block_size: 1 << (2 * (bd >> 4) + 8),
            finished: false,
            block: Vec::new(),
            given: 0,
        })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.input.split_at_checked(count).ok_or(CodecError::Cut)?;
        self.input = rest;
        Ok(taken)
    }

    fn take_u32(&mut self) -> Result<u32, CodecError> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(bytes))
    }

    /// The next block and whether it is compressed, `None` at the end mark.
    fn next_block(&mut self) -> Result<Option<(&'a [u8], bool)>, CodecError> {
        let size = self.take_u32()?;
        let compressed = size & STORED_BIT == 0;
        let size = (size & !STORED_BIT) as usize;
        if size == 0 {
            self.finished = true;
            return Ok(None);
        }
        if size > self.max_block_size {
            return Err(CodecError::Malformed("LZ4 block is larger than the frame allows"));
        }
        let block = self.take(size)?;
        if self.block_checksums && self.take_u32()? != XxHash32::oneshot(0, block) {
            return Err(CodecError::Malformed("LZ4 block checksum mismatch"));
        }
        Ok(Some((block, compressed)))
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, CodecError> {
        let malformed = |_| CodecError::Malformed("broken LZ4 block");
        loop {
            if self.given < self.block.len() {
                let count = (self.block.len() - self.given).min(out.len());
                out[..count].copy_from_slice(&self.block[self.given..self.given + count]);
                self.given += count;
                return Ok(count);
            }
            if self.finished {
                return Ok(0);
            }
            let Some((block, compressed)) = self.next_block()? else { return Ok(0) };
            if !compressed && block.len() <= out.len() {
                out[..block.len()].copy_from_slice(block);
                return Ok(block.len());
            }
            if compressed && self.max_block_size <= out.len() {
                let out = &mut out[..self.max_block_size];
                let count = lz4_flex::block::decompress_into(block, out).map_err(malformed)?;
                if count > 0 {
                    return Ok(count);
                }
                continue;
            }
            self.block.resize(self.max_block_size, 0);
            let count = if compressed {
                lz4_flex::block::decompress_into(block, &mut self.block).map_err(malformed)?
            } else {
                self.block[..block.len()].copy_from_slice(block);
                block.len()
            };
            self.block.truncate(count);
            self.given = 0;
        }
    }
}

pub(super) fn compress(input: &[u8], wrong_header_checksum: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[FLG, BD]);
    let hashed_from = if wrong_header_checksum { start } else { start + 4 };
    out.push(header_checksum(&out[hashed_from..]));
    for block in input.chunks(BLOCK_SIZE) {
        let size_at = out.len();
        out.resize(size_at + 4 + lz4_flex::block::get_maximum_output_size(block.len()), 0);
        let size = lz4_flex::block::compress_into(block, &mut out[size_at + 4..])
            .expect("the output has the largest size");
        let (size, mark) = if size < block.len() {
            (size, size as u32)
        } else {
            out[size_at + 4..size_at + 4 + block.len()].copy_from_slice(block);
            (block.len(), block.len() as u32 | STORED_BIT)
        };
        out[size_at..size_at + 4].copy_from_slice(&mark.to_le_bytes());
        out.truncate(size_at + 4 + size);
    }
    out.extend_from_slice(&[0; 4]);
}
