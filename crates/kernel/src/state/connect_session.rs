use super::{InvalidTransition, text_state};

/// How far a connect session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectSessionStatus {
    /// The app asked for it; no browser has opened its link yet.
    Created,
    /// A browser opened the link and was sent to Zoom. A further start begins this state anew.
    Started,
    /// Zoom sent the browser back; the sealed code waits for the app's confirmation.
    AwaitingConfirmation,
    /// The app confirmed the subject; the code is being exchanged. Nothing else may use it.
    Confirming,
    /// A link came of it.
    Completed,
    /// It ended without a link; the code, if any, is destroyed.
    Refused,
}

text_state!(ConnectSessionStatus {
    Created = "created",
    Started = "started",
    AwaitingConfirmation = "awaiting_confirmation",
    Confirming = "confirming",
    Completed = "completed",
    Refused = "refused",
});

impl ConnectSessionStatus {
    /// A browser opens the connect link. Link previews and second tries may do so many times.
    pub fn start(self) -> Result<Self, InvalidTransition> {
        self.step(&[Self::Created, Self::Started], Self::Started)
    }

    /// Zoom's answer came back with a code to the browser that started.
    pub fn receive_code(self) -> Result<Self, InvalidTransition> {
        self.step(&[Self::Started], Self::AwaitingConfirmation)
    }

    /// The app confirms ticket and subject.
    pub fn confirm(self) -> Result<Self, InvalidTransition> {
        self.step(&[Self::AwaitingConfirmation], Self::Confirming)
    }

    /// Zoom's answer came back to the browser that started, and the app's session token in it names the subject: no other
    /// confirmation is needed.
    pub fn confirm_at_return(self) -> Result<Self, InvalidTransition> {
        self.step(&[Self::Started], Self::Confirming)
    }

    /// The code never left for Zoom, so the app may confirm once more.
    pub fn give_code_back(self) -> Result<Self, InvalidTransition> {
        self.step(&[Self::Confirming], Self::AwaitingConfirmation)
    }

    /// The exchange gave a link.
    pub fn complete(self) -> Result<Self, InvalidTransition> {
        self.step(&[Self::Confirming], Self::Completed)
    }

    /// It ends without a link, from any state that is not an end.
    pub fn refuse(self) -> Result<Self, InvalidTransition> {
        self.step(
            &[
                Self::Created,
                Self::Started,
                Self::AwaitingConfirmation,
                Self::Confirming,
            ],
            Self::Refused,
        )
    }

    fn step(self, from: &[Self], to: Self) -> Result<Self, InvalidTransition> {
        if from.contains(&self) {
            Ok(to)
        } else {
            Err(InvalidTransition::new(self, to))
        }
    }
}

/// Why a connect session was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// The user or an administrator said no at Zoom.
    ConsentDenied,
    /// The confirmation named another subject than the one that began (INV-6).
    SubjectMismatch,
    /// The browser that came back is not the one that started.
    BrowserMismatch,
    /// It was not confirmed in time.
    Expired,
    /// Zoom refused the code.
    CodeRejected,
    /// The app's session token was missing or not valid when the browser came back.
    NotSignedIn,
    /// The Zoom user's home is a cluster of another region.
    WrongCluster,
    /// Zoom names no home cluster, and the region's policy wants one.
    UnknownCluster,
    /// The Zoom account is not among those that were admitted.
    NotAdmitted,
    /// The subject is a user and the app admin-managed, or the subject an organisation and the app user-managed.
    WrongAppKind,
    /// A scope without which nothing works was not granted.
    ScopeMissing,
    /// The Zoom user or account is linked to another subject.
    ZoomUserLinked,
    /// The subject is linked to another Zoom user or account.
    SubjectLinked,
    /// Zoom or the service failed so that the code is lost.
    Failed,
}

text_state!(RefusalReason {
    ConsentDenied = "consent_denied",
    SubjectMismatch = "subject_mismatch",
    BrowserMismatch = "browser_mismatch",
    Expired = "expired",
    CodeRejected = "code_rejected",
    NotSignedIn = "not_signed_in",
    WrongCluster = "wrong_cluster",
    UnknownCluster = "unknown_cluster",
    NotAdmitted = "account_not_admitted",
    WrongAppKind = "wrong_app_kind",
    ScopeMissing = "scope_missing",
    ZoomUserLinked = "zoom_user_linked",
    SubjectLinked = "subject_linked",
    Failed = "failed",
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Start,
        ReceiveCode,
        Confirm,
        ConfirmAtReturn,
        GiveCodeBack,
        Complete,
        Refuse,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        use Step::{Complete, Confirm, ConfirmAtReturn, GiveCodeBack, ReceiveCode, Refuse, Start};
        prop::collection::vec(
            prop::sample::select(vec![
                Start,
                ReceiveCode,
                Confirm,
                ConfirmAtReturn,
                GiveCodeBack,
                Complete,
                Refuse,
            ]),
            0..12,
        )
    }

    proptest! {
        #[test]
        fn no_order_of_steps_completes_without_a_confirmation_after_a_code(steps in steps()) {
            let mut state = ConnectSessionStatus::Created;
            let (mut code, mut confirmed, mut ended) = (false, false, false);
            for step in steps {
                let next = match step {
                    Step::Start => state.start(),
                    Step::ReceiveCode => state.receive_code(),
                    Step::Confirm => state.confirm(),
                    Step::ConfirmAtReturn => state.confirm_at_return(),
                    Step::GiveCodeBack => state.give_code_back(),
                    Step::Complete => state.complete(),
                    Step::Refuse => state.refuse(),
                };
                if let Ok(next) = next {
                    prop_assert!(!ended, "an ended session moved");
                    code |= next == ConnectSessionStatus::AwaitingConfirmation
                        || matches!(step, Step::ConfirmAtReturn);
                    confirmed |= next == ConnectSessionStatus::Confirming && code;
                    ended = matches!(next, ConnectSessionStatus::Completed | ConnectSessionStatus::Refused);
                    prop_assert!(next != ConnectSessionStatus::Completed || confirmed);
                    state = next;
                }
            }
        }
    }
}
