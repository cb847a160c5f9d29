//! Bodies as Zoom sends them: `recording.completed` events, each different from every other and none compressible beyond
//! what real ones are; and `bot_notification` events, commands to the bot.
//!
//! A body follows from the seed, its number and its time alone. So a run need not keep what it sent: the body of an event
//! that was answered can be made again.

use std::ops::Range;

/// The JID of the bot that commands are for.
pub const ROBOT_JID: &str = "v1robotofthebench@xmpp.zoom.us";
/// The files of an ordinary recording.
const ORDINARY_FILES: usize = 2;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &[u8; 16] = b"0123456789abcdef";
const DIGITS: &[u8; 10] = b"0123456789";

/// What stands at a place of the template that differs from event to event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One of the accounts.
    Account,
    /// The event's number.
    Number,
    /// `event_ts`, in milliseconds.
    Time,
    /// The meeting's uuid, the same wherever it stands.
    Meeting,
    /// The host's id, the same wherever it stands.
    Host,
    /// Random base64url: a token.
    Token,
    /// Random digits.
    Digits,
    /// Random hexadecimal.
    Hex,
}

impl Kind {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "account" => Self::Account,
            "number" => Self::Number,
            "time" => Self::Time,
            "meeting" => Self::Meeting,
            "host" => Self::Host,
            "token" => Self::Token,
            "digits" => Self::Digits,
            "hex" => Self::Hex,
            _ => return None,
        })
    }
}

#[derive(Debug)]
struct Slot {
    kind: Kind,
    range: Range<usize>,
}

/// Makes the bodies of one run.
#[derive(Debug)]
pub struct EventSource {
    template: Vec<u8>,
    slots: Vec<Slot>,
    accounts: Vec<[u8; ACCOUNT_LENGTH]>,
    seed: u64,
}

/// Zoom's account ids have 22 characters.
const ACCOUNT_LENGTH: usize = 22;

impl EventSource {
    /// Events of so many accounts. Another seed makes other events; the accounts are the same in every run.
    pub fn new(accounts: usize, seed: u64) -> Self {
        Self::with_files(accounts, seed, ORDINARY_FILES)
    }

    /// The same with so many files in each recording.
    pub fn with_files(accounts: usize, seed: u64, files: usize) -> Self {
        Self::of(&markup(files), 0..accounts.max(1) as u64, seed)
    }

    /// Commands to the bot. Each is said in a channel of its own, whose JID is [`Speakers::channel`] of the event's number.
    pub fn commands(speakers: &Speakers, seed: u64) -> Self {
        Self::of(&commands(speakers), speakers.accounts.clone(), seed)
    }

    fn of(markup: &str, accounts: Range<u64>, seed: u64) -> Self {
        let (template, slots) = parse(markup);
        let accounts = accounts
            .map(|number| {
                let mut id = [0; ACCOUNT_LENGTH];
                Random::new(0x0ACC_0047 ^ number.wrapping_mul(GOLDEN)).fill(&mut id, BASE64_URL);
                id
            })
            .collect();
        Self {
            template,
            slots,
            accounts,
            seed,
        }
    }

    /// The size of every body in bytes.
    pub fn body_length(&self) -> usize {
        self.template.len()
    }

    /// Room for a body, with everything in it that never changes.
    pub fn blank(&self) -> &[u8] {
        &self.template
    }

    /// Makes the body of this event in room that [`EventSource::blank`] gave.
    pub fn write(&self, body: &mut [u8], number: u64, event_millis: u64) {
        let mut random = Random::new(self.seed ^ number.wrapping_mul(GOLDEN));
        let account = &self.accounts[random.below(self.accounts.len())];
        let (mut meeting, mut host) = ([0; 22], [0; 22]);
        random.fill(&mut meeting, BASE64);
        random.fill(&mut host, BASE64_URL);
        for slot in &self.slots {
            let place = &mut body[slot.range.clone()];
            match slot.kind {
                Kind::Account => copy(place, account),
                Kind::Meeting => copy(place, &meeting),
                Kind::Host => copy(place, &host),
                Kind::Number => decimal(place, number),
                Kind::Time => decimal(place, event_millis),
                Kind::Token => random.fill(place, BASE64_URL),
                Kind::Digits => random.fill(place, DIGITS),
                Kind::Hex => random.fill(place, HEX),
            }
        }
    }

    /// The body of this event.
    pub fn body(&self, number: u64, event_millis: u64) -> Vec<u8> {
        let mut body = self.template.clone();
        self.write(&mut body, number, event_millis);
        body
    }

    /// Fills a place in a request's head that is different for each event, such as its id.
    pub fn write_request_id(&self, place: &mut [u8], number: u64) {
        Random::new(!self.seed ^ number.wrapping_mul(GOLDEN)).fill(place, HEX);
        for dash in [8, 13, 18, 23] {
            if let Some(byte) = place.get_mut(dash) {
                *byte = b'_';
            }
        }
    }
}

