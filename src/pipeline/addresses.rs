//! Mail addresses, of which a mail server knows each once, whatever the case of their letters.

use std::collections::{HashMap, HashSet};

use crate::model::{Address, Change, Code, Diagnostic, Error, FieldId, Key, Kind, Plan, Result, Source, Value, Wanted};
use crate::store::Snapshot;

const ADDRESS: FieldId = Kind::Account.id("address");
const CODE: &str = "mail-server/address-taken";
const HINT: &str = "give one of them another address; two people read one mailbox through a forward";

/// An address that a file declares, and where.
pub struct Declared {
    address: String,
    account: Address,
    file: String,
    source: Source,
}

/// The addresses that accounts declare.
pub fn declared(wanted: &[Wanted], files: &[String]) -> Vec<Declared> {
    let accounts = wanted.iter().filter(|wanted| wanted.kind == Kind::Account && !wanted.absent);
    let all = accounts.filter_map(|wanted| {
        let wish = wanted.wish(ADDRESS)?;
        let address = wish.value().and_then(Value::text)?.to_lowercase();
        let file = files[wish.source.file as usize].clone();
        Some(Declared { address, account: wanted.address(), file, source: wish.source })
    });
    all.collect()
}

/// What is wrong with those that stand twice, at each but the first.
pub fn twice(mut declared: Vec<Declared>) -> Vec<Diagnostic> {
    declared.sort_by(|a, b| {
        a.address.cmp(&b.address).then_with(|| (&a.file, a.source.place).cmp(&(&b.file, b.source.place)))
    });
    let same = declared.chunk_by(|a, b| a.address == b.address).filter_map(<[Declared]>::split_first);
    let said = same.flat_map(|(first, others)| {
        others.iter().map(move |other| {
            let place = other.source.place;
            taken(&first.account)
                .at(&other.file, place.line, place.column)
                .of(&other.account)
                .field(Kind::Account.field(ADDRESS).name)
        })
    });
    said.collect()
}

fn taken(by: &Address) -> Diagnostic {
    Diagnostic::error(CODE, format!("this address is that of `{by}`, and a mail server knows each once")).hint(HINT)
}

/// Two accounts that would have one address.
pub struct Clash {
    account: Address,
    /// Of the change that gives it the address; `None` where the store holds both already.
    source: Option<Source>,
    by: Address,
}

impl Clash {
    pub fn diagnostic(&self, plan: &Plan) -> Diagnostic {
        let said = taken(&self.by).of(&self.account).field(Kind::Account.field(ADDRESS).name);
        match self.source {
            Some(source) => said.at(plan.file(source), source.place.line, source.place.column),
            None => said,
        }
    }

    /// Where no file says it.
    pub fn error(&self) -> Error {
        let message = format!("`{}` would get the address that `{}` has by now", self.account, self.by);
        Error::new(Code::Refused, message)
            .about(CODE)
            .hint("give that one another address first, or declare what should be")
    }
}

/// Of the addresses that a plan gives to accounts, those that two would have, where a mail server reads the store: this
/// project says so (`ours`), or another has. Who says it first is told of those that the store holds twice already.
pub fn clashes(plan: &Plan, ours: bool, snapshot: Option<&dyn Snapshot>) -> Result<Vec<Clash>> {
    let known = snapshot.map_or(Ok(None), Snapshot::mail_server)?;
    if !ours && known != Some(true) {
        return Ok(Vec::new());
    }
    found(plan, snapshot, known == Some(false))
}

/// By the plan itself, or because the store holds the other one and the plan leaves it there. A disabled account keeps
/// its address, since it may come back. `whole` looks at what the plan does not touch, too.
fn found(plan: &Plan, snapshot: Option<&dyn Snapshot>, whole: bool) -> Result<Vec<Clash>> {
    let mut given: HashMap<String, &Change> = HashMap::new();
    let mut left: HashSet<&Key> = HashSet::new();
    let mut clashes = Vec::new();
    let clash = |change: &Change, by: Address| Clash { account: change.address(), source: change.source, by };
    let accounts = plan.changes.iter().filter(|change| change.kind == Kind::Account && change.action.writes());
    for change in accounts {
        let address = change.fields.iter().find(|field| field.field == ADDRESS);
        if change.action.removes() || address.is_some_and(|address| address.before.is_some()) {
            left.insert(change.stored_key());
        }
        let Some(address) = address.filter(|_| !change.action.loses()).and_then(|one| one.after.as_ref()?.text())
        else {
            continue;
        };
        if let Some(other) = given.insert(address.to_lowercase(), change) {
            clashes.push(clash(change, other.address()));
        }
    }
    let Some(snapshot) = snapshot.filter(|_| whole || !given.is_empty()) else { return Ok(clashes) };
    let mut standing: HashMap<String, Key> = HashMap::new();
    snapshot.mail_addresses(&mut |name, address| {
        let (key, address) = (Key::single(name), address.to_lowercase());
        if left.contains(&key) {
            return Ok(());
        }
        if let Some(change) = given.get(&address).filter(|change| *change.stored_key() != key) {
            clashes.push(clash(change, Address::new(Kind::Account, key.clone())));
        }
        if !whole {
            return Ok(());
        }
        if let Some(other) = standing.get(&address) {
            // From an index, they come in no order of names.
            let (first, second) = if *other < key { (other.clone(), key) } else { (key, other.clone()) };
            let [by, account] = [first, second].map(|key| Address::new(Kind::Account, key));
            clashes.push(Clash { account, source: None, by });
        } else {
            standing.insert(address, key);
        }
        Ok(())
    })?;
    Ok(clashes)
}
