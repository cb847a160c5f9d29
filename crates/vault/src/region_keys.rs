//! The region's key-encryption keys.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domicile_egress::{HostRule, InvalidRule};
use domicile_kernel::{KeyId, Rng, Secret};
use url::Url;
use zeroize::Zeroizing;

use crate::cipher::KEY_LEN;
use crate::error::{InvalidVaultKeys, VaultError, VaultKeyFault};
use crate::kms::{self, AwsKms, KmsKey, KmsKeyArn};
use crate::local::LocalKey;
use crate::metrics::METRICS;
use crate::provider::{DataKeyBytes, KeyError, KeyProvider};

/// What stands before the ARN of a key at AWS KMS. No base64 holds a hyphen or a colon, so it is no local key.
const AWS_KMS: &str = "aws-kms:";

/// `DOMICILE_VAULT_KEYS`, read and judged: at least one entry, each with an id of its own.
pub struct RegionKeySettings {
    entries: Vec<Entry>,
}

struct Entry {
    id: String,
    material: Material,
}

enum Material {
    Local(DataKeyBytes),
    AwsKms(KmsKeyArn),
}

impl RegionKeySettings {
    /// Parses a comma list of `id:base64`, a key of 32 bytes, and `id:aws-kms:<key ARN>`, a key at AWS KMS. Every fault is
    /// listed.
    pub fn parse(text: &Secret<String>) -> Result<Self, InvalidVaultKeys> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut faults = Vec::new();
        let texts = text
            .expose()
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        for (index, text) in texts.enumerate() {
            match Entry::parse(index + 1, text) {
                Ok(entry) if entries.iter().any(|known| known.id == entry.id) => {
                    faults.push(VaultKeyFault::Twice(entry.id));
                }
                Ok(entry) => entries.push(entry),
                Err(fault) => faults.push(fault),
            }
        }
        if entries.is_empty() && faults.is_empty() {
            faults.push(VaultKeyFault::Empty);
        }
        if faults.is_empty() {
            Ok(Self { entries })
        } else {
            Err(InvalidVaultKeys(faults))
        }
    }

    /// The ids, in order; the first is the one that seals.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.id.as_str())
    }

    /// The ids, in order, each with its ARN where the key lies at AWS KMS: what may be told of the keys.
    pub fn described(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.entries.iter().map(|entry| {
            let arn = match &entry.material {
                Material::AwsKms(arn) => Some(arn.as_str()),
                Material::Local(_) => None,
            };
            (entry.id.as_str(), arn)
        })
    }

    /// The keys that lie at AWS KMS.
    pub fn kms_keys(&self) -> impl Iterator<Item = &KmsKeyArn> {
        self.entries.iter().filter_map(|entry| match &entry.material {
            Material::AwsKms(arn) => Some(arn),
            Material::Local(_) => None,
        })
    }

    /// The hosts that are called for these keys: none where all are local. `endpoint` stands for KMS's own.
    pub fn egress_rules(&self, endpoint: Option<&Url>) -> Result<Vec<HostRule>, InvalidRule> {
        kms::hosts(self.kms_keys(), endpoint)
    }

    /// The ring of these keys. Keys at KMS need the way there.
    pub fn connect(&self, kms: Option<&AwsKms>) -> Result<RegionKeys, InvalidVaultKeys> {
        let mut providers = Vec::new();
        let mut faults = Vec::new();
        for Entry { id, material } in &self.entries {
            let provider: Result<Arc<dyn KeyProvider>, VaultKeyFault> = match (material, kms) {
                (Material::Local(key), _) => match LocalKey::new(id.clone(), key) {
                    Ok(key) => Ok(Arc::new(key)),
                    Err(_) => Err(VaultKeyFault::Key(id.clone())),
                },
                (Material::AwsKms(arn), Some(kms)) => {
                    Ok(Arc::new(KmsKey::new(id.clone(), arn.clone(), kms.clone())))
                }
                (Material::AwsKms(_), None) => Err(VaultKeyFault::NoKms(id.clone())),
            };
            match provider {
                Ok(provider) => providers.push(provider),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            RegionKeys::new(providers)
        } else {
            Err(InvalidVaultKeys(faults))
        }
    }
}

