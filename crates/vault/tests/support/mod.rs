//! What the tests share.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domicile_kernel::random::random_bytes;
use domicile_kernel::{KeyId, Rng, Secret, ZoomAccountId};
use domicile_store::{Conn, Db};
use domicile_testkit::clock::{SeededRng, TestClock, ids};
use domicile_testkit::db::TestDb;
use domicile_vault::{
    DataKeyBytes, KeyError, KeyProvider, KeyScope, Place, RegionKeys, RequestSigner, Vault, VaultError,
};
use http::Request;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequest;
use tokio::sync::Semaphore;
use uuid::Uuid;

pub const ROW: Uuid = Uuid::from_u128(7);

pub fn place() -> Place {
    Place::new("recordings", "topic_sealed", ROW)
}

pub fn account(name: impl std::fmt::Display) -> KeyScope {
    KeyScope::Account(ZoomAccountId::new(format!("{name}")))
}

/// A local key of 32 equal bytes, as the setting has it.
pub fn entry(id: &str, byte: u8) -> String {
    format!("{id}:{}", STANDARD.encode([byte; 32]))
}

pub fn region_keys(entries: &[(&str, u8)]) -> RegionKeys {
    let text: Vec<_> = entries.iter().map(|(id, byte)| entry(id, *byte)).collect();
    RegionKeys::parse(&Secret::new(text.join(","))).ok().unwrap()
}

/// A vault of local keys, with a clock that stands still.
pub fn vault(db: &TestDb, seed: u64, keys: &[(&str, u8)]) -> Vault {
    vault_with(db.db(), &TestClock::new(), seed, region_keys(keys))
}

pub fn vault_with(db: Db, clock: &TestClock, seed: u64, keys: RegionKeys) -> Vault {
    Vault::new(db, ids(clock, &SeededRng::new(seed)), keys)
}

/// A ring of fake keys.
pub fn ring(keys: &[&Arc<FakeKey>]) -> RegionKeys {
    let keys = keys.iter().map(|key| Arc::clone(key) as Arc<dyn KeyProvider>);
    RegionKeys::new(keys.collect()).ok().unwrap()
}

pub async fn destroy(vault: &Vault, db: &TestDb, name: &str) -> Option<KeyId> {
    db.db()
        .run_tx("erase", async |conn: &mut Conn| {
            vault.destroy(conn, &ZoomAccountId::new(name)).await
        })
        .await
        .unwrap()
}

/// What a fake key answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Works,
    /// It wraps and does not unwrap.
    OnlyWraps,
    Disabled,
    Unreachable,
}

/// A region key at a service that the test commands.
pub struct FakeKey {
    id: String,
    wrapped: Mutex<HashMap<Vec<u8>, (KeyId, DataKeyBytes)>>,
    mood: Mutex<Mood>,
    /// One permit for each call.
    pub gate: Semaphore,
    pub wraps: AtomicUsize,
    pub unwraps: AtomicUsize,
}

impl FakeKey {
    pub fn new(id: &str) -> Arc<Self> {
        Arc::new(Self {
            id: id.to_owned(),
            wrapped: Mutex::default(),
            mood: Mutex::new(Mood::Works),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            wraps: AtomicUsize::new(0),
            unwraps: AtomicUsize::new(0),
        })
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Answers nothing until permits are added to the gate.
    pub fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub fn unwraps(&self) -> usize {
        self.unwraps.load(Ordering::Relaxed)
    }

    async fn answer(&self, unwrapping: bool) -> Result<(), KeyError> {
        self.gate.acquire().await.unwrap().forget();
        let mood = *self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        match mood {
            Mood::Works => Ok(()),
            Mood::OnlyWraps if !unwrapping => Ok(()),
            Mood::OnlyWraps => Err(KeyError::Denied {
                code: "AccessDeniedException".to_owned(),
            }),
            Mood::Disabled => Err(KeyError::Disabled {
                code: "DisabledException".to_owned(),
            }),
            Mood::Unreachable => Err(KeyError::Unreachable("no route".into())),
        }
    }
}

#[async_trait]
impl KeyProvider for FakeKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn wrap(&self, rng: &dyn Rng, id: KeyId, data_key: &DataKeyBytes) -> Result<Vec<u8>, KeyError> {
        self.wraps.fetch_add(1, Ordering::Relaxed);
        let handle = random_bytes::<16>(rng).to_vec();
        self.answer(false).await?;
        let mut wrapped = self.wrapped.lock().unwrap_or_else(PoisonError::into_inner);
        wrapped.insert(handle.clone(), (id, data_key.clone()));
        Ok(handle)
    }

    async fn unwrap(&self, id: KeyId, wrapped: &[u8]) -> Result<DataKeyBytes, KeyError> {
        self.unwraps.fetch_add(1, Ordering::Relaxed);
        self.answer(true).await?;
        match self
            .wrapped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(wrapped)
        {
            Some((known, data_key)) if *known == id => Ok(data_key.clone()),
            _ => Err(KeyError::Wrong),
        }
    }
}

pub fn class<T>(outcome: Result<T, VaultError>) -> &'static str {
    outcome.map_or_else(|error| error.class(), |_| "ok")
}

/// Signs as the roof's plug does, with credentials of its own.
pub struct Signer(AwsCredential);

impl Signer {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AwsCredential {
            key_id: "secret-id".to_owned(),
            secret_key: "secret-key".to_owned(),
            token: Some("secret-token".to_owned()),
        }))
    }
}

#[async_trait]
impl RequestSigner for Signer {
    async fn sign(
        &self,
        service: &str,
        region: &str,
        request: Request<Bytes>,
    ) -> Result<Request<Bytes>, Box<dyn Error + Send + Sync>> {
        let (head, body) = request.into_parts();
        let mut request = HttpRequest::from_parts(head, body.clone().into());
        AwsAuthorizer::new(&self.0, service, region).try_authorize(&mut request, None)?;
        Ok(Request::from_parts(request.into_parts().0, body))
    }
}
