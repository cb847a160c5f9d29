//! What the roof chooses.

use domicile_kernel::RegionId;
use url::Url;

use crate::secrets::EventSecrets;

/// Who tells, and whom.
pub struct DeliverySettings {
    /// The region's id, which each event names.
    pub region: RegionId,
    /// Where events are posted; nothing: the app reads them with `GET /v1/events`.
    pub destination: Option<Destination>,
}

/// The app's own endpoint for events.
pub struct Destination {
    /// `DOMICILE_APP_EVENTS_URL`. The fence must allow it.
    pub url: Url,
    /// `DOMICILE_APP_EVENTS_SECRETS`.
    pub secrets: EventSecrets,
}
