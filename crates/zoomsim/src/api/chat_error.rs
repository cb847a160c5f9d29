//! The errors of a bot's calls (Chatbot specification; platform: send, edit, delete, unfurl).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

/// Status, code and message; the body says `result: false` too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChatError {
    status: StatusCode,
    code: u16,
    message: &'static str,
}

impl ChatError {
    pub(crate) const BAD_BODY: Self =
        Self::new(StatusCode::BAD_REQUEST, 7001, "Invalid Request Body format.");
    pub(crate) const NO_HEADER: Self =
        Self::new(StatusCode::UNAUTHORIZED, 7010, "Missing Authorization header.");
    pub(crate) const INVALID_TOKEN: Self =
        Self::new(StatusCode::UNAUTHORIZED, 7010, "Invalid Authorization token.");
    pub(crate) const NO_BOT: Self = Self::new(
        StatusCode::FORBIDDEN,
        7003,
        "No Chatbot can be found with the given robot_jid value.",
    );
    pub(crate) const NOT_AUTHORIZED: Self = Self::new(StatusCode::FORBIDDEN, 7004, "Not authorized.");
    pub(crate) const NO_RECEIVER: Self = Self::new(
        StatusCode::FORBIDDEN,
        7004,
        "No channel or user can be found with the given to_jid value.",
    );
    pub(crate) const BAD_ROBOT_JID: Self = Self::new(
        StatusCode::NOT_FOUND,
        7002,
        "Invalid robot_jid value specified in the Request Body.",
    );
    pub(crate) const NO_MESSAGE: Self = Self::new(StatusCode::NOT_FOUND, 8001, "Invalid message_id value.");
    pub(crate) const NO_UNFURL: Self = Self::new(StatusCode::NOT_FOUND, 8002, "Invalid unfurl_id.");

    const fn new(status: StatusCode, code: u16, message: &'static str) -> Self {
        Self {
            status,
            code,
            message,
        }
    }

    pub(crate) fn response(self) -> HttpResponse {
        HttpResponse::build(self.status)
            .json(json!({ "code": self.code, "message": self.message, "result": false }))
    }
}
