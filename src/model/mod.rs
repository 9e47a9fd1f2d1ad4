//! The nouns. No I/O, nothing serializable: JSON shapes live in `wire`.

pub mod desired;
pub mod diagnostic;
pub mod draft;
pub mod error;
pub mod field;
pub mod given;
pub mod harmless;
pub mod history;
pub mod inventory;
pub mod kind;
pub mod parallel;
pub mod plan;
pub mod policy;
pub mod refusal;
pub mod renames;
pub mod resource;
pub mod secret;
pub mod value;

pub use desired::{Desired, Origin, Wanted, Wish};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use draft::{Draft, DraftCell, DraftResource, Place, Raw, Source};
pub use error::{Code, Error, Result};
pub use field::{Field, FieldId, Type};
pub use given::{Given, TextLimits};
pub use harmless::harmless;
pub use history::{Logged, Revision, Version};
pub use inventory::Inventory;
pub use kind::{Address, Key, Kind};
pub use plan::{Action, Change, Drift, Drifted, Effect, FieldChange, Plan, SecretChange, Special};
pub use policy::{Existing, Grace, Limit, Limits, PasswordPolicy, PlaintextSecrets, Policy, Scheme, Trust, Undeclared};
pub use refusal::{Among, Counted, Refusal, Why};
pub use renames::Renames;
pub use resource::{Cell, Row, Rows};
pub use secret::{Clear, Hashed, Sealed, SecretSource};
pub use value::Value;
