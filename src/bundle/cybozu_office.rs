//! The file of mail accounts that サイボウズ Office 10 reads: 12 columns without a header, of which
//! the last two are only guessed at. Its page is outside the documents:
//! <https://jp.cybozu.help/of10/ja/admin/spec/format/ml.html>.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, Task, delimited};
use crate::model::{Action, Change, Code, Error, FieldId, Kind, Result, Row, Value};

const USER: FieldId = Kind::Account.id("user");
const USER_ID: FieldId = Kind::Account.id("user_id");
const SERVER: FieldId = Kind::Account.id("server");
const ADDRESS: FieldId = Kind::Account.id("address");
const INCOMING: [FieldId; 2] = [Kind::Account.id("incoming.username"), Kind::Account.id("incoming.password")];
const OUTGOING: [FieldId; 2] = [Kind::Account.id("outgoing.auth.username"), Kind::Account.id("outgoing.auth.password")];
const LEAVE: FieldId = Kind::Account.id("incoming.leave_on_server");
const LEAVE_DAYS: FieldId = Kind::Account.id("incoming.leave_days");
const PRODUCT_ID: FieldId = Kind::Server.id("product_id");
const CREDENTIALS: FieldId = Kind::Server.id("outgoing.auth.credentials");

pub fn accounts(task: &Task<'_>, number: usize) -> Result<Vec<File>> {
    let servers = Servers::new(task);
    let mut unknown = BTreeSet::new();
    let mut records = Vec::new();
    let mut secrets = false;
    for change in accounts_of(task) {
        let row = task.after(change);
        if !servers.is_in_file(task, change, &row) {
            continue;
        }
        let server = row.get(SERVER).and_then(Value::text).unwrap_or_default();
        let Some(id) = servers.id(server) else {
            unknown.insert(server.to_owned());
            continue;
        };
        let cell = |field| task.cell(Kind::Account, &row, field);
        let mut record = vec![cell(USER_ID)?, cell(USER)?, change.key.first().to_owned(), id.to_owned()];
        record.extend([server.to_owned(), cell(ADDRESS)?, cell(INCOMING[0])?, cell(INCOMING[1])?]);
        for field in OUTGOING {
            record.push(if servers.asks_for_own(server) { cell(field)? } else { String::new() });
        }
        secrets |= !record[7].is_empty() || !record[9].is_empty();
        if task.unproven {
            let flag = row.get(LEAVE).map_or("", |value| if value.is_word("true") { "1" } else { "0" });
            record.extend([flag.to_owned(), cell(LEAVE_DAYS)?]);
        } else {
            record.extend([String::new(), String::new()]);
        }
        records.push(record);
    }
    if !unknown.is_empty() {
        return Err(no_id(&unknown));
    }
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let name = format!("{number}-cybozu-office-accounts.csv");
    let rows = records.len();
    Ok(vec![File { name, format: "cybozu-office-accounts", rows, secrets, content: delimited(records)? }])
}

/// The file as the product's own export shows it: passwords are `*`.
pub fn masked(accounts: &[Row], servers: &[Row]) -> Result<String> {
    let id = |name: &str| {
        let server = servers.iter().find(|server| server.key.name() == name)?;
        server.get(PRODUCT_ID).map(ToString::to_string)
    };
    let records = accounts.iter().map(|row| {
        let cell = |field| row.get(field).map(ToString::to_string).unwrap_or_default();
        let mask = |field| row.get(field).map_or("", |_| "*").to_owned();
        let server = cell(SERVER);
        let leave = row.get(LEAVE).map_or("", |value| if value.is_word("true") { "1" } else { "0" });
        vec![
            cell(USER_ID),
            cell(USER),
            row.key.first().to_owned(),
            id(&server).unwrap_or_default(),
            server,
            cell(ADDRESS),
            cell(INCOMING[0]),
            mask(INCOMING[1]),
            cell(OUTGOING[0]),
            mask(OUTGOING[1]),
            leave.to_owned(),
            cell(LEAVE_DAYS),
        ]
    });
    Ok(delimited(records)?.expose().to_owned())
}

