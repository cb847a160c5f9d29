use actix_web::http::StatusCode;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $status:ident, $retry:ident, $title:literal, $cure:literal;)+) => {
        /// One kind of problem. The id never changes its meaning; new kinds may appear.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Problem {
            $($(#[$doc])* $name,)+
        }

        impl Problem {
            /// Every kind, by status.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The id, such as `subject_mismatch`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id),+ }
            }

            /// `urn:domicile:problem:<id>`, the `type` of the document.
            pub fn type_uri(self) -> &'static str {
                match self { $(Self::$name => concat!("urn:domicile:problem:", $id)),+ }
            }

            /// What it is, in a few words that never change.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),+ }
            }

            /// Whether the same request may succeed later without anybody changing anything.
            pub fn is_retryable(self) -> bool {
                match self { $(Self::$name => problems!(@retry $retry)),+ }
            }

            /// What the caller does about it.
            pub fn cure(self) -> &'static str {
                match self { $(Self::$name => $cure),+ }
            }
        }
    };
    (@retry retry) => { true };
    (@retry never) => { false };
}

problems! {
    /// The request is no request: broken JSON, a header twice.
    MalformedRequest = "malformed_request", BAD_REQUEST, never,
        "The request cannot be read",
        "Correct the request as `detail` says.";
    /// The ticket is unknown, used up or of another region.
    TicketInvalid = "ticket_invalid", BAD_REQUEST, never,
        "The ticket is not valid",
        "Start a new connect session; a ticket works once and only where it was made.";
    /// No credential, or one that is not known.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, never,
        "The request is not authenticated",
        "Send the credential that belongs to this region.";
    /// Known, but not allowed.
    Forbidden = "forbidden", FORBIDDEN, never,
        "This is not allowed",
        "Ask the region's operators for the permission, or do without.";
    /// The confirmation names another subject than the one that began (INV-6).
    SubjectMismatch = "subject_mismatch", FORBIDDEN, never,
        "The ticket belongs to another subject",
        "Confirm with the subject of the session in which the user came back. If it is another one, the user was sent somebody else's link.";
    /// The Zoom user's home is elsewhere.
    WrongRegion = "wrong_region", FORBIDDEN, never,
        "The Zoom user belongs to another region",
        "Send the user to the region that `detail` names.";
    /// The Zoom account was not admitted to this region.
    AccountNotAdmitted = "account_not_admitted", FORBIDDEN, never,
        "The Zoom account is not admitted to this region",
        "Admit the account first, with PUT /v1/admitted-accounts/{zoom_account_id} or the operators' command.";
    /// No such thing, or not the caller's.
    NotFound = "not_found", NOT_FOUND, never,
        "There is nothing here",
        "Check the path and the id.";
    /// The region has no bot.
    NoBot = "no_bot", NOT_FOUND, never,
        "This region has no bot",
        "Ask the region's operators to set it up (DOMICILE_BOT_ROBOT_JID), or do without.";
    /// The path is right, the method is not.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, never,
        "This method is not allowed here",
        "Use a method that the Allow header lists.";
    /// The body took too long to arrive.
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, retry,
        "The request took too long to arrive",
        "Send it again over a better connection.";
    /// It contradicts what is there.
    Conflict = "conflict", CONFLICT, never,
        "The request contradicts the present state",
        "Read the present state and decide again.";
    /// The subject or the Zoom user is linked otherwise.
    LinkExists = "link_exists", CONFLICT, never,
        "There is another link already",
        "Unlink the other one first, or keep it.";
    /// The user has to authorize at Zoom again.
    NeedsReauthorization = "needs_reauthorization", CONFLICT, never,
        "The link needs a new authorization",
        "Start a connect session for the subject; the link comes back to life.";
    /// It will be there, but is not yet.
    NotReady = "not_ready", CONFLICT, retry,
        "It is not ready yet",
        "Wait for the event that says so, or ask again later.";
    /// It was there and is gone for good.
    Gone = "gone", GONE, never,
        "It is gone",
        "Do not ask again.";
    /// The ticket is too old.
    TicketExpired = "ticket_expired", GONE, never,
        "The ticket has expired",
        "Start a new connect session.";
    /// The body is too large.
    PayloadTooLarge = "payload_too_large", PAYLOAD_TOO_LARGE, never,
        "The request is too large",
        "Send less.";
    /// The body is of a type that is not taken.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, never,
        "The body is of a type that is not taken here",
        "Send application/json without a Content-Encoding.";
    /// The range lies beyond the end.
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE, never,
        "The range lies beyond the end",
        "Ask for a range within the length that Content-Range names.";
    /// The request is for another host.
    Misdirected = "misdirected", MISDIRECTED_REQUEST, never,
        "This is not the host that was asked for",
        "Use the host that `detail` names.";
    /// The JSON is well formed, but a member is missing or wrong.
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, never,
        "Some of the values are not valid",
        "Correct the members that `errors` lists.";
    /// The same `Idempotency-Key` came with another request.
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, never,
        "The Idempotency-Key was used for another request",
        "Use a new key for a new request, and the same request for the same key.";
    /// Too many requests.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, retry,
        "Too many requests",
        "Wait as long as Retry-After says.";
    /// A fault of this service.
    Internal = "internal", INTERNAL_SERVER_ERROR, retry,
        "Something went wrong here",
        "Try again; if it stays, give the request id to the region's operators.";
    /// Zoom said no to what was needed.
    ZoomRejected = "zoom_rejected", BAD_GATEWAY, never,
        "Zoom refused what was needed",
        "Start again from a new connect session; if it stays, give the request id to the region's operators.";
    /// Zoom answered, with what is not passed on.
    ZoomAnswerUnusable = "zoom_answer_unusable", BAD_GATEWAY, never,
        "Zoom's answer cannot be passed on",
        "Ask for less at once, where `detail` says that it was too much; else give the request id to the region's operators.";
    /// This service cannot do it just now.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, retry,
        "This is not possible just now",
        "Try again as Retry-After says.";
    /// Zoom cannot be reached just now.
    ZoomUnavailable = "zoom_unavailable", SERVICE_UNAVAILABLE, retry,
        "Zoom cannot be reached just now",
        "Try again as Retry-After says.";
    /// Zoom may have acted and its answer is lost.
    ZoomAnswerLost = "zoom_answer_lost", GATEWAY_TIMEOUT, never,
        "Zoom's answer was lost",
        "Zoom may have done what was asked. Look there before you ask again.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_fit_into_a_urn() {
        let ids: HashSet<_> = Problem::ALL.iter().map(|problem| problem.id()).collect();
        assert_eq!(ids.len(), Problem::ALL.len());
        for problem in Problem::ALL {
            assert!(problem.id().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_eq!(
                problem.type_uri(),
                format!("urn:domicile:problem:{}", problem.id())
            );
        }
    }

    #[test]
    fn every_problem_is_an_error_status_and_ordered_by_it() {
        let statuses: Vec<_> = Problem::ALL
            .iter()
            .map(|problem| problem.status().as_u16())
            .collect();
        assert!(statuses.iter().all(|status| (400..600).contains(status)));
        assert!(statuses.is_sorted(), "{statuses:?}");
    }

    #[test]
    fn the_published_list_is_the_table() {
        let published: Vec<_> = crate::problem::all().map(|entry| entry.id).collect();
        let table: Vec<_> = Problem::ALL.iter().map(|problem| problem.id()).collect();
        assert_eq!(published, table);
    }

    #[test]
    fn the_page_for_developers_is_the_table() {
        let page = include_str!("../../PROBLEMS.md");
        let table = crate::problem::markdown();
        assert!(page == table, "write this into crates/web/PROBLEMS.md:\n{table}");
    }

    #[test]
    fn the_general_problem_of_a_status_is_listed_first() {
        for (status, general) in [
            (400, Problem::MalformedRequest),
            (403, Problem::Forbidden),
            (409, Problem::Conflict),
            (410, Problem::Gone),
            (500, Problem::Internal),
            (503, Problem::Unavailable),
        ] {
            let first = Problem::ALL
                .iter()
                .find(|problem| problem.status().as_u16() == status);
            assert_eq!(first, Some(&general));
        }
    }
}
