//! Events: their payloads, signature, delivery, retries and the endpoint challenge.

pub(crate) mod challenge;
pub(crate) mod chat_payload;
pub(crate) mod deliver;
pub(crate) mod egress_sender;
pub(crate) mod payload;
pub(crate) mod publish;
pub(crate) mod recording_payload;
pub mod sender;
pub(crate) mod sign;
