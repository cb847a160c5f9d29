//! The frames of binary files: ISO base media (ISO/IEC 14496-12) and JPEG.

use crate::model::meeting::FileKind;

/// SOI and an APP0 JFIF segment.
pub(crate) const JPEG_HEAD: &[u8] =
    &[0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0];
/// EOI.
pub(crate) const JPEG_TAIL: &[u8] = &[0xff, 0xd9];

/// `ftyp`, and the header of the `mdat` that holds the rest of the file. Nothing if the file is too short for them.
pub(crate) fn head(kind: FileKind, size_bytes: u64) -> Option<Vec<u8>> {
    let mut head = match kind {
        FileKind::M4a => ftyp(b"M4A ", &[b"M4A ", b"mp42", b"isom"]),
        _ => ftyp(b"isom", &[b"isom", b"iso2", b"avc1", b"mp41"]),
    };
    let left = size_bytes.checked_sub(u64::try_from(head.len()).ok()?)?;
    head.extend(open_box(*b"mdat", left)?);
    Some(head)
}

fn ftyp(major: &[u8; 4], compatible: &[&[u8; 4]]) -> Vec<u8> {
    let mut content = major.to_vec();
    content.extend(512u32.to_be_bytes());
    compatible.iter().for_each(|brand| content.extend(*brand));
    let mut ftyp = Vec::new();
    ftyp.extend((u32::try_from(content.len()).unwrap_or(0) + 8).to_be_bytes());
    ftyp.extend(b"ftyp");
    ftyp.extend(content);
    ftyp
}

/// The header of a box of this whole length; 64-bit lengths where 32 bits are too few.
fn open_box(name: [u8; 4], length: u64) -> Option<Vec<u8>> {
    let mut header = Vec::with_capacity(16);
    if let Ok(short) = u32::try_from(length) {
        header.extend(short.to_be_bytes());
        header.extend(name);
    } else {
        header.extend(1u32.to_be_bytes());
        header.extend(name);
        header.extend(length.to_be_bytes());
    }
    (length >= u64::try_from(header.len()).ok()?).then_some(header)
}
