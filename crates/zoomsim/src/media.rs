//! The bytes of recording files: made from a seed while they are sent, never held as a whole.

mod aac;
mod container;
mod h264;
mod words;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::media::words::Words;
use crate::model::meeting::{FileKind, RecordingFile};

const CHUNK: usize = 64 * 1024;

/// A file's content: a head that fits its type, a filling made from the seed, and a tail.
#[derive(Debug, Clone)]
pub struct Media {
    head: Bytes,
    tail: &'static [u8],
    filling: Filling,
    filling_bytes: u64,
    seed: u64,
}

#[derive(Debug, Clone, Copy)]
enum Filling {
    Noise,
    Words(Words),
}

impl Media {
    /// The content of this type, length and seed. Nothing if the length cannot hold the type's own frame.
    pub fn new(kind: FileKind, size_bytes: u64, seed: u64) -> Option<Self> {
        let (head, tail, filling) = match kind {
            FileKind::Mp4 | FileKind::M4a => {
                (container::head(kind, size_bytes, seed)?, &b""[..], Filling::Noise)
            }
            FileKind::Tb => (
                container::JPEG_HEAD.to_vec(),
                container::JPEG_TAIL,
                Filling::Noise,
            ),
            FileKind::Timeline => (
                br#"{"timeline":[],"note":""#.to_vec(),
                JSON_TAIL,
                Filling::Words(Words::Plain),
            ),
            FileKind::Summary => (
                br#"{"summary_overview":""#.to_vec(),
                JSON_TAIL,
                Filling::Words(Words::Plain),
            ),
            FileKind::Transcript | FileKind::Cc => {
                (b"WEBVTT\n\n".to_vec(), &b""[..], Filling::Words(Words::Cues))
            }
            FileKind::Chat | FileKind::ChatMessage => (Vec::new(), &b""[..], Filling::Words(Words::Chat)),
            FileKind::Csv => (
                b"#,Question,Answer\n".to_vec(),
                &b""[..],
                Filling::Words(Words::Rows),
            ),
        };
        let frame = u64::try_from(head.len() + tail.len()).ok()?;
        let filling_bytes = size_bytes.checked_sub(frame)?;
        Some(Self {
            head: head.into(),
            tail,
            filling,
            filling_bytes,
            seed,
        })
    }

    /// The content of one version of a file.
    pub(crate) fn of(file: &RecordingFile, variant: u32) -> Option<Self> {
        // Another version is another seed, far from those that people choose by hand.
        let seed = file.seed ^ u64::from(variant).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self::new(file.kind, file.size_bytes, seed)
    }

    /// The whole content, 64 KiB at a time.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> + Send + 'static {
        let noise = Noise { state: self.seed };
        let filling: Box<dyn Iterator<Item = Bytes> + Send> = match self.filling {
            Filling::Noise => Box::new(noise.chunks()),
            Filling::Words(words) => Box::new(words.chunks(noise)),
        };
        let mut left = self.filling_bytes;
        let filling = filling.map_while(move |chunk| {
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            left -= u64::try_from(take).unwrap_or(left);
            (take > 0).then(|| chunk.slice(..take))
        });
        let frame = |bytes: Bytes| (!bytes.is_empty()).then_some(bytes).into_iter();
        frame(self.head.clone())
            .chain(filling)
            .chain(frame(Bytes::from_static(self.tail)))
    }

    /// SHA-256 of the whole content in lower-case hexadecimal.
    pub fn sha256(&self) -> String {
        let mut digest = Sha256::new();
        self.chunks().for_each(|chunk| digest.update(&chunk));
        hex::encode(digest.finalize())
    }
}

const JSON_TAIL: &[u8] = br#""}"#;

/// `SplitMix64`: fast, and every seed gives another stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    pub state: u64,
}

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    fn chunks(mut self) -> impl Iterator<Item = Bytes> + Send {
        std::iter::repeat_with(move || {
            let mut chunk = vec![0; CHUNK];
            for word in chunk.as_chunks_mut::<8>().0 {
                *word = self.next().to_le_bytes();
            }
            Bytes::from(chunk)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(kind: FileKind, size: u64, seed: u64) -> Vec<u8> {
        Media::new(kind, size, seed)
            .unwrap()
            .chunks()
            .collect::<Vec<_>>()
            .concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_file_has_exactly_its_length_and_is_the_same_each_time(
            kind in proptest::sample::select(FileKind::ALL.to_vec()), size in 64u64..400_000, seed: u64,
        ) {
            let first = bytes(kind, size, seed);
            prop_assert_eq!(first.len() as u64, size);
            prop_assert_eq!(&first, &bytes(kind, size, seed));
        }

        #[test]
        fn another_seed_gives_other_bytes(kind in proptest::sample::select(FileKind::ALL.to_vec()), seed: u64) {
            prop_assert_ne!(bytes(kind, 20_000, seed), bytes(kind, 20_000, seed.wrapping_add(1)));
        }
    }

    #[test]
    fn first_bytes_fit_the_type() {
        assert_eq!(&bytes(FileKind::Mp4, 5_000, 1)[4..12], b"ftypisom");
        assert_eq!(&bytes(FileKind::M4a, 5_000, 1)[4..12], b"ftypM4A ");
        assert!(bytes(FileKind::Transcript, 500, 1).starts_with(b"WEBVTT\n"));
        assert!(bytes(FileKind::Cc, 500, 1).starts_with(b"WEBVTT\n"));
        assert!(bytes(FileKind::Tb, 500, 1).starts_with(&[0xff, 0xd8, 0xff]));
        assert!(bytes(FileKind::Csv, 500, 1).starts_with(b"#,Question"));
        assert!(bytes(FileKind::Chat, 500, 1).is_ascii());
        let json: serde_json::Value = serde_json::from_slice(&bytes(FileKind::Summary, 70_000, 3)).unwrap();
        assert!(json["summary_overview"].as_str().unwrap().len() > 69_000);
        serde_json::from_slice::<serde_json::Value>(&bytes(FileKind::Timeline, 3_000, 3)).unwrap();
    }

    #[test]
    fn a_length_that_cannot_hold_the_frame_is_refused() {
        assert!(Media::new(FileKind::Mp4, 10, 1).is_none());
        assert!(Media::new(FileKind::Summary, 3, 1).is_none());
        assert_eq!(Media::new(FileKind::Chat, 0, 1).unwrap().chunks().count(), 0);
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        let whole = bytes(FileKind::Mp4, 300_000, 9);
        let expected = hex::encode(Sha256::digest(&whole));
        assert_eq!(Media::new(FileKind::Mp4, 300_000, 9).unwrap().sha256(), expected);
    }
}
