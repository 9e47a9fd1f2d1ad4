//! Secrets of a changeset that are not what they seem.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;
use serde_json::{Value as Json, json};
use yubin::model::{Address, Clear, Field, Key, Kind};
use yubin::vault::{ClientKey, Transit, Vault};

use super::{KEY, OTHER, PROJECT, Site, changeset, if_match, sharing};
use crate::cli::database;
use crate::support::http::{Answer, JSON, NDJSON};

const YAML: &str = "accounts: { a: { comment: x, password: geheim-1, incoming: { password: geheim-2 } }, b: { incoming: { password: geheim-3 } } }
patterns: { taro: { p: { incoming: { password: geheim-4 } } } }
";

/// A client of the project, as the program is one.
struct Client<'a> {
    site: &'a Site,
    public: String,
    transit: Transit,
    lent: Vault,
    lines: Vec<Json>,
}

impl<'a> Client<'a> {
    fn new(site: &'a Site) -> Client<'a> {
        let key = ClientKey::generate().unwrap();
        let public = key.public();
        let headers = [("accept", NDJSON), ("yubin-client-key", public.as_str()), ("yubin-project", PROJECT)];
        let lines = site.api().call(Method::GET, "/v1/resources", &headers, "").expect(200).lines();
        let transit = key.agree(lines[0]["server_key"].as_str().unwrap()).unwrap();
        let lent = transit.lent(PROJECT, lines[0]["lent"].as_str().unwrap()).unwrap();
        Client { site, public, transit, lent, lines }
    }

    fn send(&self, changes: &[Json]) -> Answer {
        let revision = self.lines[0]["revision"].as_u64().unwrap();
        let tag = if_match(revision);
        let headers = [
            ("if-match", tag.as_str()),
            ("content-type", JSON),
            ("yubin-client-key", self.public.as_str()),
            ("yubin-project", PROJECT),
        ];
        let body = changeset(revision, changes).to_string();
        self.site.api().call(Method::POST, "/v1/changesets", &headers, body)
    }

    /// What was told of a secret.
    fn told(&self, address: &str, field: &str) -> String {
        let row = self.lines.iter().find(|line| line["address"] == address).unwrap();
        let told = row["fields"][field]["sealed"].as_str();
        told.unwrap_or_else(|| panic!("not told: {row}")).to_owned()
    }

    fn sealed(&self, name: &str, field: &str, clear: &str) -> String {
        let (address, field) = place(name, field);
        self.transit.seal(&address, field, &Clear::new(clear.to_owned()))
    }
}

fn place(name: &str, field: &str) -> (Address, &'static Field) {
    (Address::new(Kind::Account, Key::single(name)), Kind::Account.field(Kind::Account.id(field)))
}

fn site() -> Site {
    Site::with(YAML)
}

/// A change of a secret of an account; `change` is how the secret is said.
#[expect(clippy::needless_pass_by_value, reason = "it reads best beside `json!`")]
fn secret(name: &str, field: &str, how: Json) -> Json {
    let mut one = json!({ "field": field, "secret": true, "change": "changed" });
    one.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
    json!({ "action": "overwrite", "address": format!("account/{name}"), "kind": "account", "key": [name],
        "source": { "file": "a.yaml", "line": 1, "column": 1 }, "fields": [one] })
}

#[track_caller]
fn refused(client: &Client, what: &str, one: Json) {
    let before = client.site.content();
    let answer = client.send(&[one]);
    let sql = "SELECT password FROM account WHERE name = 'a'";
    let stored: String = database(&client.site.world).query_row(sql, [], |row| row.get(0)).unwrap();
    assert!(stored.starts_with("{ARGON2ID}$argon2id$"), "{what}: `{stored}` stands in the store: {answer}");
    assert!(matches!(answer.status, 400 | 422), "{what}: {answer}");
    answer.problem(answer.status);
    assert!(!answer.body.contains("geheim"), "{what}: {answer}");
    assert!(client.site.content() == before, "{what} has changed something");
}

/// That the helpers do what a client does.
#[test]
fn a_secret_that_is_sealed_for_its_place_is_taken() {
    let site = site();
    let client = Client::new(&site);
    let sealed = client.sealed("a", "incoming.password", "neu-geheim");
    assert_eq!(
        client.send(&[secret("a", "incoming.password", json!({ "sealed": sealed }))]).expect(200).json()["revision"],
        2
    );
    site.world.write("a.yaml", YAML.replace("geheim-2", "neu-geheim"));
    site.world.expect(0, &["plan", "--exit-code"]);
    site.run(0, &["plan", "--exit-code"]);
}

#[test]
fn a_secret_in_clear_is_not_taken() {
    let site = site();
    let client = Client::new(&site);
    for (what, how) in [
        ("in clear", json!({ "after": "geheim-neu" })),
        ("in clear, with the one before", json!({ "before": "geheim-2", "after": "geheim-neu" })),
        ("in clear where it is to be sealed", json!({ "sealed": "geheim-neu" })),
        ("in Base64", json!({ "sealed": BASE64.encode("geheim-neu") })),
        ("with nothing at all", json!({})),
        ("that is empty", json!({ "sealed": "" })),
        ("that is a number", json!({ "sealed": 1 })),
        ("that is unknown", json!({ "change": "unknown" })),
        ("short of a tag", json!({ "sealed": BASE64.encode([0; 12]) })),
        ("of zeros", json!({ "sealed": BASE64.encode([0; 60]) })),
        ("twice said", json!({ "sealed": "x", "kept": "x" })),
    ] {
        refused(&client, what, secret("a", "incoming.password", how.clone()));
        refused(&client, what, secret("a", "password", how));
    }
    let mut plain = secret("a", "incoming.password", json!({}));
    plain["fields"] = json!([{ "field": "incoming.password", "before": null, "after": "geheim-neu" }]);
    refused(&client, "as if it were no secret", plain);
    let mut odd = secret("a", "comment", json!({ "sealed": client.sealed("a", "incoming.password", "x") }));
    refused(&client, "a comment that is a secret", odd.clone());
    odd["fields"][0]["secret"] = false.into();
    refused(&client, "a comment that is sealed", odd);
}

#[test]
fn what_was_sealed_for_another_place_is_not_taken() {
    let site = site();
    let client = Client::new(&site);
    let stranger = Client::new(&site);
    let field = "incoming.password";
    let of_b = client.sealed("b", field, "geheim-neu");
    let of_another_field = client.sealed("a", "password", "geheim-neu");
    let of_another_client = stranger.sealed("a", field, "geheim-neu");
    let good = client.sealed("a", field, "geheim-neu");
    let mut altered = BASE64.decode(&good).unwrap();
    altered[20] ^= 1;
    let cut = BASE64.encode(&BASE64.decode(&good).unwrap()[..30]);
    let (address, place) = place("a", field);
    let by_lent = BASE64.encode(client.lent.seal(&address, place, &Clear::new("geheim-neu".to_owned())).as_bytes());
    for (what, sealed) in [
        ("of another account", of_b),
        ("of another field", of_another_field),
        ("of another client", of_another_client),
        ("with a bit that is another", BASE64.encode(altered)),
        ("that is cut", cut),
        ("under the key that was lent", by_lent),
    ] {
        refused(&client, what, secret("a", field, json!({ "sealed": sealed })));
    }
    // Not even one who has the key of the store can seal as if it were a client.
    let key: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&KEY[2 * at..2 * at + 2], 16).unwrap()).collect();
    let vault = Vault::new(&key.try_into().unwrap());
    let by_store = BASE64.encode(vault.seal(&address, place, &Clear::new("geheim-neu".to_owned())).as_bytes());
    refused(&client, "under the key of the store", secret("a", field, json!({ "sealed": by_store })));
}

