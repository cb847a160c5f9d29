//! The region's Team Chat bot at Zoom: what it says, and the calls by which it says it (Zoom: Chatbot API).
//!
//! - [`content`]: what a message shows, checked before it is sent.
//! - [`ChatApi`]: send, edit, delete, unfurl, and the one answer that an interactive event offers by its own URL.
//! - [`ChatbotTokens`]: the one token of the bot's Marketplace app, for all accounts.
//!
//! Zoom's API has no idempotency key, so [`ChatError::may_have_taken_effect`] is the question that decides what is
//! done about a message whose sending failed.

mod client;
pub mod content;
mod error;
mod token;

pub use client::{CallbackUrl, ChatApi, EditMessage, InvalidCallback, MessageId, NewMessage, SentMessage};
pub use error::{ChatError, codes};
pub use token::{ChatbotToken, ChatbotTokens};

#[cfg(test)]
mod tests;
