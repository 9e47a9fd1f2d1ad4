//! yubin keeps mail settings as code.
//!
//! ```text
//! files ──load──> Draft ──resolve──> Desired ─┐
//!                                             ├─diff──> Plan ──guard──> Verdict ──commit──> Receipt
//! store ──snapshot (one consistent read)──────┘                          │
//!                                                                      render
//! ```
//!
//! In reading order: `model` has the nouns, `system` the products as tables of facts, `load` (with
//! `format`) and `resolve` (with `check`) make of files what should be, `vault` seals the secrets,
//! `diff` compares, `guard` judges, `store` commits, `history` takes back, `ownership` adopts, `refresh`
//! takes over what the product has done, `bundle` makes what is handed over to it, `autoconfig` what sets up clients,
//! `wire` and `render` show.
//! `checkout` asks git where the files come from, `hooks` carry out what an apply causes beside the state; `child` and
//! `net` are the ways to other programs and machines.
//! `pipeline` is the line through all of them, `commands` the door. The invariants, and what is
//! deliberately absent, stand in `docs/architecture.md`; a test holds the imports to the layers.

pub mod autoconfig;
pub mod bundle;
pub mod check;
pub mod checkout;
pub mod child;
pub mod commands;
pub mod diff;
pub mod format;
pub mod guard;
pub mod history;
pub mod hooks;
pub mod load;
pub mod model;
pub mod net;
pub mod ownership;
pub mod pipeline;
pub mod probe;
pub mod refresh;
pub mod render;
pub mod resolve;
pub mod schema;
pub mod serve;
pub mod store;
pub mod system;
pub mod vault;
pub mod watch;
pub mod wire;
