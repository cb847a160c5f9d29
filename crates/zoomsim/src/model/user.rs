//! Zoom users.

use domicile_kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// What a user may do in her account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The account's owner: may authorise admin-managed apps.
    #[default]
    Owner,
    /// An administrator: may authorise admin-managed apps.
    Admin,
    /// Anybody else.
    Member,
}

impl Role {
    /// True for those who may authorise admin-managed apps.
    pub fn is_admin(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
    }
}

/// Whether a user still exists for Zoom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// In use.
    Active,
    /// Deactivated: tokens stop working.
    Inactive,
    /// Deleted or removed from the account: code 4735.
    Deleted,
}

/// A Zoom user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    /// Zoom's user id, 22 characters.
    pub id: String,
    /// Zoom's account id, 22 characters.
    pub account_id: String,
    /// E-mail address.
    pub email: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Role in the account.
    pub role: Role,
    /// The `api_url` of her home cluster in token answers; absent: the simulator's own base URL.
    pub api_url: Option<String>,
    /// `cluster` of `/users/me`, such as `eu01`.
    pub cluster: String,
    /// IANA time zone.
    pub timezone: String,
    /// Whether she still exists.
    pub status: UserStatus,
    /// When she was made.
    pub created_at: Timestamp,
}

impl User {
    /// First and last name.
    pub fn display_name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }
}

/// A new user. Everything has a default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewUser {
    /// Made up if absent.
    pub id: Option<String>,
    /// A new account if absent.
    pub account_id: Option<String>,
    /// Made of the names if absent.
    pub email: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Role in the account.
    pub role: Role,
    /// `api_url` in her token answers; absent: the simulator's own base URL.
    pub api_url: Option<String>,
    /// `cluster` of `/users/me`; `us04` if absent.
    pub cluster: Option<String>,
    /// IANA time zone; `Europe/Berlin` if absent.
    pub timezone: Option<String>,
}
