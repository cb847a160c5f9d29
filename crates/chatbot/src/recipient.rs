//! Whom the app means.

use domicile_kernel::{EventId, LinkId, Subject, ZoomAccountId, ZoomUserId};
use domicile_store::Conn;
use domicile_web::problem::{Problem, ProblemError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::messages::{Messages, Recipient};
use crate::{people, store};

/// The most bytes of an id of Zoom's; real ones have fewer than 64.
const MAX_ID_BYTES: usize = 256;
/// Where Zoom's channels are.
const CHANNEL_HOST: &str = "@conference.xmpp.zoom.us";

/// `to`: a subject; or a user with its account; or a channel, with its account or with the subject on whose behalf; or an
/// event of what was said to the bot, which is answered where it was said.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct To {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Subject>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) account_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<Uuid>,
}

/// Whom it comes to.
pub(crate) struct Resolved {
    pub(crate) account: ZoomAccountId,
    pub(crate) recipient: Recipient,
    pub(crate) link: Option<(LinkId, Subject)>,
}

/// A Zoom user and what leads to it.
struct Someone {
    account: ZoomAccountId,
    user: ZoomUserId,
    link: Option<(LinkId, Subject)>,
}

impl Messages {
    /// Finds account and addresses.
    pub(crate) async fn resolve(
        &self,
        conn: &mut Conn,
        to: &To,
        reply_to: Option<String>,
        visible_to_user: Option<String>,
    ) -> Result<Resolved, ProblemError> {
        check_ids(to)?;
        if let Some(event) = to.event {
            return self
                .answering(conn, to, event.into(), (reply_to, visible_to_user))
                .await;
        }
        let someone = match (&to.subject, &to.user) {
            (Some(_), Some(_)) => {
                return Err(ProblemError::invalid(
                    "to",
                    "names a subject and a user; name one of them",
                ));
            }
            (Some(subject), None) => Some(
                self.linked(conn, "to.subject", subject, to.account_id.as_deref())
                    .await?,
            ),
            (None, Some(user)) => {
                let account = to.account_id.as_deref().ok_or_else(|| {
                    ProblemError::invalid(
                        "to.account_id",
                        "is missing: a Zoom user is named with its account",
                    )
                })?;
                Some(Someone {
                    account: ZoomAccountId::new(account),
                    user: ZoomUserId::new(user.as_str()),
                    link: None,
                })
            }
            (None, None) => None,
        };
        let user_jid = match &someone {
            Some(someone) => Some(
                people::jid_of(conn, &someone.account, &someone.user)
                    .await
                    .map_err(store_problem)?,
            ),
            None => None,
        };
        let (to_jid, account) = match (&to.channel, &someone, &user_jid) {
            (Some(channel), Some(someone), _) => (channel_jid(channel)?, someone.account.clone()),
            (Some(channel), None, _) => {
                let jid = channel_jid(channel)?;
                (jid, self.account_of(conn, to.account_id.as_deref()).await?)
            }
            (None, Some(someone), Some(jid)) => (jid.clone(), someone.account.clone()),
            (None, ..) => {
                return Err(ProblemError::invalid(
                    "to",
                    "names nobody; expected subject, user or channel",
                ));
            }
        };
        if visible_to_user.is_some() && to.channel.is_none() {
            return Err(ProblemError::invalid(
                "visible_to_user",
                "is for a message to a channel",
            ));
        }
        Ok(Resolved {
            account,
            recipient: Recipient {
                to_jid,
                user_jid,
                reply_to,
                visible_to_user,
            },
            link: someone.and_then(|someone| someone.link),
        })
    }

    /// Where something was said that the app was told.
    async fn answering(
        &self,
        conn: &mut Conn,
        to: &To,
        event: EventId,
        (reply_to, visible_to_user): (Option<String>, Option<String>),
    ) -> Result<Resolved, ProblemError> {
        if to.subject.is_some() || to.channel.is_some() || to.user.is_some() || to.account_id.is_some() {
            return Err(ProblemError::invalid(
                "to",
                "names an event and something else; the event says where the answer belongs",
            ));
        }
        let turn = store::turn(conn, event)
            .await
            .map_err(store_problem)?
            .ok_or_else(|| {
                ProblemError::invalid(
                    "to.event",
                    "is no event of the bot that can be answered; after seven days none can",
                )
            })?;
        // Of the same account only: the subject may have been linked to another since.
        let subject = turn.subject.and_then(|subject| subject.parse::<Subject>().ok());
        let link = match subject {
            Some(subject) => {
                let linked = self
                    .inner
                    .links
                    .by_subject(conn, &subject)
                    .await
                    .map_err(store_problem)?;
                linked
                    .filter(|linked| linked.account == turn.account)
                    .map(|linked| (linked.link_id, subject))
            }
            None => None,
        };
        Ok(Resolved {
            account: turn.account,
            recipient: Recipient {
                to_jid: turn.to_jid,
                user_jid: turn.user_jid,
                reply_to: reply_to.or(turn.reply_to),
                visible_to_user,
            },
            link,
        })
    }

