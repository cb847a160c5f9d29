//! The two doors that Zoom knocks at.

use std::str::FromStr;

/// Which endpoint took a request. A body that comes through both is kept twice: each has subscriptions of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /zoom/events`: the webhooks of the Zoom app.
    Events,
    /// `POST /zoom/bot`: what is said to the Team Chat bot.
    Bot,
}

impl Endpoint {
    /// The path on the public listener.
    pub fn path(self) -> &'static str {
        match self {
            Self::Events => "/zoom/events",
            Self::Bot => "/zoom/bot",
        }
    }

    /// The spelling in `inbox.endpoint` and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Bot => "bot",
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Events, Self::Bot]
            .into_iter()
            .find(|endpoint| endpoint.as_str() == text)
            .ok_or_else(|| "an endpoint is events or bot".to_owned())
    }
}
