//! Users, and the clock.

use crate::control::ControlError;
use crate::model::user::{NewUser, User, UserStatus};
use crate::random;
use crate::sim::Sim;
use crate::state::State;
use crate::webhook::payload::Occasion;
use crate::webhook::publish::{Audience, Manner};

impl Sim {
    /// Makes a user.
    pub fn create_user(&self, new: NewUser) -> Result<User, ControlError> {
        let rng = self.rng();
        let id = new.id.unwrap_or_else(|| random::short_id(rng));
        let first_name = new.first_name.unwrap_or_else(|| "Ada".to_owned());
        let last_name = new.last_name.unwrap_or_else(|| "Example".to_owned());
        if new
            .api_url
            .as_deref()
            .is_some_and(|url| url::Url::parse(url).is_err())
        {
            return Err(ControlError::Invalid("api_url is not a URL".to_owned()));
        }
        let email = new.email.unwrap_or_else(|| {
            let name = format!("{first_name}.{last_name}.{}", &random::hex_text::<3>(rng)).to_lowercase();
            format!("{}@example.com", name.replace(' ', "-"))
        });
        let user = User {
            id: id.clone(),
            account_id: new.account_id.unwrap_or_else(|| random::short_id(rng)),
            email,
            first_name,
            last_name,
            role: new.role,
            api_url: new.api_url,
            cluster: new.cluster.unwrap_or_else(|| "us04".to_owned()),
            timezone: new.timezone.unwrap_or_else(|| "Europe/Berlin".to_owned()),
            status: UserStatus::Active,
            created_at: self.now(),
        };
        self.update(|state| {
            if state.users.contains_key(&id) {
                return Err(ControlError::Taken("the user's id"));
            }
            state.users.insert(id, user.clone());
            Ok(user)
        })
    }

    /// All users.
    pub fn users(&self) -> Vec<User> {
        self.read(|state| state.users.values().cloned().collect())
    }

    /// One user.
    pub fn user(&self, id: &str) -> Result<User, ControlError> {
        self.read(|state| state.users.get(id).cloned())
            .ok_or(ControlError::UnknownUser)
    }

    /// Deactivates or deletes a user: her tokens stop working (code 4735), and `user.deactivated` or `user.deleted`
    /// is sent to whoever subscribed.
    pub async fn set_user_status(
        &self,
        id: &str,
        status: UserStatus,
    ) -> Result<Vec<crate::WebhookDelivery>, ControlError> {
        self.update(|state| {
            state
                .users
                .get_mut(id)
                .map(|user| user.status = status)
                .ok_or(ControlError::UnknownUser)
        })?;
        let event = match status {
            UserStatus::Active => return Ok(Vec::new()),
            UserStatus::Inactive => "user.deactivated",
            UserStatus::Deleted => "user.deleted",
        };
        let occasion = Occasion::User {
            event: event.to_owned(),
            user_id: id.to_owned(),
        };
        Ok(self
            .publish(
                occasion,
                Manner {
                    audience: Audience::Installed,
                    ..Manner::default()
                },
            )
            .await)
    }

    /// Forgets everything: apps, people, meetings, tokens, log and faults; the clock goes back to its base.
    pub fn reset(&self) {
        self.0.clock.reset();
        let fresh = State::new(self.rng());
        self.update(|state| *state = fresh);
    }

    /// The simulator's time.
    pub fn time(&self) -> domicile_kernel::Timestamp {
        self.now()
    }
}
