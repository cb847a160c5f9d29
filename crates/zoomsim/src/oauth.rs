//! Zoom's OAuth server (platform: OAuth; RFC 6749, RFC 7636, RFC 7009).

pub(crate) mod authorize;
pub(crate) mod client;
pub(crate) mod issue;
pub(crate) mod token;
