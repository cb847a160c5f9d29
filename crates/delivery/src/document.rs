//! An event as the app reads it, delivered or listed.

use domicile_kernel::{EventId, RegionId, Secret, Subject, Timestamp};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::DeliveryError;
use crate::store::StoredEvent;

/// The order of the members and the untouched data make the bytes of one event the same each time.
#[derive(Serialize)]
struct Document<'a> {
    id: EventId,
    #[serde(rename = "type")]
    event_type: &'a str,
    version: i16,
    region: &'a RegionId,
    occurred_at: Timestamp,
    subject: Option<&'a Subject>,
    data: &'a RawValue,
}

/// The JSON of an event with its opened data.
pub(crate) fn document(
    event: &StoredEvent,
    region: &RegionId,
    data: &Secret<Vec<u8>>,
) -> Result<Box<RawValue>, DeliveryError> {
    let malformed = |_| DeliveryError::Malformed(event.id);
    to_raw_value(&Document {
        id: event.id,
        event_type: &event.event_type,
        version: event.version,
        region,
        occurred_at: event.occurred_at,
        subject: event.subject.as_ref(),
        data: serde_json::from_slice(data.expose()).map_err(malformed)?,
    })
    .map_err(malformed)
}