impl Entry {
    fn parse(number: usize, text: &str) -> Result<Self, VaultKeyFault> {
        let (id, material) = text.split_once(':').ok_or(VaultKeyFault::Form(number))?;
        let valid = (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if !valid {
            return Err(VaultKeyFault::Id(number));
        }
        let id = id.to_owned();
        let material = match material.strip_prefix(AWS_KMS) {
            Some(arn) => match arn.parse() {
                Ok(arn) => Material::AwsKms(arn),
                Err(reason) => return Err(VaultKeyFault::Arn { id, reason }),
            },
            None => match local(material) {
                Some(key) => Material::Local(key),
                None => return Err(VaultKeyFault::Key(id)),
            },
        };
        Ok(Self { id, material })
    }
}

fn local(encoded: &str) -> Option<DataKeyBytes> {
    let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    <[u8; KEY_LEN]>::try_from(bytes.as_slice())
        .map(DataKeyBytes::new)
        .ok()
}

/// The ring of region keys, of any mixture of kinds. The first seals, all of them unwrap.
#[derive(Clone)]
pub struct RegionKeys {
    sealing: Arc<dyn KeyProvider>,
    others: Arc<[Arc<dyn KeyProvider>]>,
}

impl RegionKeys {
    /// The ring of the local keys of [`RegionKeySettings::parse`]; a key at KMS is a fault.
    pub fn parse(text: &Secret<String>) -> Result<Self, InvalidVaultKeys> {
        RegionKeySettings::parse(text)?.connect(None)
    }

    /// A ring of these keys, at least one, the first of which seals.
    pub fn new(keys: Vec<Arc<dyn KeyProvider>>) -> Result<Self, InvalidVaultKeys> {
        let mut keys = keys.into_iter();
        match keys.next() {
            Some(sealing) => Ok(Self {
                sealing,
                others: keys.collect(),
            }),
            None => Err(InvalidVaultKeys(vec![VaultKeyFault::Empty])),
        }
    }

    /// The ids, in order; the first is the one that seals.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.all().map(KeyProvider::id)
    }

