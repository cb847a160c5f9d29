#![doc = include_str!("../README.md")]

mod cipher;
mod data_key;
mod error;
mod place;
mod region_keys;
mod store;
mod vault;

pub use data_key::DataKey;
pub use error::{InvalidVaultKeys, VaultError};
pub use place::Place;
pub use region_keys::RegionKeys;
pub use vault::{KeyScope, Vault};
