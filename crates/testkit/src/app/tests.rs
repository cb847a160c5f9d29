//! The app's flows over sockets, against a stand-in for the App API.

mod browser;
mod connecting;
mod receiving;
mod region;
mod watching;
