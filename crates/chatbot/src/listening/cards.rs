//! What the region says by itself.

use domicile_kernel::state::RecordingStatus;
use domicile_region::DirectoryEntry;
use domicile_region::words::{CardWords, Words, fill};
use domicile_zoom::chat::content::{Card, Content};
use url::Url;

use super::{ListeningSettings, ShelvedRecording, Standing};
use crate::error::ChatbotError;

/// So many recordings are shown.
pub(super) const RECORDINGS_SHOWN: i64 = 5;
/// A topic is cut after so many characters, and a name of a region or product too.
const MAX_CHARACTERS: usize = 120;

/// A command that the region answers itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnCommand {
    Help,
    Connect,
    Status,
    Recordings,
    Region,
}

impl OwnCommand {
    const ALL: [Self; 5] = [
        Self::Help,
        Self::Connect,
        Self::Status,
        Self::Recordings,
        Self::Region,
    ];

    fn words(self, words: &Words) -> (&str, &str) {
        match self {
            Self::Help => (&words.help.command, &words.help.summary),
            Self::Connect => (&words.connect.command, &words.connect.summary),
            Self::Status => (&words.status.command, &words.status.summary),
            Self::Recordings => (&words.recordings.command, &words.recordings.summary),
            Self::Region => (&words.region.command, &words.region.summary),
        }
    }

    /// The command that is meant: its word alone, in capitals or not, so that what follows a word is never swallowed.
    pub(super) fn of(text: &str, words: &Words) -> Option<Self> {
        let said = text.trim().to_lowercase();
        Self::ALL.into_iter().find(|command| {
            let (word, _) = command.words(words);
            !word.is_empty() && word.to_lowercase() == said
        })
    }

    /// Whether the answer says something of the speaker that nobody else in a channel should read.
    pub(super) fn is_private(self) -> bool {
        match self {
            Self::Connect | Self::Status | Self::Recordings => true,
            Self::Help | Self::Region => false,
        }
    }

    /// The name for metrics and spans.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::Connect => "connect",
            Self::Status => "status",
            Self::Recordings => "recordings",
            Self::Region => "region",
        }
    }
}

/// Makes cards of words.
pub(super) struct Cards<'a>(pub(super) &'a ListeningSettings);

