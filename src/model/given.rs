//! What a project says about its own copy of a product: the values of its masters, and its rules
//! where no document states them.

/// `masters:` and `rules:` of a project.
#[derive(Debug, Default)]
pub struct Given {
    /// 連絡ステータス (001:24); `None` if the project does not list them.
    pub contact_status: Option<Vec<String>>,
    /// 連絡区分 (001:23).
    pub contact_category: Option<Vec<String>>,
    pub account_name: TextLimits,
    pub password: TextLimits,
    /// The mail domain of the accounts.
    pub domain: Option<String>,
    /// Rows of a register file (002:131).
    pub register_rows: Option<usize>,
    /// `policy.allow_zero_capacity`: what a capacity of 0 means is not stated (002:115).
    pub allow_zero_capacity: bool,
    /// `mail_server:`: Dovecot and Postfix read the accounts from the store.
    pub mail_server: bool,
}

/// What a project overrides of a rule about a text.
#[derive(Debug, Default)]
pub struct TextLimits {
    pub min: Option<usize>,
    pub max: Option<usize>,
    pub chars: Option<String>,
    pub edges: Option<String>,
    pub letter: Option<bool>,
    pub digit: Option<bool>,
}
