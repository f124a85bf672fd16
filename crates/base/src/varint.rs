//! Variable-length integers as Kafka writes them: zig-zag for signed, plain for lengths in
//! flexible versions.

/// Reads an unsigned varint of at most 32 bits; `None` if it is cut off or too long.
pub fn read_u32(bytes: &[u8], pos: &mut usize) -> Option<u32> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let byte = *bytes.get(*pos)?;
        *pos += 1;
        if shift == 28 && byte > 0x0f {
            return None;
        }
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads an unsigned varint of at most 64 bits.
pub fn read_u64(bytes: &[u8], pos: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*pos)?;
        *pos += 1;
        if shift == 63 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads a zig-zag varint of at most 32 bits.
pub fn read_i32(bytes: &[u8], pos: &mut usize) -> Option<i32> {
    let raw = read_u32(bytes, pos)?;
    Some(((raw >> 1) as i32) ^ -((raw & 1) as i32))
}

/// Reads a zig-zag varint of at most 64 bits.
pub fn read_i64(bytes: &[u8], pos: &mut usize) -> Option<i64> {
    let raw = read_u64(bytes, pos)?;
    Some(((raw >> 1) as i64) ^ -((raw & 1) as i64))
}

/// Appends an unsigned varint.
pub fn write_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends an unsigned varint.
pub fn write_u32(out: &mut Vec<u8>, value: u32) {
    write_u64(out, u64::from(value));
}

/// Appends a zig-zag varint.
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    write_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a zig-zag varint.
pub fn write_i32(out: &mut Vec<u8>, value: i32) {
    write_u64(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_read_back_and_refuse_overlong_forms() {
        for v in [
            0i64,
            1,
            -1,
            63,
            -64,
            64,
            300,
            i64::from(i32::MIN),
            i64::MAX,
            i64::MIN,
        ] {
            let mut out = Vec::new();
            write_i64(&mut out, v);
            let mut pos = 0;
            assert_eq!(read_i64(&out, &mut pos), Some(v));
            assert_eq!(pos, out.len());
            if let Ok(small) = i32::try_from(v) {
                let mut out32 = Vec::new();
                write_i32(&mut out32, small);
                assert_eq!(out, out32);
                assert_eq!(read_i32(&out, &mut 0), Some(small));
            }
        }
        assert_eq!(read_u32(&[0xff; 5], &mut 0), None);
        assert_eq!(read_u64(&[0xff; 10], &mut 0), None);
        assert_eq!(read_u32(&[0x80], &mut 0), None);
    }
}
