//! Text fillings: cues, chat lines, rows and plain prose, all ASCII, so that they may be cut anywhere.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::media::{CHUNK, Noise};

const WORDS: [&str; 16] = [
    "agenda",
    "budget",
    "customer",
    "decision",
    "estimate",
    "follow-up",
    "goal",
    "handover",
    "invoice",
    "journey",
    "kickoff",
    "launch",
    "meeting",
    "next",
    "outlook",
    "plan",
];
const PEOPLE: [&str; 4] = ["Ada Example", "Bela Example", "Cleo Example", "Dov Example"];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Words {
    Plain,
    Cues,
    Chat,
    Rows,
}

impl Words {
    pub(crate) fn chunks(self, mut noise: Noise) -> impl Iterator<Item = Bytes> + Send {
        let mut line = 0;
        std::iter::repeat_with(move || {
            let mut chunk = String::with_capacity(CHUNK + 200);
            while chunk.len() < CHUNK {
                line += 1;
                self.line(line, &mut noise, &mut chunk);
            }
            Bytes::from(chunk)
        })
    }

    fn line(self, line: u64, noise: &mut Noise, to: &mut String) {
        let person = PEOPLE[pick(noise.next(), PEOPLE.len())];
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Plain => Ok(()),
            Self::Cues => {
                let (from, until) = (clock(line * 3), clock(line * 3 + 2));
                write!(to, "{line}\n{from}.000 --> {until}.500\n{person}: ")
            }
            Self::Chat => write!(to, "{}\t{person}:\t", clock(line * 7)),
            Self::Rows => write!(to, "{line},"),
        };
        let mut bits = noise.next();
        for index in 0..8 {
            let separator = match self {
                Self::Rows if index == 4 => ",",
                _ if index == 0 => "",
                _ => " ",
            };
            to.push_str(separator);
            to.push_str(WORDS[pick(bits, WORDS.len())]);
            bits >>= 4;
        }
        to.push_str(match self {
            Self::Plain => ". ",
            Self::Cues => "\n\n",
            Self::Chat | Self::Rows => "\n",
        });
    }
}

fn pick(bits: u64, of: usize) -> usize {
    usize::try_from(bits & 0xff).unwrap_or(0) % of
}

fn clock(seconds: u64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}
