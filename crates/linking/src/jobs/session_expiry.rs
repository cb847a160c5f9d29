//! Sessions that nobody finished lose their secrets.

use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use domicile_kernel::ConnectSessionId;
use domicile_kernel::state::{ConnectSessionStatus, RefusalReason};
use domicile_leases::{Backoff, Finished, Handler, JobError, JobKind, Lease, Policy};
use domicile_store::Conn;
use domicile_store::audit::Actor;

use super::SESSION_EXPIRY;
use crate::error::LinkingError;
use crate::linking::Linking;
use crate::store::sessions::{self, Handle};

/// How long after its end a session that is being confirmed may still complete.
const CONFIRMING_GRACE: TimeDelta = TimeDelta::minutes(2);

pub(crate) struct SessionExpiry {
    linking: Linking,
}

impl SessionExpiry {
    pub(crate) fn new(linking: Linking) -> Self {
        Self { linking }
    }

    async fn expire(&self, lease: &Lease, id: ConnectSessionId) -> Result<Finished, LinkingError> {
        let with = self.linking.refusing(Actor::Service).await?;
        let now = with.now;
        self.linking
            .parts
            .db
            .run_tx(
                "expire_connect_session",
                async |conn: &mut Conn| -> Result<Finished, LinkingError> {
                    if let Some(session) = sessions::lock(conn, Handle::Id(id)).await? {
                        let reason = match session.status {
                            ConnectSessionStatus::Completed | ConnectSessionStatus::Refused => None,
                            ConnectSessionStatus::Confirming
                                if now < session.expires_at + CONFIRMING_GRACE =>
                            {
                                let due_at = session.expires_at + CONFIRMING_GRACE;
                                return Ok(lease.finish_and_requeue(conn, now, due_at).await?);
                            }
                            // Its process died between the exchange and the link: the code is spent.
                            ConnectSessionStatus::Confirming => Some(RefusalReason::Failed),
                            _ => Some(RefusalReason::Expired),
                        };
                        if let Some(reason) = reason {
                            self.linking
                                .refuse_in(conn, &session, &reason.into(), &with)
                                .await?;
                        }
                    }
                    Ok(lease.finish(conn, now).await?)
                },
            )
            .await
    }
}

#[async_trait]
impl Handler for SessionExpiry {
    fn kind(&self) -> JobKind {
        SESSION_EXPIRY
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 2,
            lane_concurrency: None,
            lease: Duration::from_secs(30),
            timeout: Duration::from_secs(20),
            backoff: Backoff {
                first: Duration::from_secs(5),
                longest: Duration::from_secs(600),
            },
            max_attempts: 50,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        let id = lease
            .key()
            .parse::<ConnectSessionId>()
            .map_err(|error| JobError::fail("bad_key", error))?;
        self.expire(lease, id).await.map_err(LinkingError::into_job_error)
    }
}