impl Cards<'_> {
    fn words(&self) -> &Words {
        &self.0.words
    }

    /// Puts in what stands for something; `{command}` is the word of this command.
    fn fill(&self, text: &str, command: OwnCommand) -> String {
        let (word, _) = command.words(self.words());
        fill(
            text,
            &[
                ("product", &self.words().product),
                ("region", &self.0.region_name),
                ("command", word),
            ],
        )
    }

    fn card(&self, words: &CardWords) -> Card {
        Card::new(&self.fill(&words.head, OwnCommand::Help))
            .message(&self.fill(&words.text, OwnCommand::Help))
    }

    pub(super) fn welcome(&self) -> Result<Content, ChatbotError> {
        built(self.card(&self.words().welcome))
    }

    pub(super) fn help(&self) -> Result<Content, ChatbotError> {
        let head = self.fill(&self.words().help.head, OwnCommand::Help);
        let commands = OwnCommand::ALL
            .into_iter()
            .map(|command| (command, command.words(self.words())))
            .filter(|(_, (word, _))| !word.is_empty());
        built(
            commands.fold(Card::new(&head), |card, (command, (word, summary))| {
                card.field(word, &self.fill(summary, command))
            }),
        )
    }

    /// The way to linking: to this URL, else to the app's start page.
    pub(super) fn connect(&self, standing: &Standing, url: Option<&Url>) -> Result<Content, ChatbotError> {
        let words = &self.words().connect;
        let card = Card::new(&self.fill(&words.head, OwnCommand::Connect));
        let linked = matches!(
            standing,
            Standing::Linked {
                needs_reauthorization: false,
                ..
            }
        );
        if linked && url.is_none() {
            return built(card.message(&self.fill(&words.linked, OwnCommand::Connect)));
        }
        let url = url.unwrap_or(&self.0.start_url);
        built(
            card.message(&self.fill(&words.text, OwnCommand::Connect))
                .link(&self.fill(&words.button, OwnCommand::Connect), url.as_str()),
        )
    }

    pub(super) fn status(
        &self,
        standing: &Standing,
        recordings: &[ShelvedRecording],
    ) -> Result<Content, ChatbotError> {
        let words = &self.words().status;
        let text = match standing {
            Standing::Linked {
                needs_reauthorization: false,
                ..
            } => &words.linked,
            Standing::Linked { .. } => &words.needs_reauthorization,
            Standing::Unlinked | Standing::Elsewhere => &words.unlinked,
        };
        let mut card = Card::new(&self.fill(&words.head, OwnCommand::Status))
            .message(&self.fill(text, OwnCommand::Connect));
        if !recordings.is_empty() {
            for (name, status) in [
                (&words.fetching, RecordingStatus::Fetching),
                (&words.stored, RecordingStatus::Stored),
                (&words.incomplete, RecordingStatus::Incomplete),
            ] {
                let count = recordings.iter().filter(|it| it.status == status).count();
                card = card.field(&self.fill(name, OwnCommand::Status), &count.to_string());
            }
        }
        built(card)
    }

    pub(super) fn recordings(&self, recordings: &[ShelvedRecording]) -> Result<Content, ChatbotError> {
        let words = &self.words().recordings;
        let card = Card::new(&self.fill(&words.head, OwnCommand::Recordings));
        if recordings.is_empty() {
            return built(card.message(&self.fill(&words.none, OwnCommand::Recordings)));
        }
        built(recordings.iter().fold(card, |card, recording| {
            let status = match recording.status {
                RecordingStatus::Fetching => &words.fetching,
                RecordingStatus::Stored => &words.stored,
                RecordingStatus::Incomplete => &words.incomplete,
            };
            let started = recording
                .started_at
                .map(|at| at.format("%Y-%m-%d %H:%M UTC, ").to_string())
                .unwrap_or_default();
            card.attachment(
                &self.topic(recording),
                &format!("{started}{}", self.fill(status, OwnCommand::Recordings)),
                self.page_of(recording).as_str(),
            )
        }))
    }

    /// The app's page, told which recording is meant.
    fn page_of(&self, recording: &ShelvedRecording) -> Url {
        let mut url = self.0.start_url.clone();
        url.query_pairs_mut()
            .append_pair("recording", &recording.id.to_string());
        url
    }

    fn topic(&self, recording: &ShelvedRecording) -> String {
        let topic = recording.topic.as_ref().map(|topic| topic.expose().as_str());
        let topic = topic.filter(|topic| !topic.trim().is_empty());
        shortened(topic.unwrap_or(&self.words().recordings.untitled))
    }

    pub(super) fn region(&self) -> Result<Content, ChatbotError> {
        let words = &self.words().region;
        let mut card = Card::new(&self.fill(&words.head, OwnCommand::Region))
            .message(&self.fill(&words.text, OwnCommand::Region));
        if self.others().next().is_some() {
            card = card.message(&self.fill(&words.others, OwnCommand::Region));
        }
        built(self.pointers(card))
    }

    /// For somebody whose account belongs to another region.
    pub(super) fn elsewhere(&self) -> Result<Content, ChatbotError> {
        built(self.pointers(self.card(&self.words().elsewhere)))
    }

    fn others(&self) -> impl Iterator<Item = &DirectoryEntry> {
        let regions = self.0.directory.regions().iter();
        regions.filter(|region| region.id != self.0.region_id)
    }

    fn pointers(&self, card: Card) -> Card {
        self.others().fold(card, |card, region| {
            card.link(&shortened(&region.name), region.install_url.as_str())
        })
    }

    pub(super) fn progress(&self, recording: &ShelvedRecording) -> Result<Content, ChatbotError> {
        let words = &self.words().progress;
        let text = match recording.status {
            RecordingStatus::Fetching => &words.fetching,
            RecordingStatus::Stored => &words.stored,
            RecordingStatus::Incomplete => &words.incomplete,
        };
        let (done, count) = (recording.files_stored.to_string(), recording.files.to_string());
        let values: [(&str, &str); 5] = [
            ("product", &self.words().product),
            ("region", &self.0.region_name),
            ("topic", &self.topic(recording)),
            ("done", &done),
            ("count", &count),
        ];
        let card = Card::new(&fill(&words.head, &values)).message(&fill(text, &values));
        built(if recording.status == RecordingStatus::Fetching {
            card
        } else {
            card.link(
                &self.fill(&self.words().recordings.head, OwnCommand::Recordings),
                self.page_of(recording).as_str(),
            )
        })
    }

    /// A text of the app's, without a card of its own.
    pub(super) fn plain(text: &str) -> Result<Content, ChatbotError> {
        let content = serde_json::json!({"body": [{"type": "message", "text": text}]});
        Content::parse(&content).map_err(ChatbotError::Content)
    }
}

fn shortened(text: &str) -> String {
    let mut characters = text.chars();
    let mut short: String = characters.by_ref().take(MAX_CHARACTERS).collect();
    if characters.next().is_some() {
        short.push('\u{2026}');
    }
    short
}

fn built(card: Card) -> Result<Content, ChatbotError> {
    card.build().map_err(ChatbotError::Content)
}
