//! Zoom's own ids: opaque text, equal only byte for byte (INV-7).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! zoom_ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the id as Zoom wrote it.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as Zoom wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.0)
            }
        }
    )+};
}

zoom_ids! {
    /// A Zoom account (`account_id`).
    ZoomAccountId
    /// A Zoom user (`user_id`; a meeting's `host_id`).
    ZoomUserId
    /// One instance of a meeting (`uuid`): base64 of 16 bytes, so it may hold `/`, `+` and `=`.
    MeetingUuid
    /// One file of a recording (`recording_files[].id`), or the name that stands for it where Zoom gave none.
    ZoomFileId
}
