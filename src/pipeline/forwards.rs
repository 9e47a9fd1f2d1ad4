//! Forwards of a mail server that lead back to where they began.

use std::collections::HashMap;

use crate::model::{Address, Diagnostic, FieldId, Kind, Source, Value, Wanted};

const ADDRESS: FieldId = Kind::Account.id("address");
const FORWARD: FieldId = Kind::Account.id("forward.enabled");
const FORWARD_TO: FieldId = Kind::Account.id("forward.to");
const KEEP_COPY: FieldId = Kind::Account.id("forward.keep_copy");
const RECEIVE: FieldId = Kind::Account.id("receive.enabled");

/// A forward without a copy that a file declares, and where. Addresses are in lower case.
pub struct Forward {
    address: String,
    to: Vec<String>,
    account: Address,
    file: String,
    source: Source,
}

/// The forwards without a copy that accounts declare.
pub fn declared(wanted: &[Wanted], files: &[String]) -> Vec<Forward> {
    let accounts = wanted.iter().filter(|wanted| wanted.kind == Kind::Account && !wanted.absent);
    accounts.filter_map(|wanted| forward(wanted, files)).collect()
}

fn forward(wanted: &Wanted, files: &[String]) -> Option<Forward> {
    let value = |field: FieldId| wanted.wish(field).and_then(|wish| wish.value());
    let says = |field: FieldId, flag: bool| value(field) == Some(&Value::Bool(flag));
    if !says(FORWARD, true) || says(KEEP_COPY, true) || says(RECEIVE, false) {
        return None;
    }
    let address = value(ADDRESS)?.text()?.to_lowercase();
    let Some(Value::List(targets)) = value(FORWARD_TO) else { return None };
    let to: Vec<String> = targets.iter().map(|target| target.as_str().to_lowercase()).collect();
    // The account itself among its targets is a copy.
    if to.contains(&address) {
        return None;
    }
    let source = wanted.wish(FORWARD_TO)?.source;
    let file = files[source.file as usize].clone();
    Some(Forward { address, to, account: wanted.address(), file, source })
}

/// A warning at each forward whose mail comes to a circle. Found by taking away, again and again, what leads to no
/// forward that is left; each edge is looked at once.
pub fn circles(forwards: &[Forward]) -> Vec<Diagnostic> {
    let places: HashMap<&str, usize> =
        forwards.iter().enumerate().map(|(at, forward)| (forward.address.as_str(), at)).collect();
    let mut ahead = vec![0_usize; forwards.len()];
    let mut behind: Vec<Vec<usize>> = vec![Vec::new(); forwards.len()];
    for (at, forward) in forwards.iter().enumerate() {
        for target in forward.to.iter().filter_map(|target| places.get(target.as_str())) {
            ahead[at] += 1;
            behind[*target].push(at);
        }
    }
    let mut ends: Vec<usize> = (0..forwards.len()).filter(|at| ahead[*at] == 0).collect();
    while let Some(end) = ends.pop() {
        for before in &behind[end] {
            ahead[*before] -= 1;
            if ahead[*before] == 0 {
                ends.push(*before);
            }
        }
    }
    let left = forwards.iter().zip(ahead).filter(|(_, ahead)| *ahead > 0);
    left.map(|(forward, _)| {
        let place = forward.source.place;
        let message = "this forward leads in a circle, and nobody in it keeps a copy: Postfix would defer the mail";
        Diagnostic::warning("mail-server/forward", message)
            .hint("set `forward.keep_copy: true` for one of the accounts, or take one of the forwards back")
            .at(&forward.file, place.line, place.column)
            .of(&forward.account)
            .field(Kind::Account.field(FORWARD_TO).name)
    })
    .collect()
}
