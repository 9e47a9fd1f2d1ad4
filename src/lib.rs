//! yubin keeps mail settings as code.
//!
//! ```text
//! files ──load──> Draft ──resolve──> Desired ─┐
//!                                             ├─diff──> Plan ──guard──> Verdict ──commit──> Receipt
//! store ──snapshot (one consistent read)──────┘                          │
//!                                                                      render
//! ```

pub mod check;
pub mod commands;
pub mod diff;
pub mod format;
pub mod guard;
pub mod history;
pub mod load;
pub mod model;
pub mod pipeline;
pub mod render;
pub mod resolve;
pub mod schema;
pub mod store;
pub mod system;
pub mod vault;
pub mod wire;
