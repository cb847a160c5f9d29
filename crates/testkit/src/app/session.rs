//! Who is signed in: random tokens in a cookie, everything else in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::HttpRequest;
use actix_web::http::header;
use domicile_kernel::Rng;
use domicile_kernel::random::random_bytes;

/// More browsers than this do not use a demo; the oldest session gives way.
const MAX_SESSIONS: usize = 1000;

/// What the next page tells.
#[derive(Debug, Clone)]
pub(super) struct Flash {
    pub(super) good: bool,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) offer: Option<Offer>,
}

/// What the user may do about it with one button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// Connect again, in the place of the connection that exists.
    Replace,
}

/// One browser's session, as a request sees it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The cookie's value.
    token: String,
    /// The value that every form of this session carries.
    pub(super) form_token: String,
    /// Who is signed in: the index of the user.
    pub(super) user: Option<usize>,
}

struct Kept {
    session: Session,
    flash: Option<Flash>,
}

#[derive(Default)]
struct Table {
    rows: HashMap<String, Kept>,
    order: VecDeque<String>,
}

/// All sessions of this run.
pub(super) struct Sessions {
    cookie: String,
    rng: Arc<dyn Rng>,
    table: Mutex<Table>,
}

impl Sessions {
    pub(super) fn new(cookie: String, rng: Arc<dyn Rng>) -> Self {
        Self {
            cookie,
            rng,
            table: Mutex::new(Table::default()),
        }
    }

    /// The session that the request's cookie names.
    pub(super) fn of(&self, request: &HttpRequest) -> Option<Session> {
        let headers = request.headers().get_all(header::COOKIE);
        let token = headers
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(name, value)| (name == self.cookie).then_some(value))?;
        self.lock().rows.get(token).map(|kept| kept.session.clone())
    }

    /// A new session; the old one, if any, ends, so that a token known before sign-in is worth nothing after it.
    pub(super) fn begin(&self, old: Option<&Session>, user: Option<usize>) -> Session {
        let session = Session {
            token: self.random(),
            form_token: self.random(),
            user,
        };
        let mut table = self.lock();
        if let Some(old) = old {
            table.rows.remove(&old.token);
        }
        table.order.push_back(session.token.clone());
        if table.order.len() > MAX_SESSIONS
            && let Some(oldest) = table.order.pop_front()
        {
            table.rows.remove(&oldest);
        }
        let kept = Kept {
            session: session.clone(),
            flash: None,
        };
        table.rows.insert(session.token.clone(), kept);
        session
    }

    /// Leaves a message for the session's next page.
    pub(super) fn tell(&self, session: &Session, flash: Flash) {
        if let Some(kept) = self.lock().rows.get_mut(&session.token) {
            kept.flash = Some(flash);
        }
    }

    /// Takes the message that the page shows, once.
    pub(super) fn take_flash(&self, session: &Session) -> Option<Flash> {
        self.lock().rows.get_mut(&session.token)?.flash.take()
    }

    /// The `Set-Cookie` of a session. `Lax`: the way back from Zoom is a navigation that another site began.
    pub(super) fn set_cookie(&self, session: &Session) -> String {
        format!(
            "{}={}; Path=/; HttpOnly; SameSite=Lax",
            self.cookie, session.token
        )
    }

    fn random(&self) -> String {
        hex::encode(random_bytes::<32>(self.rng.as_ref()))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
