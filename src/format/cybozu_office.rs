//! The CSV of mail accounts that サイボウズ Office 10 exports: 12 positional columns, known from a sample
//! outside the documents. The last two are only guessed at and not read.

use std::borrow::Cow;
use std::collections::HashMap;

use compact_str::CompactString;

use super::records::{CellText, Record};
use super::{File, Found, RecordFormat, cell_count, key_flaw};
use crate::model::{
    Address, Diagnostic, Diagnostics, Draft, DraftCell, DraftResource, FieldId, Key, Kind, Place, Raw, Source,
};

#[derive(Clone, Copy)]
enum Holds {
    /// Of the account; a number that the product gives.
    Id,
    /// Of the server; a number that the product gives.
    ServerId,
    Number(FieldId),
    Text(FieldId),
    /// A password, which an export masks.
    Mask,
    Unproven,
}

const fn number(field: &'static str) -> Holds {
    Holds::Number(Kind::Account.id(field))
}

const fn text(field: &'static str) -> Holds {
    Holds::Text(Kind::Account.id(field))
}

/// [X] <https://jp.cybozu.help/of10/ja/admin/spec/format/ml.html>; columns 1 to 4 are stated there, the
/// others inferred from its sample.
const COLUMNS: [(&str, Holds); 12] = [
    ("ユーザーID", number("user_id")),
    ("ユーザー名", text("user")),
    ("メールアカウントID", Holds::Id),
    ("メールサーバーID", Holds::ServerId),
    ("メールサーバー名", text("server")),
    ("E-mail", text("address")),
    ("受信アカウント", text("incoming.username")),
    ("受信パスワード", Holds::Mask),
    ("送信アカウント", text("outgoing.auth.username")),
    ("送信パスワード", Holds::Mask),
    ("サーバーに残す", Holds::Unproven),
    ("期限", Holds::Unproven),
];

const ACCOUNT_ID: usize = 2;
const SERVER_ID: usize = 3;
const SERVER: usize = 4;
const PRODUCT_ID: FieldId = Kind::Server.id("product_id");

pub struct Accounts;

impl Accounts {
    /// `None` if there is nothing to read.
    pub fn new(file: File<'_>, records: &[Record], found: &mut Found) -> Option<Accounts> {
        if records.is_empty() {
            let problem = Diagnostic::error("file/empty", "the file is empty")
                .hint("expected the product's own export of mail accounts, 12 columns a record");
            found.problems.push(problem.at(file.name, 1, 1));
            return None;
        }
        Some(Accounts)
    }
}

impl RecordFormat for Accounts {
    fn locate(&self, cells: &mut dyn Iterator<Item = Cow<'_, str>>) -> Option<(Kind, Key)> {
        Some((Kind::Account, Key::single(&cells.nth(ACCOUNT_ID)?)))
    }

    fn first_record(&self) -> usize {
        0
    }

