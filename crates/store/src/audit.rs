//! The audit: who did what to links, when, and what came of it. Entries are written in the transaction that did it and never
//! changed. They hold ids alone: no name, no address, no secret.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::state::TextState;
use domicile_kernel::{
    AuditId, ConnectSessionId, Ids, LinkId, Subject, Timestamp, ZoomAccountId, ZoomUserId,
};
use uuid::Uuid;

use crate::db::Conn;
use crate::error::{StoreError, one_row, parse_state};
use crate::schema::audit_entries as t;

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The app's backend, by the name of its API key.
    App(String),
    /// Whoever sat before a browser; nobody has proved who.
    Browser,
    /// Somebody with the operators' commands.
    Operator,
    /// The service by itself: a job, a rule.
    Service,
    /// Zoom, by a signed event or an answer.
    Zoom,
}

impl Actor {
    /// How the row spells it: `app:<name>`, `browser`, ...
    pub fn as_text(&self) -> String {
        match self {
            Self::App(name) => format!("app:{name}"),
            Self::Browser => "browser".to_owned(),
            Self::Operator => "operator".to_owned(),
            Self::Service => "service".to_owned(),
            Self::Zoom => "zoom".to_owned(),
        }
    }
}

/// Whether it came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was tried and refused; the reason says why.
    Refused,
}

impl TextState for Outcome {
    const ALL: &'static [Self] = &[Self::Done, Self::Refused];

    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// What was done or tried, and to whom.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    actor: Actor,
    action: &'static str,
    outcome: Outcome,
    reason: Option<&'static str>,
    subject: Option<Subject>,
    connect_session_id: Option<ConnectSessionId>,
    link_id: Option<LinkId>,
    zoom_account_id: Option<ZoomAccountId>,
    zoom_user_id: Option<ZoomUserId>,
}

impl AuditEntry {
    /// Something that was done, such as `link.activate`.
    pub fn done(actor: Actor, action: &'static str) -> Self {
        Self {
            actor,
            action,
            outcome: Outcome::Done,
            reason: None,
            subject: None,
            connect_session_id: None,
            link_id: None,
            zoom_account_id: None,
            zoom_user_id: None,
        }
    }

    /// Something that was tried and refused for this reason.
    pub fn refused(actor: Actor, action: &'static str, reason: &'static str) -> Self {
        Self {
            outcome: Outcome::Refused,
            reason: Some(reason),
            ..Self::done(actor, action)
        }
    }

    /// Why it was done, where there is more than one cause.
    #[must_use]
    pub fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Whom of the app's it is about.
    #[must_use]
    pub fn subject(mut self, subject: &Subject) -> Self {
        self.subject = Some(subject.clone());
        self
    }

    /// The connect session that it is about.
    #[must_use]
    pub fn connect_session(mut self, id: ConnectSessionId) -> Self {
        self.connect_session_id = Some(id);
        self
    }

    /// The link that it is about.
    #[must_use]
    pub fn link(mut self, id: LinkId) -> Self {
        self.link_id = Some(id);
        self
    }

    /// The Zoom account and, if it is about one, the user that it is about.
    #[must_use]
    pub fn zoom(mut self, account: &ZoomAccountId, user: Option<&ZoomUserId>) -> Self {
        self.zoom_account_id = Some(account.clone());
        self.zoom_user_id = user.cloned();
        self
    }

    /// Writes the entry as part of the caller's transaction.
    pub async fn write(&self, conn: &mut Conn, ids: &Ids) -> Result<(), StoreError> {
        let id: AuditId = ids.make();
        let rows = diesel::insert_into(t::table)
            .values((
                t::id.eq(id.as_uuid()),
                t::occurred_at.eq(ids.clock().now()),
                t::actor.eq(self.actor.as_text()),
                t::action.eq(self.action),
                t::outcome.eq(self.outcome.as_str()),
                t::reason.eq(self.reason),
                t::subject.eq(self.subject.as_ref().map(Subject::as_str)),
                t::connect_session_id.eq(self.connect_session_id.map(|id| id.as_uuid())),
                t::link_id.eq(self.link_id.map(|id| id.as_uuid())),
                t::zoom_account_id.eq(self.zoom_account_id.as_ref().map(ZoomAccountId::as_str)),
                t::zoom_user_id.eq(self.zoom_user_id.as_ref().map(ZoomUserId::as_str)),
            ))
            .execute(conn)
            .await?;
        one_row("write an audit entry", rows)
    }
}

/// An entry as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenEntry {
    /// Its id.
    pub id: AuditId,
    /// The order of writing.
    pub sequence: i64,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Who did it, as [`Actor::as_text`] spells it.
    pub actor: String,
    /// What was done or tried.
    pub action: String,
    /// Whether it came about.
    pub outcome: Outcome,
    /// Why.
    pub reason: Option<String>,
    /// Whom of the app's it is about.
    pub subject: Option<String>,
    /// The connect session that it is about.
    pub connect_session_id: Option<ConnectSessionId>,
    /// The link that it is about.
    pub link_id: Option<LinkId>,
    /// The Zoom account that it is about.
    pub zoom_account_id: Option<String>,
    /// The Zoom user that it is about.
    pub zoom_user_id: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = t, check_for_backend(diesel::pg::Pg))]
struct Row {
    id: Uuid,
    sequence: i64,
    occurred_at: Timestamp,
    actor: String,
    action: String,
    outcome: String,
    reason: Option<String>,
    subject: Option<String>,
    connect_session_id: Option<Uuid>,
    link_id: Option<Uuid>,
    zoom_account_id: Option<String>,
    zoom_user_id: Option<String>,
}

impl TryFrom<Row> for WrittenEntry {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            sequence: row.sequence,
            occurred_at: row.occurred_at,
            actor: row.actor,
            action: row.action,
            outcome: parse_state("audit_entries.outcome", &row.outcome)?,
            reason: row.reason,
            subject: row.subject,
            connect_session_id: row.connect_session_id.map(Into::into),
            link_id: row.link_id.map(Into::into),
            zoom_account_id: row.zoom_account_id,
            zoom_user_id: row.zoom_user_id,
        })
    }
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only entries about this subject.
    pub subject: Option<Subject>,
    /// Only entries about this link.
    pub link_id: Option<LinkId>,
    /// Only entries written before this sequence: where the page before ended.
    pub before: Option<i64>,
}

/// Lists entries, newest first.
pub async fn list(conn: &mut Conn, query: &AuditQuery, limit: i64) -> Result<Vec<WrittenEntry>, StoreError> {
    let mut rows = t::table
        .select(Row::as_select())
        .order(t::sequence.desc())
        .limit(limit)
        .into_boxed();
    if let Some(subject) = &query.subject {
        rows = rows.filter(t::subject.eq(subject.as_str()));
    }
    if let Some(link) = query.link_id {
        rows = rows.filter(t::link_id.eq(link.as_uuid()));
    }
    if let Some(before) = query.before {
        rows = rows.filter(t::sequence.lt(before));
    }
    let rows: Vec<Row> = rows.load(conn).await?;
    rows.into_iter().map(WrittenEntry::try_from).collect()
}
