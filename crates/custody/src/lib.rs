#![doc = include_str!("../README.md")]

mod contactbook;
mod error;
pub mod evidence;
mod store;

pub use contactbook::Contactbook;
pub use error::CustodyError;

#[cfg(test)]
mod tests;
