//! A watcher: keeps a store equal to its files.

pub mod board;
pub mod port;
pub mod systemd;
