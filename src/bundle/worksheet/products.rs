//! What is done on the screens of each product, and in which order: what loses something is last.

use super::super::cpi::is_edited;
use super::super::cybozu_office::{Servers, is_unproven};
use super::super::{Task, is_changed};
use super::{Entry, Section, Shown, Step, Way, entries, words};
use crate::model::{Action, Change, FieldId, Kind, Value, harmless};

pub fn sections(task: &Task<'_>) -> Vec<Section> {
    match task.system.document {
        "001" => accounts_of_staff_express(task),
        "002" => accounts_of_cpi(task),
        "003" => servers(task, &words::MAILWISE, "名前"),
        "004" => servers_and_accounts_of_office(task),
        _ => Vec::new(),
    }
}

/// The name of a resource, which an add enters like a field.
fn named(label: &str, change: &Change) -> Entry {
    let name = Shown::Text(harmless(change.key.first()).into_owned());
    Entry { label: label.to_owned(), shown: name, before: None, preset: false }
}

fn name(change: &Change) -> String {
    harmless(change.key.first()).into_owned()
}

fn add(task: &Task<'_>, way: &Way, label: &str, change: &Change) -> Step {
    let mut all = vec![named(label, change)];
    all.extend(entries(task, change, |field| field != "position"));
    Step { name: name(change), open: way.add, entries: all, close: way.added, ..Step::default() }
}

/// `None` if there is nothing to enter.
fn alter(task: &Task<'_>, way: &Way, change: &Change, wanted: impl Fn(&str) -> bool) -> Option<Step> {
    let all = entries(task, change, |field| field != "position" && wanted(field));
    let step = || Step { name: name(change), open: way.change, close: way.changed, ..Step::default() };
    (!all.is_empty()).then(|| Step { entries: all, ..step() })
}

fn deletes(task: &Task<'_>, kind: Kind, open: &'static str) -> Vec<Step> {
    let step = |change| Step { name: name(change), open, ..Step::default() };
    task.changes(kind, Action::Delete).map(step).collect()
}

fn accounts_of_staff_express(task: &Task<'_>) -> Vec<Section> {
    let way = &words::STAFF_EXPRESS;
    let adds = task.changes(Kind::Account, Action::Add);
    let overwrites = task.changes(Kind::Account, Action::Overwrite);
    // A number alone says little.
    let about = |change| told(task, change, &[Kind::Account.id("label"), Kind::Account.id("address")]);
    let altered = |change| alter(task, way, change, |_| true).map(|step| Step { about: about(change), ..step });
    let gone = |change| Step { name: name(change), about: about(change), open: way.delete, ..Step::default() };
    vec![
        way.section("Add accounts", adds.map(|change| add(task, way, "共通項目 メールアカウントNO", change)).collect()),
        way.section("Change accounts", overwrites.filter_map(altered).collect()),
        way.section("Delete accounts", task.changes(Kind::Account, Action::Delete).map(gone).collect()),
    ]
}

fn accounts_of_cpi(task: &Task<'_>) -> Vec<Section> {
    const DETAILS: [&str; 3] = ["password", "capacity", "comment"];
    let overwrites = || task.changes(Kind::Account, Action::Overwrite);
    let step = |change: &Change, [open, close]: [&'static str; 2], entries: Vec<Entry>| {
        (!entries.is_empty()).then(|| Step { name: name(change), open, entries, close, ..Step::default() })
    };
    let details = overwrites().filter_map(|change| {
        let by_file = is_edited(task.system, change, &task.after(change));
        let left = |field: &str| DETAILS.contains(&field) && !(by_file && field != "comment");
        let mut all = entries(task, change, left);
        let password = all.iter().position(|entry| matches!(entry.shown, Shown::Password(_)));
        if let Some(at) = password {
            // It is entered twice (002:87).
            let shown = Shown::Password(super::place(task, change));
            all.insert(at + 1, Entry { label: words::CPI_AGAIN.to_owned(), shown, before: None, preset: false });
        }
        step(change, words::CPI_DETAILS, all)
    });
    let switches = task.changes(Kind::Account, Action::Add).chain(overwrites()).filter_map(|change| {
        let left = |field: &str| field != "purge_mail" && !DETAILS.contains(&field);
        step(change, words::CPI_SWITCHES, entries(task, change, left))
    });
    let purges = overwrites().filter(|change| change.purges());
    let lossy = |change, open| Step { name: name(change), about: size(task, change), open, ..Step::default() };
    let purges = purges.map(|change| lossy(change, words::CPI_PURGE));
    let deletes = task.changes(Kind::Account, Action::Delete).map(|change| lossy(change, words::CPI_DELETE));
    let section =
        |heading: &str, loud, steps| Section { heading: heading.to_owned(), loud, way: vec![words::CPI], steps };
    vec![
        section("Details of accounts", None, details.collect()),
        section("Settings of accounts", None, switches.collect()),
        section("Empty inboxes: メールデータの削除", Some(words::CPI_PURGE_LOUD), purges.collect()),
        section("Delete accounts: メールアカウントの削除", Some(words::CPI_DELETE_LOUD), deletes.collect()),
    ]
}

