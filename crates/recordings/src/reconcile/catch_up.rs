//! Recordings that Zoom has and nobody knows here: their events were taken in after the moment to which the database was
//! restored, and Zoom does not send them again.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use domicile_kernel::{LinkId, Timestamp};
use domicile_store::Conn;
use domicile_vault::KeyScope;
use domicile_zoom::api::{RecordingsQuery, UserRef};
use domicile_zoom::recording::MeetingRecording;

use super::{Act, BATCH, Discrepancy, ReconcileOptions, Reconciled, Reconciler, Reconciliation};
use crate::error::RecordingsError;
use crate::jobs::merge::Incoming;
use crate::plan;
use crate::store::{self, reconcile::LivingLink};

/// Zoom takes a month at most.
const SPAN: Days = Days::new(28);

impl Reconciler {
    pub(super) async fn catch_up(
        &self,
        options: &ReconcileOptions,
        since: Timestamp,
        report: &mut Reconciliation,
    ) -> Result<(), RecordingsError> {
        let mut after: Option<LinkId> = None;
        loop {
            let links = {
                let mut conn = self.shared.db.conn().await?;
                store::reconcile::living_links(&mut conn, after, BATCH).await?
            };
            let Some(last) = links.last() else {
                return Ok(());
            };
            after = Some(last.id);
            for link in links {
                // Whose account is linked as a whole has no list of recordings of its own.
                if link.zoom_user_id.is_none() {
                    let found = Reconciled::new(Discrepancy::UnreadableLink, Act::Keep).link(link.id);
                    report.found.push(
                        found.because("the link is to a whole account, whose recordings are not listed"),
                    );
                    continue;
                }
                report.links += 1;
                match self.listed(&link, since).await {
                    Ok(meetings) => self.take_over(options, &link, meetings, report).await?,
                    Err(error @ (RecordingsError::Store(_) | RecordingsError::Vault(_))) => {
                        return Err(error);
                    }
                    Err(_) => {
                        let found = Reconciled::new(Discrepancy::UnreadableLink, Act::Keep).link(link.id);
                        report.found.push(found.because(
                            "Zoom did not list its recordings; if its grant is from before the restore, it needs a new authorization",
                        ));
                    }
                }
            }
        }
    }

    /// The recordings of a link's user since then.
    async fn listed(
        &self,
        link: &LivingLink,
        since: Timestamp,
    ) -> Result<Vec<MeetingRecording>, RecordingsError> {
        let shared = &self.shared;
        let (token, base) = shared
            .tokens
            .access_token(link.id)
            .await
            .map_err(RecordingsError::Port)?;
        let mut meetings = Vec::new();
        // Zoom compares days with the start of the meeting, which may lie a day before the recording.
        let mut from = since.date_naive().pred_opt().unwrap_or(NaiveDate::MIN);
        let today = shared.now().date_naive();
        while from <= today {
            let to = from.checked_add_days(SPAN).unwrap_or(today).min(today);
            let mut query = RecordingsQuery {
                from,
                to,
                next_page_token: None,
            };
            loop {
                let page = shared
                    .api
                    .list_user_recordings(&base, &token, &UserRef::Me, &query)
                    .await
                    .map_err(RecordingsError::Api)?;
                meetings.extend(page.recordings);
                match page.next_page_token {
                    Some(next) => query.next_page_token = Some(next),
                    None => break,
                }
            }
            from = to.succ_opt().unwrap_or(NaiveDate::MAX);
        }
        Ok(meetings)
    }

    async fn take_over(
        &self,
        options: &ReconcileOptions,
        link: &LivingLink,
        meetings: Vec<MeetingRecording>,
        report: &mut Reconciliation,
    ) -> Result<(), RecordingsError> {
        let shared = &self.shared;
        for meeting in meetings {
            // Without a token of the event's the API gives one when the file is fetched.
            let files = plan::files_of(&meeting, None, None);
            let known: BTreeSet<_> = {
                let mut conn = shared.db.conn().await?;
                let known = store::reconcile::known_files(&mut conn, link.id, &meeting.uuid).await?;
                known.into_iter().collect()
            };
            let new: std::collections::BTreeMap<_, _> = files
                .into_iter()
                .filter(|(id, _)| !known.contains(id.as_str()))
                .collect();
            if new.is_empty() {
                continue;
            }
            if options.apply {
                let key = shared
                    .vault
                    .key(&KeyScope::Account(link.zoom_account_id.clone()))
                    .await?;
                let incoming = Incoming {
                    link_id: link.id,
                    meeting: &meeting,
                    files: &new,
                    key: &key,
                    traceparent: None,
                };
                shared
                    .db
                    .run_tx("take_over_recording", async |conn: &mut Conn| {
                        shared.merge_into(conn, &incoming).await
                    })
                    .await?;
            }
            let found = Reconciled::new(Discrepancy::UnknownRecording, Act::TakeOver);
            report.found.push(found.link(link.id));
        }
        Ok(())
    }
}
