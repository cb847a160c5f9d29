//! The room's metrics.

use std::sync::LazyLock;

use domicile_kernel::state::{BotMessageState, TextState};
use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};

pub(crate) struct ChatbotMetrics {
    calls: Counter<u64>,
    ended: Counter<u64>,
}

pub(crate) const DONE: &str = "done";

pub(crate) static METRICS: LazyLock<ChatbotMetrics> = LazyLock::new(|| {
    let meter = global::meter("domicile.chatbot");
    ChatbotMetrics {
        calls: meter
            .u64_counter("domicile.chatbot.calls")
            .with_description("Calls of Zoom's chat API by what they do and what came of them")
            .build(),
        ended: meter
            .u64_counter("domicile.chatbot.messages")
            .with_description("Messages of the bot by the state in which a run of their job left them")
            .build(),
    }
});

impl ChatbotMetrics {
    /// Shows the counters from the start, so that a rate has a zero to begin at.
    pub(crate) fn start_at_zero(&self) {
        for state in [
            BotMessageState::Sent,
            BotMessageState::Failed,
            BotMessageState::Unsure,
        ] {
            self.ended.add(0, &[KeyValue::new("status", state.as_str())]);
        }
        for call in ["send", "callback", "edit", "delete", "unfurl"] {
            self.calls
                .add(0, &[KeyValue::new("call", call), KeyValue::new("outcome", DONE)]);
        }
    }

    pub(crate) fn call(&self, call: &'static str, outcome: &'static str) {
        self.calls.add(
            1,
            &[KeyValue::new("call", call), KeyValue::new("outcome", outcome)],
        );
    }

    pub(crate) fn ended(&self, state: BotMessageState) {
        self.ended.add(1, &[KeyValue::new("status", state.as_str())]);
    }
}
