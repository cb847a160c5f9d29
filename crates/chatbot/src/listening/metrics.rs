use std::sync::LazyLock;

use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};

pub(super) struct ListeningMetrics {
    heard: Counter<u64>,
    replies: Counter<u64>,
}

pub(super) static METRICS: LazyLock<ListeningMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.chatbot");
    ListeningMetrics {
        heard: meter
            .u64_counter("domicile.chatbot.heard")
            .with_description("What was said to the bot by kind, and what was done: told to the app, answered here (by the command's name), or pointed elsewhere")
            .build(),
        replies: meter
            .u64_counter("domicile.chatbot.replies")
            .with_description("Answers that the app gave in its response to an event, by outcome")
            .build(),
    }
});

impl ListeningMetrics {
    pub(super) fn start_at_zero(&self) {
        let labels = [
            KeyValue::new("what", "bot.command"),
            KeyValue::new("outcome", "told"),
        ];
        self.heard.add(0, &labels);
        self.replies.add(0, &[KeyValue::new("outcome", "taken")]);
    }

    pub(super) fn heard(&self, what: &'static str, outcome: &'static str) {
        let labels = [KeyValue::new("what", what), KeyValue::new("outcome", outcome)];
        self.heard.add(1, &labels);
    }

    pub(super) fn reply(&self, outcome: &'static str) {
        self.replies.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}
