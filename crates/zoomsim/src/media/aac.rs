//! Ten seconds of silence in AAC-LC (ISO/IEC 14496-3), one channel at 44.1 kHz.

use crate::media::container::{Track, boxed, full};

/// One frame of 1024 silent samples.
const FRAME: [u8; 6] = [0x00, 0xc8, 0x00, 0x80, 0x23, 0x80];
const FRAMES: usize = 431;

pub(crate) fn silence() -> Track {
    // ES, decoder configuration with AudioSpecificConfig (AAC-LC, 44.1 kHz, mono), and SL descriptors (ISO/IEC 14496-1).
    let descriptors = [
        0x03, 25, 0, 1, 0, //
        0x04, 17, 0x40, 0x15, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0x20, 0, //
        0x05, 2, 0x12, 0x08, //
        0x06, 1, 2,
    ];
    let mp4a = boxed(
        *b"mp4a",
        &[
            &[0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 8],
            &[0, 1, 0, 16, 0, 0, 0, 0],
            &(44_100u32 << 16).to_be_bytes(),
            &full(*b"esds", 0, &[&descriptors]),
        ],
    );
    Track {
        handler: *b"soun",
        media_header: full(*b"smhd", 0, &[&[0; 4]]),
        sample_entry: mp4a,
        width: 0,
        height: 0,
        timescale: 44_100,
        ticks_per_sample: 1_024,
        samples: vec![FRAME.to_vec(); FRAMES],
        only_first_is_sync: false,
    }
}
