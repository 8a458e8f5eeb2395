//! Zstandard, by the reference library; contexts are kept per thread.

use super::CodecError;
use std::cell::RefCell;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective, compress_bound};

/// Kafka's level, the library's default.
const LEVEL: i32 = 3;
/// A context that grew beyond this (a frame with a large window) is not kept.
const KEPT_CONTEXT_SIZE: usize = 16 * 1024 * 1024;

thread_local! {
    static DECODER: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
    static ENCODER: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
}

pub(super) struct Decoder<'a> {
    input: InBuffer<'a>,
    context: Option<DCtx<'static>>,
    /// Between frames: the input may end here.
    frame_finished: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(input: &'a [u8]) -> Decoder<'a> {
        let context = DECODER.with(|kept| kept.borrow_mut().take()).unwrap_or_default();
        Decoder { input: InBuffer::around(input), context: Some(context), frame_finished: true }
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, CodecError> {
        let Some(context) = &mut self.context else { return Ok(0) };
        let mut out = OutBuffer::around(out);
        loop {
            let consumed_all = self.input.pos() == self.input.src.len();
            if self.frame_finished && consumed_all {
                return Ok(out.pos());
            }
            let before = (out.pos(), self.input.pos());
            let hint = context
                .decompress_stream(&mut out, &mut self.input)
                .map_err(|_| CodecError::Malformed("not a zstd stream"))?;
            self.frame_finished = hint == 0;
            if out.pos() == out.capacity() {
                return Ok(out.pos());
            }
            if before == (out.pos(), self.input.pos()) {
                return Err(CodecError::Cut);
            }
        }
    }
}

impl Drop for Decoder<'_> {
    fn drop(&mut self) {
        if let Some(mut context) = self.context.take()
            && context.sizeof() <= KEPT_CONTEXT_SIZE
            && context.reset(ResetDirective::SessionOnly).is_ok()
        {
            DECODER.with(|kept| *kept.borrow_mut() = Some(context));
        }
    }
}

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) {
    let mut context = ENCODER.with(|kept| kept.borrow_mut().take()).unwrap_or_default();
    let start = out.len();
    out.resize(start + compress_bound(input.len()), 0);
    context.set_parameter(CParameter::CompressionLevel(LEVEL)).expect("level 3 exists");
    let size = context.compress2(&mut out[start..], input).expect("the output has the largest size");
    out.truncate(start + size);
    if context.sizeof() <= KEPT_CONTEXT_SIZE {
        ENCODER.with(|kept| *kept.borrow_mut() = Some(context));
    }
}