    /// The key that seals.
    pub(crate) fn sealing(&self) -> &dyn KeyProvider {
        self.sealing.as_ref()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &dyn KeyProvider> {
        std::iter::once(self.sealing()).chain(self.others.iter().map(Arc::as_ref))
    }

    pub(crate) fn get(&self, id: &str) -> Option<&dyn KeyProvider> {
        self.all().find(|key| key.id() == id)
    }

    /// Wraps a data key under the key that seals, and makes sure that it can be unwrapped again: a key that may encrypt and not
    /// decrypt must never be the only one that holds a data key.
    pub(crate) async fn wrap(
        &self,
        rng: &dyn Rng,
        id: KeyId,
        data_key: &DataKeyBytes,
    ) -> Result<Vec<u8>, VaultError> {
        let sealing = self.sealing();
        let wrapped = sealing
            .wrap(rng, id, data_key)
            .await
            .map_err(|error| VaultError::of_key(sealing.id(), id, error))?;
        let again = self.unwrap(sealing.id(), id, &wrapped).await?;
        if again.expose() == data_key.expose() {
            Ok(wrapped)
        } else {
            Err(VaultError::of_key(sealing.id(), id, KeyError::Answer))
        }
    }

    /// Unwraps a data key with the region key of this id.
    pub(crate) async fn unwrap(
        &self,
        region_key: &str,
        id: KeyId,
        wrapped: &[u8],
    ) -> Result<DataKeyBytes, VaultError> {
        let outcome = match self.get(region_key) {
            Some(key) => key
                .unwrap(id, wrapped)
                .await
                .map_err(|error| VaultError::of_key(region_key, id, error)),
            None => Err(VaultError::RegionKeyMissing {
                data_key: id,
                region_key: region_key.to_owned(),
            }),
        };
        if let Err(error) = &outcome {
            METRICS.unwrap_failed(error.class());
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kms::InvalidKmsArn;

    const ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn parse(text: &str) -> Result<RegionKeySettings, InvalidVaultKeys> {
        RegionKeySettings::parse(&Secret::from(text))
    }

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn the_first_key_comes_first_and_kinds_may_be_mixed() {
        let text = format!("new:aws-kms:{ARN}, old:{} ,", key(1));
        let settings = parse(&text).ok().unwrap();
        assert_eq!(settings.ids().collect::<Vec<_>>(), ["new", "old"]);
        let arns: Vec<_> = settings.kms_keys().map(KmsKeyArn::as_str).collect();
        assert_eq!(arns, [ARN]);
        let ring = RegionKeys::parse(&Secret::new(format!("b:{},a:{}", key(2), key(1))));
        assert_eq!(ring.ok().unwrap().ids().collect::<Vec<_>>(), ["b", "a"]);
    }

    #[test]
    fn the_hosts_of_kms_are_named_once_each_and_local_keys_name_none() {
        let hosts = |text: &str, endpoint: Option<&str>| -> Vec<String> {
            let endpoint = endpoint.map(|url| Url::parse(url).unwrap());
            let rules = parse(text).ok().unwrap().egress_rules(endpoint.as_ref());
            rules.unwrap().iter().map(ToString::to_string).collect()
        };
        let other = ARN.replace("eu-central-1", "eu-west-1");
        let three = format!("a:aws-kms:{ARN},b:{},c:aws-kms:{other},d:aws-kms:{ARN}", key(1));
        assert_eq!(
            hosts(&three, None),
            ["kms.eu-central-1.amazonaws.com", "kms.eu-west-1.amazonaws.com"]
        );
        assert_eq!(
            hosts(&three, Some("http://127.0.0.1:5000")),
            ["127.0.0.1 on any port"]
        );
        assert!(hosts(&format!("a:{}", key(1)), Some("https://kms.example")).is_empty());
    }

    #[test]
    fn every_fault_is_named_and_no_key_is() {
        let faults = |text: &str| parse(text).err().unwrap().0;
        assert_eq!(faults(" , "), [VaultKeyFault::Empty]);
        let k1 = || "k1".to_owned();
        assert_eq!(
            faults(&format!(
                "justakey,a b:{0},k1:c2hvcnQ=,k2:{0},k2:{0},k1:aws-kms:arn:aws:kms:r:1:alias/x",
                key(1)
            )),
            [
                VaultKeyFault::Form(1),
                VaultKeyFault::Id(2),
                VaultKeyFault::Key(k1()),
                VaultKeyFault::Twice("k2".to_owned()),
                VaultKeyFault::Arn {
                    id: k1(),
                    reason: InvalidKmsArn::Alias
                },
            ]
        );
        let shown = parse("k1:c2hvcnQ=,c2hvcnQ").err().unwrap().to_string();
        assert!(!shown.contains("c2hvcnQ"), "{shown}");
        let kms = RegionKeys::parse(&Secret::new(format!("k1:aws-kms:{ARN}")));
        assert_eq!(kms.err().unwrap().0, [VaultKeyFault::NoKms(k1())]);
    }

    proptest! {
        #[test]
        fn what_is_written_well_is_read_back(
            ids in prop::collection::hash_set("[A-Za-z0-9_-]{1,64}", 1..6),
            kinds in prop::collection::vec(any::<Option<[u8; 32]>>(), 6),
        ) {
            let ids: Vec<String> = ids.into_iter().collect();
            let entries: Vec<_> = ids
                .iter()
                .zip(&kinds)
                .map(|(id, kind)| match kind {
                    Some(bytes) => format!("{id}:{}", STANDARD.encode(bytes)),
                    None => format!("{id}:aws-kms:{ARN}"),
                })
                .collect();
            let settings = parse(&entries.join(" , ")).ok().unwrap();
            prop_assert_eq!(settings.ids().collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
            let at_kms = kinds.iter().take(ids.len()).filter(|kind| kind.is_none()).count();
            prop_assert_eq!(settings.kms_keys().count(), at_kms);
        }

        #[test]
        fn no_text_panics_and_no_fault_repeats_the_material(
            id in "[a-z]{1,3}",
            material in "[A-Za-z0-9+/=]{8,60}",
            noise in "\\PC{0,30}",
        ) {
            for text in [format!("{id}:{material}"), format!("{id}:{material},{noise}"), noise.clone()] {
                if let Err(faults) = parse(&text) {
                    prop_assert!(!faults.to_string().contains(&material));
                }
            }
        }
    }
}