fn servers_and_accounts_of_office(task: &Task<'_>) -> Vec<Section> {
    let way = &words::OFFICE_ACCOUNTS;
    let servers_of_accounts = Servers::new(task);
    let adds = task.changes(Kind::Account, Action::Add);
    let accounts = adds.chain(task.changes(Kind::Account, Action::Overwrite)).filter_map(|change| {
        let by_file = servers_of_accounts.is_in_file(task, change, &task.after(change));
        let in_file = |field: &str| by_file && (task.unproven || !is_unproven(Kind::Account.id(field)));
        alter(task, way, change, |field| !in_file(field)).map(|step| Step { about: user(task, change), ..step })
    });
    let mut sections = servers(task, &words::CYBOZU_OFFICE, "メールサーバー名");
    let deleted_servers = sections.pop();
    sections.push(
        way.section("Accounts, after the file of accounts: items that it does not hand over", accounts.collect()),
    );
    let gone = task.changes(Kind::Account, Action::Delete);
    let step = |change| Step { name: name(change), about: user(task, change), open: way.delete, ..Step::default() };
    sections.push(way.section("Delete accounts", gone.map(step).collect()));
    sections.extend(deleted_servers);
    sections
}

/// How much mail is lost, as far as an export has said (002:180).
fn size(task: &Task<'_>, change: &Change) -> Vec<String> {
    const SIZE: FieldId = Kind::Account.id("mailbox_size");
    let lost = change.fields.iter().find(|one| one.field == SIZE).and_then(|one| one.before.as_deref().cloned());
    let stored = || task.rows.get(change.kind, &change.key).and_then(|row| row.get(SIZE)).cloned();
    lost.or_else(stored).map(|size| format!("利用容量 {}", harmless(&size.to_string()))).into_iter().collect()
}

/// Whose account it is.
fn user(task: &Task<'_>, change: &Change) -> Vec<String> {
    told(task, change, &[Kind::Account.id("user"), Kind::Account.id("user_id"), Kind::Account.id("address")])
}

/// What tells the account from others: as it will be, or as it was before it goes.
fn told(task: &Task<'_>, change: &Change, fields: &[FieldId]) -> Vec<String> {
    let row = task.after(change);
    let lost = |field| change.fields.iter().find(|one| one.field == field).and_then(|one| one.before.as_deref());
    let value = |field: &FieldId| if change.action == Action::Delete { lost(*field) } else { row.get(*field) };
    fields.iter().filter_map(value).map(|value| harmless(&value.to_string()).into_owned()).collect()
}

/// Servers in an ordered list; the section of the deletes is the last.
fn servers(task: &Task<'_>, way: &Way, label: &str) -> Vec<Section> {
    let mut adds: Vec<&Change> = task.changes(Kind::Server, Action::Add).collect();
    // The product puts what is added at the end (003:87, 004:85).
    adds.sort_by_key(|change| place_after(task, change));
    let overwrites = task.changes(Kind::Server, Action::Overwrite);
    let order = new_order(task, &adds).map(|order| Step { open: way.reorder, order, ..Step::default() });
    vec![
        way.section("Add servers", adds.into_iter().map(|change| add(task, way, label, change)).collect()),
        way.section("Change servers", overwrites.filter_map(|change| alter(task, way, change, |_| true)).collect()),
        way.section("Order of servers", order.into_iter().collect()),
        way.section("Delete servers", deletes(task, Kind::Server, way.delete)),
    ]
}

const POSITION: FieldId = Kind::Server.id("position");

fn position(value: Option<&Value>) -> i64 {
    match value {
        Some(Value::Int(position)) => *position,
        _ => i64::MAX,
    }
}

fn place_after(task: &Task<'_>, change: &Change) -> i64 {
    position(task.after(change).get(POSITION))
}

/// All servers in their new order, if it is not the one that adding and deleting alone brings.
fn new_order(task: &Task<'_>, adds: &[&Change]) -> Option<Vec<String>> {
    let changes = || task.plan.changes.iter().filter(|change| change.kind == Kind::Server && change.action.writes());
    if !changes().any(|change| change.action != Action::Delete && is_changed(change, POSITION)) {
        return None;
    }
    let mut stored: Vec<(i64, &str)> =
        task.rows.of(Kind::Server).iter().map(|row| (position(row.get(POSITION)), row.key.first())).collect();
    stored.sort_unstable();
    let change_of = |name: &str| changes().find(|change| change.key.first() == name);
    let mut listed: Vec<(i64, &str)> = stored
        .into_iter()
        .filter_map(|(at, name)| match change_of(name) {
            Some(change) if change.action == Action::Delete => None,
            Some(change) => Some((place_after(task, change), name)),
            None => Some((at, name)),
        })
        .collect();
    listed.extend(adds.iter().map(|change| (place_after(task, change), change.key.first())));
    if listed.is_sorted_by_key(|(at, _)| *at) {
        return None;
    }
    listed.sort_by_key(|(at, _)| *at);
    Some(listed.into_iter().map(|(_, name)| harmless(name).into_owned()).collect())
}
