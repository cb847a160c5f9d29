//! App manifests as code (Zoom: app manifests; Marketplace API, manifest): the document that says what a Marketplace app
//! is, and the calls that read and replace it.
//!
//! Zoom's own validator is lenient, an update replaces everything, and there is no version to compare: so a manifest is
//! [rendered](render) from a region's file, [checked](lint) by rules that Zoom lacks, laid over what is there so that
//! nothing unknown is lost ([`overlay`]), [validated, put, read back and compared](apply).

mod model;

mod redact;

mod difference;

mod overlay;

mod api;

pub mod apply;

pub mod scopes;

pub mod lint;

pub mod render;

pub mod review;

pub use api::{Invalid, ManifestApi, ManifestError, Publication, SeenApp};
pub use difference::{Change, ChangeKind, differences, kept};
pub use model::{
    ChatSubscription, CommandHint, DisplayInformation, DomainEntry, EventEntry, EventSubscription,
    EventUsage, Extra, Features, Manifest, OauthInformation, ScopeEntry, SlashCommand, TrustedDomain, Usage,
    Welcome,
};
pub use overlay::overlay;
pub use redact::redacted;