/// What is kept is what this resource has, or had: another's does not become one's own.
#[test]
fn what_is_kept_of_another_resource_is_not_taken() {
    let site = site();
    let client = Client::new(&site);
    let field = "incoming.password";
    let kept = |address: &str| {
        let told = yubin::vault::bytes(&client.told(address, field)).unwrap();
        BASE64.encode(told.kept().unwrap().as_bytes())
    };
    for (what, kept) in [
        ("another account's", kept("account/b")),
        ("a pattern's", kept("pattern/taro/p")),
        ("what was told, and not what is kept of it", client.told("account/a", field)),
        ("nothing", String::new()),
        ("zeros", BASE64.encode([0; 60])),
    ] {
        refused(&client, what, secret("a", field, json!({ "kept": kept })));
        refused(&client, what, secret("a", "password", json!({ "kept": kept })));
    }
    // Of another project's, nothing is told that could be kept.
    let other = sharing(&site.world, OTHER);
    other.write("b.yaml", "accounts: { o: { incoming: { password: geheim-9 } } }\n");
    other.expect(0, &["apply", "--yes", "-q"]);
    let fresh = Client::new(&site);
    let row = fresh.lines.iter().find(|line| line["address"] == "account/o").unwrap();
    assert_eq!(row["fields"][field], json!({ "secret": true }));
}

