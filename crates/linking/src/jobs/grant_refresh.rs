//! The schedule of token rotation. The lease on the grant's row, not this job, makes one refresher of each grant.

use std::time::Duration;

use async_trait::async_trait;
use domicile_kernel::state::LinkStatus;
use domicile_kernel::{Fate, LinkId, Timestamp};
use domicile_leases::{Finished, Handler, JobError, JobKind, Lease, LeaseError, Policy};
use domicile_store::Conn;
use domicile_zoom::oauth::OAuthError;

use super::GRANT_REFRESH;
use crate::error::LinkingError;
use crate::grants::refresh::{Cause, Refreshed, error_class};
use crate::grants::schedule;
use crate::linking::Linking;
use crate::store;

pub(crate) struct GrantRefresh {
    linking: Linking,
}

/// When the job runs next.
enum Next {
    At(Timestamp),
    Never,
}

impl GrantRefresh {
    pub(crate) fn new(linking: Linking) -> Self {
        Self { linking }
    }

    async fn refresh(&self, id: LinkId) -> Result<Next, LinkingError> {
        let parts = &self.linking.parts;
        let (link, grant) = {
            let mut conn = parts.db.conn().await?;
            let link = store::links::by_id(&mut conn, id).await?;
            (link, store::grants::get(&mut conn, id).await?)
        };
        let (Some(link), Some(grant)) = (link, grant) else {
            return Ok(Next::Never);
        };
        if link.status != LinkStatus::Active {
            return Ok(Next::Never);
        }
        let (now, rng) = (self.linking.now(), parts.ids.rng().as_ref());
        if !grant.is_due(now) {
            return Ok(Next::At(grant.times().next(rng)));
        }
        match self.linking.refresh(&link, &grant, Cause::Schedule).await {
            Ok(Refreshed::Renewed(renewed)) => Ok(Next::At(renewed.times().next(rng))),
            Ok(Refreshed::Ended(_)) | Err(LinkingError::LinkRevoked) => Ok(Next::Never),
            Ok(Refreshed::Overtaken) => Ok(Next::At(now)),
            Ok(Refreshed::Held { until }) => Ok(Next::At(until)),
            Ok(Refreshed::NotBefore(at)) => Ok(Next::At(at)),
            Err(error) => Err(error),
        }
    }

    async fn finish(&self, lease: &Lease, next: Next) -> Result<Finished, JobError> {
        let now = self.linking.now();
        Ok(self
            .linking
            .parts
            .db
            .run_tx(
                "finish_refresh",
                async |conn: &mut Conn| -> Result<Finished, LeaseError> {
                    match next {
                        Next::At(at) => lease.finish_and_requeue(conn, now, at).await,
                        Next::Never => lease.finish(conn, now).await,
                    }
                },
            )
            .await?)
    }
}

/// The failure of an attempt. All of them are tried again: what people mend later must not cost a grant.
fn job_error(error: LinkingError) -> JobError {
    let of_zoom = match &error {
        LinkingError::TokenUnavailable { source, .. } => source.downcast_ref::<OAuthError>(),
        _ => None,
    };
    let class = of_zoom.map_or_else(|| error.class(), error_class);
    let after = match error.fate() {
        Fate::Retry { after } => after,
        Fate::Final => None,
    };
    JobError::new(class, Fate::Retry { after }, error)
}

#[async_trait]
impl Handler for GrantRefresh {
    fn kind(&self) -> JobKind {
        GRANT_REFRESH
    }

    fn policy(&self) -> Policy {
        Policy {
            concurrency: 8,
            lane_concurrency: None,
            lease: Duration::from_secs(60),
            timeout: Duration::from_secs(50),
            backoff: schedule::BACKOFF,
            // However long Zoom fails, a grant is not given up.
            max_attempts: u32::MAX,
        }
    }

    async fn run(&self, lease: &Lease) -> Result<Finished, JobError> {
        let id = lease
            .key()
            .parse::<LinkId>()
            .map_err(|error| JobError::fail("bad_key", error))?;
        let next = self.refresh(id).await.map_err(job_error)?;
        self.finish(lease, next).await
    }
}
