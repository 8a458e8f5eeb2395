//! The only source of randomness.

/// Fills `bytes` from the kernel's generator.
pub fn fill(bytes: &mut [u8]) {
    let mut done = 0;
    while done < bytes.len() {
        let rest = &mut bytes[done..];
        // SAFETY: the pointer and the length describe `rest`, which lives across the call.
        let n = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        assert!(n > 0 || std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted);
        done += n.max(0) as usize;
    }
}

/// A uniformly distributed number.
pub fn next_u64() -> u64 {
    let mut bytes = [0u8; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// A number in `0..bound`. `bound` must not be 0.
pub fn below(bound: u64) -> u64 {
    assert!(bound > 0);
    next_u64() % bound
}
