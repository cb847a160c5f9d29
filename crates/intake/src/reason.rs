//! Why something is kept but handled by nobody.

use std::str::FromStr;

/// Why a row of the inbox is in quarantine. The spelling is stored, so it never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuarantineReason {
    /// Correctly signed, but no event can be read from it: no UTF-8, no JSON object, no event name.
    Unparseable,
    /// No handler is plugged in for its event type.
    UnknownEvent,
    /// It names no Zoom account, so it can be routed to nobody.
    NoAccount,
    /// No live link has its Zoom user, nor its Zoom account as a whole (INV-7).
    UnknownAccount,
    /// It is for another Marketplace app than the region's (`payload.client_id`), such as the app's development version.
    WrongApp,
    /// Its handler failed too often.
    HandlerFailed,
    /// What it says of itself fits no column; its body is kept.
    Unstorable,
    /// An operator put it there.
    Operator,
}

impl QuarantineReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Unparseable,
        Self::UnknownEvent,
        Self::NoAccount,
        Self::UnknownAccount,
        Self::WrongApp,
        Self::HandlerFailed,
        Self::Unstorable,
        Self::Operator,
    ];

    /// The spelling in `inbox.reason` and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unparseable => "unparseable",
            Self::UnknownEvent => "unknown_event",
            Self::NoAccount => "no_account",
            Self::UnknownAccount => "unknown_account",
            Self::WrongApp => "wrong_app",
            Self::HandlerFailed => "handler_failed",
            Self::Unstorable => "unstorable",
            Self::Operator => "operator",
        }
    }
}

impl FromStr for QuarantineReason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.map(Self::as_str);
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| format!("a reason is one of {}", known.join(", ")))
    }
}