/// Who speaks to the bot.
#[derive(Debug, Clone)]
pub struct Speakers {
    /// What their ids and channels begin with.
    pub name: String,
    /// The numbers of their accounts. An account has a thousand users.
    pub accounts: Range<u64>,
    /// What they say.
    pub command: &'static str,
}

impl Speakers {
    /// The JID of the channel in which the event of this number is said.
    pub fn channel(&self, number: u64) -> String {
        format!("{}{number:010}@conference.xmpp.zoom.us", self.name)
    }
}

fn copy(place: &mut [u8], value: &[u8]) {
    let length = place.len().min(value.len());
    place[..length].copy_from_slice(&value[..length]);
}

/// Writes a number with leading zeros over the whole place.
pub fn decimal(place: &mut [u8], mut number: u64) {
    for byte in place.iter_mut().rev() {
        *byte = DIGITS[(number % 10) as usize];
        number /= 10;
    }
}

/// The event with a mark such as `<token 20>` at each place that changes.
fn markup(files: usize) -> String {
    let mut text = String::from(concat!(
        r#"{"payload":{"account_id":"<account 22>","object":{"uuid":"<meeting 21>A==","id":8<digits 10>,"#,
        r#""account_id":"<account 22>","host_id":"<host 22>","topic":"Quarterly review with <token 12>","type":2,"#,
        r#""start_time":"2026-03-07T10:30:05Z","timezone":"Europe/London","#,
        r#""host_email":"<token 10>@customer.example","duration":4<digits 1>,"#,
        r#""share_url":"https://us06web.zoom.us/rec/share/<token 71>.<token 16>","total_size":3<digits 7>,"#,
        r#""recording_count":2,"password":"<token 8>","recording_play_passcode":"<token 44>","recording_files":["#,
    ));
    for number in 0..files {
        if number > 0 {
            text.push(',');
        }
        let (kind, extension, recording_type) = match number % 3 {
            0 => ("MP4", "MP4", "shared_screen_with_speaker_view"),
            1 => ("M4A", "M4A", "audio_only"),
            _ => ("TRANSCRIPT", "VTT", "audio_transcript"),
        };
        text.push_str(concat!(
            r#"{"id":"<hex 8>-<hex 4>-4<hex 3>-a<hex 3>-<hex 12>","meeting_id":"<meeting 21>A==","#,
            r#""recording_start":"2026-03-07T10:30:15Z","recording_end":"2026-03-07T11:14:02Z","file_type":""#,
        ));
        text.push_str(kind);
        text.push_str(r#"","file_extension":""#);
        text.push_str(extension);
        text.push_str(concat!(
            r#"","file_size":1<digits 6>,"play_url":"https://us06web.zoom.us/rec/play/<token 50>.<token 16>","#,
            r#""download_url":"https://us06web.zoom.us/rec/webhook_download/<token 50>.<token 16>/<token 12>","#,
            r#""status":"completed","recording_type":""#,
        ));
        text.push_str(recording_type);
        text.push_str("\"}");
    }
    text.push_str(concat!(
        r#"]}},"event_ts":<time 13>,"event":"recording.completed","#,
        r#""download_token":"eyJzdiI6IjAwMDAwMSIsImFsZyI6IkhTNTEyIiwidiI6IjIuMCIsImtpZCI6I<token 26>."#,
        r#"<token 425>.<token 86>"}"#,
    ));
    text
}

/// A command with the same marks.
fn commands(speakers: &Speakers) -> String {
    let Speakers { name, command, .. } = speakers;
    format!(
        concat!(
            r#"{{"event":"bot_notification","payload":{{"accountId":"<account 22>","channelName":"Everybody","#,
            r#""robotJid":"{robot}","timestamp":<time 13>,"toJid":"{name}<number 10>@conference.xmpp.zoom.us","#,
            r#""userId":"{name}-user-<digits 3>","userJid":"{name}<number 10>@xmpp.zoom.us","userName":"Example Person","#,
            r#""cmd":"{command}","name":"Example Person"}},"event_ts":<time 13>}}"#,
        ),
        robot = ROBOT_JID,
        name = name,
        command = command,
    )
}

/// Takes the marks out and says where they stood.
fn parse(markup: &str) -> (Vec<u8>, Vec<Slot>) {
    let (mut text, mut slots) = (Vec::new(), Vec::new());
    let mut pieces = markup.split('<');
    text.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
    for piece in pieces {
        let (mark, rest) = piece.split_once('>').unwrap_or((piece, ""));
        let (name, length) = mark.split_once(' ').unwrap_or((mark, ""));
        let length = length.parse().unwrap_or(0);
        let start = text.len();
        text.resize(start + length, b'0');
        if let Some(kind) = Kind::from_name(name) {
            slots.push(Slot {
                kind,
                range: start..start + length,
            });
        }
        text.extend_from_slice(rest.as_bytes());
    }
    (text, slots)
}

/// The step of [`Random`]; odd, so that different numbers have different seeds.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// `SplitMix64` (Steele, Lea and Flood 2014): a few instructions a number, and every seed is good. No secret comes from it.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below the bound, or 0 where that is 0. The bias is of no account at the bounds of a load.
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a usize")]
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next_u64() % (bound.max(1) as u64)) as usize
    }

    /// Random characters of the alphabet; six bits a character, of which shorter alphabets see the remainder.
    fn fill(&mut self, place: &mut [u8], alphabet: &[u8]) {
        for chunk in place.chunks_mut(10) {
            let mut bits = self.next_u64();
            for byte in chunk {
                *byte = alphabet[(bits & 63) as usize % alphabet.len()];
                bits >>= 6;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use domicile_zoom::event::bot::{BotEvent, Place, Said};
    use domicile_zoom::event::{Envelope, EventKind, RecordingEvent};

    use super::*;

    #[test]
    fn a_body_is_a_recording_event_of_ordinary_size() {
        let source = EventSource::new(20, 7);
        let body = source.body(3, 1_795_000_123_456);
        assert!((2_300..=2_800).contains(&body.len()), "{} bytes", body.len());
        let envelope = Envelope::parse(&body).unwrap();
        assert_eq!(envelope.kind(), EventKind::RecordingCompleted);
        assert_eq!(envelope.event_ts.unwrap().timestamp_millis(), 1_795_000_123_456);
        assert_eq!(envelope.account_id.unwrap().as_str().len(), 22);
        assert_eq!(envelope.user_id.unwrap().as_str().len(), 22);
        RecordingEvent::parse(&body).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let object = &json["payload"]["object"];
        assert_eq!(object["recording_files"][1]["meeting_id"], object["uuid"]);
        assert_eq!(object["account_id"], json["payload"]["account_id"]);
        let token = json["download_token"].as_str().unwrap();
        assert!((550..650).contains(&token.len()) && token.split('.').count() == 3);
    }

    #[test]
    fn a_command_is_said_by_somebody_of_the_accounts_in_a_channel_of_its_own() {
        let speakers = Speakers {
            name: "loud".to_owned(),
            accounts: 7..8,
            command: "orders",
        };
        let source = EventSource::commands(&speakers, 1);
        let said = |number| BotEvent::parse(&source.body(number, 1_795_000_123_456)).unwrap();
        let event = said(42);
        assert_eq!(event.robot_jid.as_deref(), Some(ROBOT_JID));
        assert_eq!(event.account_id, said(43).account_id);
        assert!(matches!(event.said, Said::Command { ref text, .. } if text == "orders"));
        assert!(
            matches!(event.place, Some(Place::Jid { ref to_jid, .. }) if *to_jid == speakers.channel(42))
        );
        assert_ne!(source.body(1, 1), source.body(2, 1));
    }

    #[test]
    fn the_largest_recording_is_readable_too() {
        let body = EventSource::with_files(1, 1, 150).body(0, 1_795_000_000_000);
        assert!(body.len() > 70_000, "{} bytes", body.len());
        assert!(Envelope::parse(&body).is_ok());
    }

    #[test]
    fn every_event_differs_and_is_made_again_from_its_number() {
        let source = EventSource::new(20, 7);
        let bodies: HashSet<Vec<u8>> = (0..2_000).map(|number| source.body(number, 1)).collect();
        assert_eq!(bodies.len(), 2_000);
        assert_eq!(source.body(42, 9), EventSource::new(20, 7).body(42, 9));
        assert_ne!(source.body(42, 9), EventSource::new(20, 8).body(42, 9));
    }

    #[test]
    fn a_room_that_was_used_before_shows_no_trace_of_it() {
        let source = EventSource::new(20, 7);
        let mut room = source.blank().to_vec();
        source.write(&mut room, 1, 10);
        source.write(&mut room, 2, 20);
        assert_eq!(room, source.body(2, 20));
    }

    #[test]
    fn the_accounts_are_as_many_as_asked_for_and_the_same_for_every_seed() {
        let accounts = |seed| -> HashSet<String> {
            let source = EventSource::new(5, seed);
            (0..200)
                .map(|number| Envelope::parse(&source.body(number, 1_795_000_000_000)).unwrap())
                .map(|envelope| envelope.account_id.unwrap().as_str().to_owned())
                .collect()
        };
        assert_eq!(accounts(1).len(), 5);
        assert_eq!(accounts(1), accounts(2));
    }
}
