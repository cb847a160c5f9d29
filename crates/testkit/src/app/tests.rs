//! The app's flows over sockets, against a stand-in for the App API.

mod browser;
mod connecting;
mod linked;
mod receiving;
mod region;
mod session_token;
mod watching;
