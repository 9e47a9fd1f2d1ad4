//! Thunderbird's file for each mail domain, or why there is none: all accounts of the domain must need the same one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::setup::Setup;
use super::thunderbird::{NoRule, PATHS, Provider};
use super::{Client, Made, NAMED, file_name, names, unsaid};
use crate::model::{Address, Diagnostic};

/// Accounts that are named where those of a domain differ; whoever mends them must find each.
const ACCOUNTS: usize = 20;

pub fn make(setups: &[Setup], clients: &[Client], made: &mut Made) {
    let mut by_domain: BTreeMap<String, Vec<(&Setup, Provider)>> = BTreeMap::new();
    for setup in setups {
        made.diagnostics.extend(unsaid(setup, Client::Thunderbird));
        by_domain.entry(setup.domain()).or_default().push((setup, Provider::of(setup)));
    }
    for (domain, users) in by_domain {
        let Some((_, provider)) = users.first().filter(|(_, first)| users.iter().all(|(_, other)| other == first))
        else {
            made.diagnostics.push(differ(&domain, &users, clients));
            continue;
        };
        match provider.text(&domain) {
            Ok(text) => {
                let folder = format!("autoconfig/{}", file_name(&domain));
                made.files.extend(PATHS.map(|path| (format!("{folder}/{path}"), text.clone())));
            }
            Err(why) => made.diagnostics.extend(users.iter().map(|(setup, _)| no_rule(setup, why, clients))),
        }
    }
}

/// The option that asks for the other files, which are one for an address.
fn without(clients: &[Client]) -> String {
    let others = |among: &[Client]| -> Vec<&str> {
        among.iter().filter(|client| **client != Client::Thunderbird).map(|client| client.name()).collect()
    };
    let asked = others(clients);
    let kinds = if asked.is_empty() { others(&[Client::Autodiscover, Client::Apple]) } else { asked };
    format!("leave Thunderbird out with `--kind {}`", kinds.join(","))
}

fn no_rule(setup: &Setup, why: NoRule, clients: &[Client]) -> Diagnostic {
    let without = without(clients);
    let (message, hint) = match why {
        NoRule::OtherCase(field) => (
            "user name and address differ only in case, and Thunderbird's file cannot say that",
            format!("write `{field}` and `address` in the same case; or {without}"),
        ),
        NoRule::Unrelated => (
            "Thunderbird's file is one for the whole domain, and this user name does not come of the address",
            format!("`incoming.username` as the address, or as what stands before its `@`; or {without}"),
        ),
    };
    Diagnostic::error("autoconfig/user-name", message).hint(hint).of(&setup.of).field(why.field())
}

/// Says which accounts want which file, those that most want first.
fn differ(domain: &str, users: &[(&Setup, Provider)], clients: &[Client]) -> Diagnostic {
    let mut groups: Vec<(&Provider, Vec<&Address>)> = Vec::new();
    for (setup, provider) in users {
        match groups.iter_mut().find(|(other, _)| *other == provider) {
            Some((_, group)) => group.push(&setup.of),
            None => groups.push((provider, vec![&setup.of])),
        }
    }
    // Stable, so that of groups of one size the first by address stays the first.
    groups.sort_by_key(|(_, group)| Reverse(group.len()));
    let sizes: Vec<usize> = groups.iter().map(|(_, group)| group.len()).collect();
    let told: Vec<String> = groups
        .iter()
        .zip(shares(&sizes))
        .map(|((provider, group), share)| format!("{}: {}", names(group, share), provider.summary()))
        .collect();
    let more = match groups.len() - told.len() {
        0 => String::new(),
        1 => "; and 1 more way".to_owned(),
        more => format!("; and {more} more ways"),
    };
    let without = without(clients);
    let odd = groups.iter().any(|(provider, _)| provider.has_other_case());
    let (case, alike) = if odd {
        let case = "; where the case differs, user name and address are the same but for that";
        (case, "write user names in the case of their addresses, and make servers and user names alike")
    } else {
        ("", "make servers and user names alike")
    };
    let message = format!("one file cannot be right for all of {domain}: {}{more}{case}", told.join("; "));
    // All of them are concerned, and named in the message.
    Diagnostic::error("autoconfig/domain", message)
        .hint(format!("{alike}; or name those that the file is for; or {without}"))
}

/// How many accounts of each group are named, of groups by size, the largest first; small groups are named whole before
/// large ones. What most need is the usual: where it is too much, examples of it do.
fn shares(sizes: &[usize]) -> Vec<usize> {
    let sizes = &sizes[..sizes.len().min(ACCOUNTS)];
    let mut left = ACCOUNTS;
    let mut shares = vec![0; sizes.len()];
    for (at, size) in sizes.iter().enumerate().rev() {
        let most = if at == 0 && *size > left { left.min(NAMED) } else { left / (at + 1) };
        shares[at] = (*size).min(most);
        left -= shares[at];
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_differs_is_named_up_to_a_bound() {
        for (sizes, expected) in [
            (&[1, 1][..], &[1, 1][..]),
            (&[12, 8], &[12, 8]),
            (&[4, 3, 2, 1, 1, 1, 1, 1], &[4, 3, 2, 1, 1, 1, 1, 1]),
            (&[1000, 1], &[3, 1]),
            (&[1000, 900, 2], &[3, 9, 2]),
            (&[1; 30], &[1; 20]),
        ] {
            assert_eq!(shares(sizes), expected, "{sizes:?}");
        }
    }
}