    async fn linked(
        &self,
        conn: &mut Conn,
        field: &'static str,
        subject: &Subject,
        account: Option<&str>,
    ) -> Result<Someone, ProblemError> {
        let linked = self
            .inner
            .links
            .by_subject(conn, subject)
            .await
            .map_err(store_problem)?
            .ok_or_else(|| ProblemError::invalid(field, "has no live link in this region"))?;
        if account.is_some_and(|account| account != linked.account.as_str()) {
            return Err(ProblemError::invalid(
                "to.account_id",
                "is not the account of the subject's link",
            ));
        }
        let user = linked.user.ok_or_else(|| {
            ProblemError::invalid(
                field,
                "is linked to a whole Zoom account; name a user or a channel of it",
            )
        })?;
        Ok(Someone {
            account: linked.account,
            user,
            link: Some((linked.link_id, subject.clone())),
        })
    }

    async fn account_of(&self, conn: &mut Conn, named: Option<&str>) -> Result<ZoomAccountId, ProblemError> {
        if let Some(account) = named {
            return Ok(ZoomAccountId::new(account));
        }
        let sole = self.inner.links.sole_account(conn).await.map_err(store_problem)?;
        sole.ok_or_else(|| {
            ProblemError::invalid(
                "to.account_id",
                "is missing, and the region's links name no single account",
            )
        })
    }

    /// The Zoom user to whom a link is shown.
    pub(crate) async fn unfurling_user(
        &self,
        conn: &mut Conn,
        subject: Option<&Subject>,
        user: Option<&str>,
    ) -> Result<ZoomUserId, ProblemError> {
        match (subject, user) {
            (Some(subject), None) => Ok(self.linked(conn, "subject", subject, None).await?.user),
            (None, Some(user)) => {
                check_id("user_id", Some(user))?;
                Ok(ZoomUserId::new(user))
            }
            _ => Err(ProblemError::invalid(
                "user_id",
                "or subject, one of them, names the Zoom user",
            )),
        }
    }
}

pub(crate) fn store_problem(error: domicile_store::StoreError) -> ProblemError {
    if error.fate().is_retry() {
        ProblemError::new(Problem::Unavailable).cause(error)
    } else {
        ProblemError::internal(error)
    }
}

fn check_ids(to: &To) -> Result<(), ProblemError> {
    check_id("to.channel", to.channel.as_deref())?;
    check_id("to.user", to.user.as_deref())?;
    check_id("to.account_id", to.account_id.as_deref())
}

/// An id of Zoom's is opaque, but it is no text either.
pub(crate) fn check_id(field: &'static str, id: Option<&str>) -> Result<(), ProblemError> {
    let Some(id) = id else {
        return Ok(());
    };
    if id.is_empty() {
        return Err(ProblemError::invalid(field, "is empty"));
    }
    if id.len() > MAX_ID_BYTES {
        return Err(ProblemError::invalid(
            field,
            format!("is longer than {MAX_ID_BYTES} bytes"),
        ));
    }
    if id.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(ProblemError::invalid(
            field,
            "holds white space or control characters",
        ));
    }
    Ok(())
}

/// A channel's address, or its id, to which the host is added.
fn channel_jid(channel: &str) -> Result<String, ProblemError> {
    if channel.contains('@') {
        if channel.strip_suffix(CHANNEL_HOST).is_none_or(str::is_empty) {
            return Err(ProblemError::invalid(
                "to.channel",
                format!(
                    "is not the address of a channel; expected an id, or one that ends with {CHANNEL_HOST}"
                ),
            ));
        }
        Ok(channel.to_owned())
    } else {
        Ok(format!("{}{CHANNEL_HOST}", channel.to_ascii_lowercase()))
    }
}
