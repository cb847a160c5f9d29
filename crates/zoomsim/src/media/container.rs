//! The frames of binary files: ISO base media (ISO/IEC 14496-12) and JPEG.
//!
//! MP4 and M4A play for ten seconds: `ftyp`, `moov`, then one `mdat` with the few samples that `moov` names and, after
//! them, the seeded bytes that no player looks at. A file too short for that is `ftyp` and `mdat` alone.

use crate::media::{Noise, aac, h264};
use crate::model::meeting::FileKind;

/// SOI and an APP0 JFIF segment.
pub(crate) const JPEG_HEAD: &[u8] = &[
    0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0,
];
/// EOI.
pub(crate) const JPEG_TAIL: &[u8] = &[0xff, 0xd9];

const MOVIE_TIMESCALE: u32 = 1_000;
const MOVIE_DURATION: u32 = 10_000;

/// What one track needs of its codec.
pub(crate) struct Track {
    pub handler: [u8; 4],
    pub media_header: Vec<u8>,
    pub sample_entry: Vec<u8>,
    pub width: u16,
    pub height: u16,
    pub timescale: u32,
    pub ticks_per_sample: u32,
    pub samples: Vec<Vec<u8>>,
    pub only_first_is_sync: bool,
}

/// Everything up to the seeded bytes. Nothing if the file is too short even for `ftyp` and an empty `mdat`.
pub(crate) fn head(kind: FileKind, size_bytes: u64, seed: u64) -> Option<Vec<u8>> {
    let (ftyp, track) = match kind {
        FileKind::M4a => (ftyp(*b"M4A ", &[*b"M4A ", *b"mp42", *b"isom"]), aac::silence()),
        _ => {
            let ftyp = ftyp(*b"isom", &[*b"isom", *b"iso2", *b"avc1", *b"mp41"]);
            (ftyp, h264::still(Noise { state: seed }.next()))
        }
    };
    playable(&ftyp, &track, size_bytes).or_else(|| {
        let rest = size_bytes.checked_sub(length(&ftyp))?;
        Some([ftyp, mdat_header(rest)?].concat())
    })
}

fn playable(ftyp: &[u8], track: &Track, size_bytes: u64) -> Option<Vec<u8>> {
    let samples = track.samples.concat();
    // The offset has a fixed width, so that the length of `moov` is known before it is.
    let before = length(ftyp) + length(&moov(track, 0));
    let header = mdat_header(size_bytes.checked_sub(before)?)?;
    let offset = before + length(&header);
    size_bytes.checked_sub(offset + length(&samples))?;
    Some([ftyp, &moov(track, u32::try_from(offset).ok()?), &header, &samples].concat())
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn ftyp(major: [u8; 4], compatible: &[[u8; 4]]) -> Vec<u8> {
    boxed(
        *b"ftyp",
        &[&major, &512u32.to_be_bytes(), compatible.as_flattened()],
    )
}

/// The header of an `mdat` of this whole length; 64-bit lengths where 32 bits are too few.
fn mdat_header(whole: u64) -> Option<Vec<u8>> {
    let header = match u32::try_from(whole) {
        Ok(short) => [&short.to_be_bytes()[..], b"mdat"].concat(),
        Err(_) => [&1u32.to_be_bytes()[..], b"mdat", &whole.to_be_bytes()].concat(),
    };
    (whole >= length(&header)).then_some(header)
}

/// A box with this content.
pub(crate) fn boxed(name: [u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    [&count(content.len() + 8)[..], &name, &content].concat()
}

/// A box with version 0 and these flags.
pub(crate) fn full(name: [u8; 4], flags: u32, content: &[&[u8]]) -> Vec<u8> {
    boxed(name, &[&flags.to_be_bytes(), &content.concat()])
}

fn count(of: usize) -> [u8; 4] {
    u32::try_from(of).unwrap_or(u32::MAX).to_be_bytes()
}

fn words(of: &[u32]) -> Vec<u8> {
    of.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// The unity matrix of `mvhd` and `tkhd`.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

fn moov(track: &Track, offset: u32) -> Vec<u8> {
    let mvhd = full(
        *b"mvhd",
        0,
        &[
            &words(&[0, 0, MOVIE_TIMESCALE, MOVIE_DURATION, 0x1_0000, 0x0100_0000, 0, 0]),
            &words(&MATRIX),
            &words(&[0, 0, 0, 0, 0, 0, 2]),
        ],
    );
    let size = [u32::from(track.width) << 16, u32::from(track.height) << 16];
    let volume: u32 = if track.handler == *b"soun" { 0x0100_0000 } else { 0 };
    let tkhd = full(
        *b"tkhd",
        3,
        &[
            &words(&[0, 0, 1, 0, MOVIE_DURATION, 0, 0, 0, volume]),
            &words(&MATRIX),
            &words(&size),
        ],
    );
    let ticks = track.ticks_per_sample * u32::try_from(track.samples.len()).unwrap_or(0);
    // `und`, the undetermined language, in three packed letters.
    let timing = full(
        *b"mdhd",
        0,
        &[&words(&[0, 0, track.timescale, ticks, 0x55c4_0000])],
    );
    let hdlr = full(*b"hdlr", 0, &[&[0; 4], &track.handler, &[0; 13]]);
    let here = full(*b"url ", 1, &[]);
    let dinf = boxed(*b"dinf", &[&full(*b"dref", 0, &[&words(&[1]), &here])]);
    let minf = boxed(
        *b"minf",
        &[&track.media_header, &dinf, &sample_table(track, offset)],
    );
    let mdia = boxed(*b"mdia", &[&timing, &hdlr, &minf]);
    boxed(*b"moov", &[&mvhd, &boxed(*b"trak", &[&tkhd, &mdia])])
}

fn sample_table(track: &Track, offset: u32) -> Vec<u8> {
    let samples = count(track.samples.len());
    let sizes: Vec<u8> = track
        .samples
        .iter()
        .flat_map(|sample| count(sample.len()))
        .collect();
    let sync = if track.only_first_is_sync {
        full(*b"stss", 0, &[&words(&[1, 1])])
    } else {
        Vec::new()
    };
    boxed(
        *b"stbl",
        &[
            &full(*b"stsd", 0, &[&words(&[1]), &track.sample_entry]),
            &full(
                *b"stts",
                0,
                &[&words(&[1]), &samples, &words(&[track.ticks_per_sample])],
            ),
            &sync,
            &full(*b"stsc", 0, &[&words(&[1, 1]), &samples, &words(&[1])]),
            &full(*b"stsz", 0, &[&words(&[0]), &samples, &sizes]),
            &full(*b"stco", 0, &[&words(&[1, offset])]),
        ],
    )
}