    fn context(&self) -> &'static str {
        ""
    }

    fn draft(&self, file: File<'_>, record: &Record, cells: &[CellText<'_>], found: &mut Found) {
        let mut places = Vec::new();
        record.places(file.text, cells, &mut places);
        let at = |index: usize, problem: Diagnostic| problem.at(file.name, places[index].line, places[index].column);
        if let Some(problem) = cell_count(cells.len(), COLUMNS.len(), "format") {
            found.problems.push(at(0, problem));
            return;
        }
        let id = &*cells[ACCOUNT_ID].text;
        let flaw = key_flaw(id).or_else(|| (!is_number(id)).then_some("is no number"));
        if let Some(flaw) = flaw {
            let message = format!("column {} ({}) {flaw}", ACCOUNT_ID + 1, COLUMNS[ACCOUNT_ID].0);
            let problem = Diagnostic::error("resource/key", message).hint("the file has no header, and no other form");
            found.problems.push(at(ACCOUNT_ID, problem));
            return;
        }
        let address = Address::new(Kind::Account, Key::single(id));
        let mut draft = resource(Kind::Account, address.key.clone(), file, places[0]);
        for (index, ((label, holds), cell)) in COLUMNS.iter().zip(cells).enumerate() {
            let text = &*cell.text;
            let column = format!("column {} ({label})", index + 1);
            if matches!(holds, Holds::Number(_) | Holds::ServerId) && !text.is_empty() && !is_number(text) {
                let problem = Diagnostic::error("value/type", format!("{column} is no number"));
                found.problems.push(at(index, problem.of(&address)));
            }
            match *holds {
                Holds::Number(field) | Holds::Text(field) => {
                    let raw = if text.is_empty() { Raw::Null } else { Raw::Cell(CompactString::new(text)) };
                    draft.cells.push(DraftCell { field, raw, place: places[index] });
                }
                Holds::Mask if !text.chars().all(|c| c == '*') => {
                    let message =
                        format!("{column} is more than `*`, and the product exports no password; it is not read");
                    let problem = Diagnostic::warning("refresh/password", message)
                        .hint("make sure that this is the product's own export");
                    found.problems.push(at(index, problem.of(&address)));
                }
                Holds::Id | Holds::ServerId | Holds::Mask | Holds::Unproven => {}
            }
        }
        draft.cells.sort_by_key(|cell| cell.field);
        found.mentioned[Kind::Account as usize] = true;
        found.resources.push(draft);
        // The account refers to the server, so there is one of that name.
        let (name, id) = (&*cells[SERVER].text, &*cells[SERVER_ID].text);
        match key_flaw(name) {
            _ if name.is_empty() => {}
            Some(flaw) => {
                let message = format!("column {} ({}) {flaw}", SERVER + 1, COLUMNS[SERVER].0);
                found.problems.push(at(SERVER, Diagnostic::error("resource/key", message).of(&address)));
            }
            None => {
                let mut server = resource(Kind::Server, Key::single(name), file, places[SERVER_ID]);
                if !id.is_empty() {
                    let raw = Raw::Cell(CompactString::new(id));
                    server.cells.push(DraftCell { field: PRODUCT_ID, raw, place: places[SERVER_ID] });
                }
                found.resources.push(server);
            }
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn resource(kind: Kind, key: Key, file: File<'_>, place: Place) -> DraftResource {
    DraftResource {
        kind,
        key,
        source: Source { file: file.id, place },
        absent: false,
        previously: None,
        whole_record: false,
        cells: Vec::new(),
        broken: Vec::new(),
        digest: None,
    }
}

/// Every record names its server: of those that say the same the first stays.
pub fn unite_servers(draft: &mut Draft, diagnostics: &mut Diagnostics) {
    let id = |server: &DraftResource| match server.cells.first().map(|cell| &cell.raw) {
        Some(Raw::Cell(id)) => Some(id.clone()),
        _ => None,
    };
    let files = &draft.files;
    draft.resources.sort_by(|a, b| (a.kind, &a.key, a.source).cmp(&(b.kind, &b.key, b.source)));
    draft.resources.dedup_by(|later, first| {
        let same = later.kind == Kind::Server && first.kind == Kind::Server && later.key == first.key;
        if same && first.cells.is_empty() {
            // The one with the id stays, so that a later message names its place.
            std::mem::swap(first, later);
        } else if same && !later.cells.is_empty() && id(later) != id(first) {
            let (one, other) = (first.source.place, later.source.place);
            let message = format!("`{}` has another id than before", later.address());
            let hint = format!("the first stands at {}:{}:{}", files[first.source.file as usize], one.line, one.column);
            let problem = Diagnostic::error("cybozu-office/server-id", message).hint(hint).of(&later.address());
            let problem = problem.field("product_id");
            diagnostics.push(problem.at(&files[later.source.file as usize], other.line, other.column));
        }
        same
    });
    // An id is one server's, whatever its name was when the export was made.
    let mut names: HashMap<CompactString, (Address, Source)> = HashMap::new();
    for server in draft.resources.iter().filter(|resource| resource.kind == Kind::Server) {
        let Some(id) = id(server) else { continue };
        let place = server.source.place;
        if let Some((other, source)) = names.insert(id, (server.address(), server.source)) {
            let message = format!("`{}` has the id that `{other}` has", server.address());
            let hint = format!(
                "that one stands at {}:{}:{}; an id belongs to one server (004:148)",
                files[source.file as usize], source.place.line, source.place.column
            );
            let problem = Diagnostic::error("cybozu-office/server-id", message).hint(hint).of(&server.address());
            let problem = problem.field("product_id");
            diagnostics.push(problem.at(&files[server.source.file as usize], place.line, place.column));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::records;
    use super::*;

    #[test]
    fn the_sample_is_read_and_what_is_wrong_is_told() {
        let text = "170,高橋健太,191,192,サイボウズメールサーバー,sampletest@-----,sampletest,*,sampletest,*,1,0\r\n\
                    x,高橋,199,y,main,a@b,k,hunter22,k,,1,0\r\n1,2,z,4,5,6,7,8,9,10,11,12\r\n1,2,3\r\n";
        let file = File { id: 0, name: "a.csv", text };
        let mut found = Found::default();
        let mut cells = Vec::new();
        for record in records(text) {
            record.cells(text, &mut cells);
            Accounts.draft(file, &record, &cells, &mut found);
        }
        let problems: Vec<String> =
            found.problems.iter().map(|one| format!("{}:{} {}", one.line, one.column, one.code)).collect();
        assert_eq!(
            problems,
            ["2:1 value/type", "2:10 value/type", "2:23 refresh/password", "3:5 resource/key", "4:1 csv/columns"]
        );
        assert!(!found.problems.iter().any(|one| one.message.contains("hunter22")));
        let first = &found.resources[0];
        let names: Vec<&str> = first.cells.iter().map(|cell| Kind::Account.field(cell.field).name).collect();
        assert_eq!(names, ["user", "user_id", "server", "address", "incoming.username", "outgoing.auth.username"]);
        assert_eq!(found.resources[1].address().to_string(), "server/サイボウズメールサーバー");
    }
}
