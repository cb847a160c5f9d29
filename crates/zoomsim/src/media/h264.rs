//! Ten seconds of one colour in H.264 baseline (ITU-T H.264): an uncompressed first picture, then pictures that repeat it.

use crate::media::container::{Track, boxed, full};

/// In macroblocks of 16 by 16.
const COLUMNS: u16 = 4;
const ROWS: u16 = 3;
const PICTURES: u32 = 10;

/// A picture whose colour the noise decides.
pub(crate) fn still(noise: u64) -> Track {
    let [y, cb, cr, ..] = noise.to_le_bytes().map(|byte| 64 + (byte >> 1));
    let (sps, pps) = (sequence_parameters(), picture_parameters());
    let short = |nal: &[u8]| u16::try_from(nal.len()).unwrap_or(0).to_be_bytes();
    let avc_c = boxed(
        *b"avcC",
        &[
            &[1, 66, 0xc0, 10, 0xff, 0xe1],
            &short(&sps),
            &sps,
            &[1],
            &short(&pps),
            &pps,
        ],
    );
    let (width, height) = (COLUMNS * 16, ROWS * 16);
    let avc1 = boxed(
        *b"avc1",
        &[
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 16],
            &width.to_be_bytes(),
            &height.to_be_bytes(),
            &[0, 0x48, 0, 0, 0, 0x48, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 32],
            &[0, 0x18, 0xff, 0xff],
            &avc_c,
        ],
    );
    let repeats = (1..PICTURES).map(repeat);
    let pictures = std::iter::once(first_picture(y, cb, cr)).chain(repeats);
    Track {
        handler: *b"vide",
        media_header: full(*b"vmhd", 1, &[&[0; 8]]),
        sample_entry: avc1,
        width,
        height,
        timescale: 1,
        ticks_per_sample: 1,
        samples: pictures
            .map(|nal| [&u32::try_from(nal.len()).unwrap_or(0).to_be_bytes()[..], &nal].concat())
            .collect(),
        only_first_is_sync: true,
    }
}

/// Section 7.3.2.1.1: baseline, level 1, one reference picture, output in decoding order.
fn sequence_parameters() -> Vec<u8> {
    let mut bits = Bits::new(0x67);
    bits.bytes(&[66, 0xc0, 10]);
    for value in [0, 0, 2, 1] {
        bits.golomb(value);
    }
    bits.bit(0);
    bits.golomb(u32::from(COLUMNS) - 1);
    bits.golomb(u32::from(ROWS) - 1);
    for bit in [1, 1, 0, 0] {
        bits.bit(bit);
    }
    bits.end()
}

/// Section 7.3.2.2: CAVLC, deblocking under the control of each slice.
fn picture_parameters() -> Vec<u8> {
    let mut bits = Bits::new(0x68);
    bits.golomb(0);
    bits.golomb(0);
    bits.bit(0);
    bits.bit(0);
    for _ in 0..3 {
        bits.golomb(0);
    }
    for _ in 0..3 {
        bits.bit(0);
    }
    for _ in 0..3 {
        bits.golomb(0);
    }
    for bit in [1, 0, 0] {
        bits.bit(bit);
    }
    bits.end()
}

/// An IDR slice of `I_PCM` macroblocks (sections 7.3.3 and 7.3.5).
fn first_picture(y: u8, cb: u8, cr: u8) -> Vec<u8> {
    let mut bits = Bits::new(0x65);
    bits.golomb(0);
    bits.golomb(7);
    bits.golomb(0);
    bits.number(0, 4);
    bits.golomb(0);
    bits.number(0, 2);
    bits.golomb(0);
    bits.golomb(1);
    for _ in 0..COLUMNS * ROWS {
        bits.golomb(25);
        bits.align();
        bits.bytes(&[y; 256]);
        bits.bytes(&[cb; 64]);
        bits.bytes(&[cr; 64]);
    }
    bits.end()
}

/// A P slice that skips every macroblock.
fn repeat(number: u32) -> Vec<u8> {
    let mut bits = Bits::new(0x41);
    bits.golomb(0);
    bits.golomb(5);
    bits.golomb(0);
    bits.number(number % 16, 4);
    bits.number(0, 3);
    bits.golomb(0);
    bits.golomb(1);
    bits.golomb(u32::from(COLUMNS * ROWS));
    bits.end()
}

/// A NAL unit under construction, bit by bit.
struct Bits {
    bytes: Vec<u8>,
    filled: u8,
}

impl Bits {
    fn new(header: u8) -> Self {
        Self {
            bytes: vec![header],
            filled: 8,
        }
    }

    fn bit(&mut self, bit: u8) {
        if self.filled == 8 {
            self.bytes.push(0);
            self.filled = 0;
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= bit << (7 - self.filled);
        }
        self.filled += 1;
    }

    fn number(&mut self, value: u32, width: u32) {
        for place in (0..width).rev() {
            self.bit(u8::from(value >> place & 1 == 1));
        }
    }

    /// Section 9.1: zero bits as many as follow the first one. Small signed values are sent as zero only.
    fn golomb(&mut self, value: u32) {
        let code = value + 1;
        let width = 32 - code.leading_zeros();
        self.number(0, width - 1);
        self.number(code, width);
    }

    fn align(&mut self) {
        self.filled = 8;
    }

    /// Whole bytes, at a byte's boundary.
    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.filled = 8;
    }

    /// The stop bit, and emulation prevention (section 7.4.1).
    fn end(mut self) -> Vec<u8> {
        self.bit(1);
        let mut out = Vec::with_capacity(self.bytes.len() + 8);
        let mut zeros = 0;
        for byte in self.bytes {
            if zeros >= 2 && byte <= 3 {
                out.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            out.push(byte);
        }
        out
    }
}
