//! What people read.
pub mod markdown;
pub mod text;
