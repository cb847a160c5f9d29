//! Whose database this is: a mark that the first start leaves, and every later one looks at (INV-1).

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use domicile_kernel::{RegionId, Timestamp};
use thiserror::Error;

use crate::db::{Conn, Db, establish};
use crate::error::StoreError;
use crate::schema::region_mark as t;
use crate::settings::DbSettings;

/// Why a process does not work with this database.
#[derive(Debug, Error)]
pub enum RegionMarkError {
    /// It belongs to another region.
    #[error(
        "the database carries the mark of the region {theirs}, but this process is of the region {ours}: \
         DOMICILE_DATABASE_URL must lead to {ours}'s own database, or DOMICILE_REGION_ID is wrong; a mark is never changed"
    )]
    Foreign {
        /// Whose process this is.
        ours: RegionId,
        /// Whose database it is, as the mark spells it.
        theirs: String,
    },
    /// It could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Db {
    /// Looks at the database's mark. True: it is this region's; false: there is none yet.
    pub async fn region_mark(&self, region: &RegionId) -> Result<bool, RegionMarkError> {
        looked_at(region, read(&mut *self.conn().await?).await?)
    }

    /// Marks the database as this region's. Of two regions that start on one unmarked database, one is refused.
    pub async fn mark_region(&self, region: &RegionId, now: Timestamp) -> Result<(), RegionMarkError> {
        let mut conn = self.conn().await?;
        diesel::insert_into(t::table)
            .values((
                t::singleton.eq(true),
                t::region_id.eq(region.as_str()),
                t::marked_at.eq(now),
            ))
            .on_conflict_do_nothing()
            .execute(&mut *conn)
            .await
            .map_err(StoreError::from)?;
        looked_at(region, read(&mut conn).await?).map(drop)
    }
}

/// Refuses a database that another region marked, before anything in it is migrated. One without tables is nobody's.
pub async fn check_region_before_migrating(
    settings: &DbSettings,
    region: &RegionId,
) -> Result<(), RegionMarkError> {
    let mut conn = establish(settings).await?;
    let exists: bool = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(
        "to_regclass('region_mark') IS NOT NULL",
    ))
    .get_result(&mut conn)
    .await
    .map_err(StoreError::from)?;
    if exists {
        looked_at(region, read(&mut conn).await?)?;
    }
    Ok(())
}

async fn read(conn: &mut Conn) -> Result<Option<String>, StoreError> {
    Ok(t::table.select(t::region_id).first(conn).await.optional()?)
}

fn looked_at(region: &RegionId, mark: Option<String>) -> Result<bool, RegionMarkError> {
    match mark {
        None => Ok(false),
        Some(mark) if mark == region.as_str() => Ok(true),
        Some(theirs) => Err(RegionMarkError::Foreign {
            ours: region.clone(),
            theirs,
        }),
    }
}
