//! What people read.
pub mod annotate;
pub mod markdown;
pub mod text;