fn accounts_of<'a>(task: &'a Task<'_>) -> impl Iterator<Item = &'a Change> {
    task.changes(Kind::Account, Action::Add).chain(task.changes(Kind::Account, Action::Overwrite))
}

fn no_id(servers: &BTreeSet<String>) -> Error {
    let all: Vec<String> = servers.iter().map(|name| format!("`{name}`")).collect();
    let message = format!(
        "the メールサーバーID of {} is not known, and the rows of its accounts must name it (004:148)",
        all.join(", ")
    );
    Error::new(Code::Invalid, message).hint(
        "`yubin export worksheet` hands over the servers first; look the id up on the product's screen, and give it \
         with `--server-id NAME=ID`, or `yubin refresh cybozu-office-accounts` from an export that shows it",
    )
}

/// Ids that were given must be of servers, and not others than the store knows.
pub fn check_ids(task: &Task<'_>) -> Result<()> {
    let servers = Servers::new(task);
    let mut of: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, row) in &servers.0 {
        of.extend(row.get(PRODUCT_ID).and_then(Value::text).map(|id| (id, name.as_str())));
    }
    for (name, id) in task.server_ids {
        let usage = |message| Err(Error::new(Code::Usage, message));
        if !id.bytes().all(|b| b.is_ascii_digit()) {
            return usage(format!("`--server-id` gives `{name}` an id that is no number"));
        }
        if let Some(other) = of.insert(id, name).filter(|other| other != name) {
            return usage(format!("`--server-id` gives `{name}` the id {id}, which `{other}` has"));
        }
        let Some(row) = servers.0.get(name) else {
            return usage(format!("`--server-id` names `{name}`, which is no server of this plan or store"));
        };
        match row.get(PRODUCT_ID).and_then(Value::text) {
            Some(stored) if stored != id => {
                return usage(format!("`--server-id` says {id} for `{name}`, and the store says {stored}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The fields of an account that stand in no column whose meaning is known.
pub fn is_unproven(field: FieldId) -> bool {
    [LEAVE, LEAVE_DAYS].contains(&field)
}

/// What the file must know of the servers, as they stand once the plan is carried out.
pub struct Servers(BTreeMap<String, Row>, BTreeMap<String, String>);

impl Servers {
    pub fn new(task: &Task<'_>) -> Servers {
        let mut servers: BTreeMap<String, Row> =
            task.rows.of(Kind::Server).iter().map(|row| (row.key.first().to_owned(), row.clone())).collect();
        for action in [Action::Add, Action::Overwrite] {
            let changed = task.changes(Kind::Server, action);
            servers.extend(changed.map(|change| (change.key.first().to_owned(), task.after(change))));
        }
        Servers(servers, task.server_ids.clone())
    }

    fn id(&self, name: &str) -> Option<&str> {
        let stored = self.0.get(name).and_then(|row| row.get(PRODUCT_ID)).and_then(Value::text);
        stored.or_else(|| self.1.get(name).map(String::as_str)).filter(|id| !id.is_empty())
    }

    /// Whether accounts of the server have a second pair of credentials, for sending.
    fn asks_for_own(&self, name: &str) -> bool {
        let credentials = self.0.get(name).and_then(|row| row.get(CREDENTIALS));
        credentials.is_some_and(|credentials| credentials.is_word("per_account"))
    }

    /// Whether the account is handed over by the file: something of it changes that has a column,
    /// and no password has to be made up. What `*` or an empty cell would do to one is not stated.
    pub fn is_in_file(&self, task: &Task<'_>, change: &Change, after: &Row) -> bool {
        if change.action == Action::Add {
            return true;
        }
        let changes = change.fields.iter().any(|field| task.unproven || !is_unproven(field.field));
        let server = after.get(SERVER).and_then(Value::text).unwrap_or_default();
        let knows = |pair: [FieldId; 2]| after.get(pair[1]).is_some();
        change.action == Action::Overwrite
            && changes
            && knows(INCOMING)
            && (!self.asks_for_own(server) || knows(OUTGOING))
    }
}
