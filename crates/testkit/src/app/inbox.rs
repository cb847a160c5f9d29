//! The events that the app has taken.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domicile_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

/// A verified event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReceivedEvent {
    /// `webhook-id`: the same at each try, so the app keeps an event once.
    pub webhook_id: String,
    /// `webhook-timestamp` of the first delivery, unix seconds.
    pub webhook_timestamp: String,
    /// `webhook-signature` of the first delivery.
    pub webhook_signature: String,
    /// `traceparent` of the first delivery: the trace that it belongs to.
    #[serde(default)]
    pub traceparent: Option<String>,
    /// The exact body that was signed.
    pub body: String,
    /// When the first delivery came.
    pub received_at: Timestamp,
    /// How often it was delivered again.
    #[serde(default)]
    pub duplicates: u32,
}

impl ReceivedEvent {
    /// The body as JSON; `null` if it is none.
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The type, such as `recording.stored`.
    pub fn event_type(&self) -> String {
        self.text("type")
    }

    /// Whose event it is.
    pub fn subject(&self) -> String {
        self.text("subject")
    }

    fn text(&self, member: &str) -> String {
        self.event()[member].as_str().unwrap_or_default().to_owned()
    }
}

/// What became of a delivery.
pub(super) enum Kept {
    First,
    Again,
    /// The test knob turned it away.
    Failed,
}

#[derive(Default)]
struct Contents {
    events: Vec<ReceivedEvent>,
    file: Option<File>,
    fail_next: u32,
    failed: u64,
    refused: u64,
}

/// A line of the file: an event, or one more delivery of one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Event(ReceivedEvent),
    Again(String),
}

/// The events, in memory and, where a file is named, on disk.
pub(super) struct Inbox {
    contents: Mutex<Contents>,
    changed: watch::Sender<()>,
}

impl Inbox {
    /// Reads what the file holds and goes on writing to it.
    pub(super) fn open(file: Option<&Path>) -> std::io::Result<Self> {
        let mut contents = Contents::default();
        if let Some(path) = file {
            let file = File::options().read(true).append(true).create(true).open(path)?;
            for line in BufReader::new(&file).lines() {
                // A line that a crash cut short was never answered with success, so it comes again.
                match serde_json::from_str(&line?) {
                    Ok(Line::Event(event)) => contents.events.push(event),
                    Ok(Line::Again(id)) => {
                        contents.count_again(&id);
                    }
                    Err(_) => {}
                }
            }
            contents.file = Some(file);
        }
        Ok(Self {
            contents: Mutex::new(contents),
            changed: watch::Sender::new(()),
        })
    }

    /// Keeps a verified event. It is in the file when this returns.
    pub(super) fn keep(&self, event: ReceivedEvent) -> std::io::Result<Kept> {
        let mut contents = self.lock();
        if contents.fail_next > 0 {
            contents.fail_next -= 1;
            contents.failed += 1;
            self.changed.send_replace(());
            return Ok(Kept::Failed);
        }
        let id = event.webhook_id.clone();
        let known = contents.events.iter().any(|it| it.webhook_id == id);
        if known {
            contents.write(&Line::Again(id.clone()))?;
            contents.count_again(&id);
        } else {
            contents.write(&Line::Event(event.clone()))?;
            contents.events.push(event);
        }
        self.changed.send_replace(());
        Ok(if known { Kept::Again } else { Kept::First })
    }

    pub(super) fn all(&self) -> Vec<ReceivedEvent> {
        self.lock().events.clone()
    }

    /// The events of one subject, newest first.
    pub(super) fn of(&self, subject: &str) -> Vec<ReceivedEvent> {
        let contents = self.lock();
        let own = contents.events.iter().rev();
        own.filter(|event| event.subject() == subject).cloned().collect()
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn fail_next(&self, n: u32) {
        self.lock().fail_next = n;
    }

    pub(super) fn failed(&self) -> u64 {
        self.lock().failed
    }

    pub(super) fn count_refused(&self) {
        self.lock().refused += 1;
    }

    pub(super) fn refused(&self) -> u64 {
        self.lock().refused
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn count_again(&mut self, id: &str) {
        if let Some(event) = self.events.iter_mut().find(|it| it.webhook_id == id) {
            event.duplicates += 1;
        }
    }

    fn write(&mut self, line: &Line) -> std::io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }
}
