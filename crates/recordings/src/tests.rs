//! The room as a whole, on a database of its own and with a fake Zoom.

mod attempts;
mod erasing;
mod events;
mod fetching;
mod media;
mod merging;
mod room;
mod serving;
mod store;
