//! What the names of a migration resolve to when somebody says that DNS is switched.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::{Look, Session};
use crate::load::FILE_NAME;
use crate::model::{Diagnostic, Kind, Value};
use crate::net::dns::{self, Failure};

/// For each question.
const WITHIN: Duration = Duration::from_secs(5);
/// Domains that are looked up, those of most accounts first.
const DOMAINS: usize = 8;
/// Exchanges of a domain, and characters of one answer, that are kept.
const EXCHANGES: usize = 8;
const KEPT: usize = 400;

impl Session {
    /// What MX and addresses of the domains are now, and of the new server's hosts; and what does not look like the
    /// new server.
    pub fn names_now(&self, look: &Look) -> (BTreeMap<String, String>, Vec<Diagnostic>) {
        let server = self.project.probing.settings.nameserver;
        let addresses = |host: &str| dns::addresses(host, server, WITHIN);
        let mut evidence = BTreeMap::new();
        let mut ours: BTreeSet<IpAddr> = BTreeSet::new();
        let hosts = hosts(look);
        for host in &hosts {
            let found = addresses(host);
            ours.extend(found.iter().flatten());
            evidence.insert(format!("host {host}"), kept(&all(&found)));
        }
        let mut problems = Vec::new();
        for domain in domains(look) {
            let (said, looks_new) = match dns::mx(&domain, server, WITHIN) {
                Err(failure) => (sentence(&failure), None),
                Ok(exchanges) => {
                    let best = exchanges.iter().map(|one| one.preference).min();
                    let mut said = Vec::new();
                    let mut looks_new = false;
                    for exchange in exchanges.iter().take(EXCHANGES) {
                        let found = addresses(&exchange.host);
                        let same = hosts.iter().any(|host| host.eq_ignore_ascii_case(&exchange.host));
                        let shares = found.iter().flatten().any(|address| ours.contains(address));
                        looks_new |= Some(exchange.preference) == best && (same || shares);
                        said.push(format!("{} {} ({})", exchange.preference, exchange.host, all(&found)));
                    }
                    (said.join(", "), Some(looks_new))
                }
            };
            let place = look.migration.place;
            let warning = |message: String| {
                Diagnostic::warning("migration/dns", message)
                    .hint("DNS may need time, and mail may come in elsewhere than it is fetched; look before step 6")
                    .at(FILE_NAME, place.line, place.column)
            };
            match looks_new {
                Some(true) => {}
                Some(false) => {
                    problems.push(warning(format!("the MX of `{domain}` does not look like the new server: {said}")));
                }
                None => problems.push(warning(format!("the MX of `{domain}` could not be looked up: {said}"))),
            }
            evidence.insert(format!("mx {domain}"), kept(&said));
            evidence.insert(format!("address {domain}"), kept(&all(&addresses(&domain))));
        }
        (evidence, problems)
    }
}

/// Hosts of the new server, as the store has them.
fn hosts(look: &Look) -> BTreeSet<String> {
    let row = look.servers.get(&look.migration.to.name);
    let fields = ["incoming.host", "outgoing.host"].into_iter().filter_map(|name| Kind::Server.find(name));
    let values = fields.filter_map(|field| row?.get(field).and_then(Value::text).map(str::to_owned));
    values.collect()
}

fn domains(look: &Look) -> Vec<String> {
    if !look.migration.domains.is_empty() {
        return look.migration.domains.iter().take(DOMAINS).cloned().collect();
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for address in look.pairs.iter().filter_map(|pair| pair.address.as_deref()) {
        if let Some((_, domain)) = address.rsplit_once('@') {
            *counts.entry(domain.to_ascii_lowercase()).or_default() += 1;
        }
    }
    let mut domains: Vec<(String, usize)> = counts.into_iter().collect();
    domains.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    domains.into_iter().take(DOMAINS).map(|(domain, _)| domain).collect()
}

fn all(found: &Result<Vec<IpAddr>, Failure>) -> String {
    match found {
        Ok(addresses) => addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(failure) => sentence(failure),
    }
}

fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::NoSuchName => "no such name".to_owned(),
        Failure::NoAnswer(why) => format!("no answer: {why}"),
    }
}

/// What servers say may be of any length.
fn kept(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(KEPT).collect()
}