/// A password of a mailbox is sent as a hash that the server can check the form of.
#[test]
fn a_hash_is_one() {
    let site = site();
    let client = Client::new(&site);
    let (address, field) = place("a", "password");
    for text in
        ["geheim-neu", "{PLAIN}geheim-neu", "{CLEARTEXT}geheim-neu", "", "{ARGON2ID}", "{ARGON2ID}\0", "{NONSENSE}x"]
    {
        let clear = Clear::new(format!(" {text}"));
        let sealed = client.transit.seal(&address, field, &clear);
        refused(&client, text, secret("a", "password", json!({ "sealed": sealed })));
        let sealed = client.transit.seal(&address, field, &Clear::new(text.to_owned()));
        refused(&client, text, secret("a", "password", json!({ "sealed": sealed })));
    }
    // A proof that is not of this password, or of no project, says nothing about it later.
    let forged = format!(
        "{} {{ARGON2ID}}$argon2id$v=19$m=65536,t=3,p=1$qfu2h2EkFFzoYVb9F69yFw$6f7/33EUWpYCU+EHBeX6LuN/NDhDAz6XR8gbi137NIY",
        BASE64.encode([7; 60])
    );
    let sealed = client.transit.seal(&address, field, &Clear::new(forged));
    refused(&client, "a forged proof", secret("a", "password", json!({ "sealed": sealed })));
}

/// Keys of clients that are none.
#[test]
fn a_client_has_a_key_that_is_one() {
    let site = site();
    let low = "0".repeat(64);
    for key in ["", "x", &"0".repeat(63), &"z".repeat(64), &"0".repeat(100_000), &low, "01\u{e9}"] {
        let headers = [("accept", NDJSON), ("yubin-client-key", key), ("yubin-project", PROJECT)];
        let Ok(answer) = site.api().try_call(Method::GET, "/v1/resources", &headers, "") else { continue };
        assert!((400..500).contains(&answer.status) || !answer.body.contains("\"lent\":\""), "{answer}");
        assert!(answer.status < 500 && !answer.body.contains("\"sealed\":"), "{answer}");
    }
    let key = ClientKey::generate().unwrap().public();
    for project in ["", "nobody", "*", "head-office/../branch"] {
        let headers = [("accept", NDJSON), ("yubin-client-key", key.as_str()), ("yubin-project", project)];
        let answer = site.api().call(Method::GET, "/v1/resources", &headers, "");
        assert!(
            answer.status < 500 && !answer.body.contains("\"lent\":\"") && !answer.body.contains("\"sealed\":"),
            "{answer}"
        );
    }
}
