//! `yubin token`

use std::fmt::Write as _;

use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::{Common, End, print, print_data, print_json};
use crate::model::{Clear, Code, Error, Result, Scope, StorePlace, Token};
use crate::pipeline::{AskedToken, Home, make_token, written};
use crate::render::text;
use crate::store::Desk;
use crate::wire;

/// Say who may call a server
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Make a token, and print it: nothing keeps it
    Create {
        /// Whose it is, or what for: it stands in the audit
        name: String,
        /// What it allows; each includes those before it
        #[arg(long, value_enum)]
        scope: Allowed,
        /// A project whose resources it may change and whose secrets it may compare; `*` is every project
        #[arg(long, value_name = "PROJECT")]
        owner: Vec<String>,
        /// How long it holds, such as `90d`, or until when; for ever by default
        #[arg(long, value_name = "WHEN")]
        expires: Option<String>,
    },
    /// Print all tokens, without the tokens themselves
    List,
    /// Make a token hold no more
    Revoke {
        /// As `yubin token list` prints it
        id: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Allowed {
    Read,
    Apply,
    Admin,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let keeper = Keeper::open(common)?;
    match &args.verb {
        Verb::Create { name, scope, owner, expires } => {
            let scope = match scope {
                Allowed::Read => Scope::Read,
                Allowed::Apply => Scope::Apply,
                Allowed::Admin => Scope::Admin,
            };
            let asked = AskedToken { name, scope, owners: owner.clone(), expires: expires.as_deref() };
            let (id, token) = keeper.create(asked)?;
            if common.is_json() {
                print_json(&json!({ "format_version": wire::FORMAT_VERSION, "id": id, "token": token.expose() }))?;
            } else {
                print_data(|to| writeln!(to, "{}", token.expose()))?;
                common.say(&format!("token {id}: it is printed only now"));
            }
        }
        Verb::List => {
            let tokens = keeper.list()?;
            if common.is_json() {
                print_json(&json!({ "format_version": wire::FORMAT_VERSION, "tokens": tokens }))?;
            } else {
                print(|to| tokens.iter().try_for_each(|token| writeln!(to, "{}", line(token))))?;
            }
        }
        Verb::Revoke { id } => {
            if !keeper.revoke(id)? {
                return Err(Error::new(Code::Usage, "there is no such token, or it is revoked already")
                    .hint("`yubin token list` prints them"));
            }
            common.say("the token holds no more");
        }
    }
    Ok(End::Done)
}

fn line(token: &Json) -> String {
    let word = |name: &str| text::harmless(token[name].as_str().unwrap_or_default()).into_owned();
    let owners: Vec<&str> = token["owners"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    // Writing to a string cannot fail.
    let mut line = format!("{}  {:5}  {}", word("id"), word("scope"), word("name"));
    if !owners.is_empty() {
        let _ = write!(line, "  of {}", text::harmless(&owners.join(", ")));
    }
    let _ = write!(line, "  since {}", word("created"));
    for (name, what) in [("expires", "until"), ("revoked", "revoked")] {
        if !token[name].is_null() {
            let _ = write!(line, "  {what} {}", word(name));
        }
    }
    line
}

/// What keeps the tokens: a store that is at hand, or a server.
enum Keeper {
    Store(Home),
    Server(Remote),
}

impl Keeper {
    fn open(common: &Common) -> Result<Keeper> {
        let (name, base) = common.store_name()?;
        if let StorePlace::Http(url) = StorePlace::parse(&name)? {
            return Remote::open(&url).map(Keeper::Server);
        }
        let home = Home::open(&name, &base)?;
        if home.store.desk().is_none() {
            return Err(Error::new(Code::Usage, "this store keeps no tokens"));
        }
        Ok(Keeper::Store(home))
    }

    fn create(&self, asked: AskedToken<'_>) -> Result<(String, Clear)> {
        match self {
            Keeper::Store(home) => {
                let (token, text) = make_token(asked, Timestamp::now())?;
                if let Some(desk) = home.store.desk() {
                    desk.prepare()?;
                    desk.add_token(&token)?;
                }
                Ok((token.id, text))
            }
            Keeper::Server(remote) => {
                // Refused here as there, in the words of the command line.
                make_token(AskedToken { owners: asked.owners.clone(), ..asked }, Timestamp::now())?;
                let body = json!({
                    "name": asked.name,
                    "scope": asked.scope.name(),
                    "owners": asked.owners,
                    "expires": asked.expires,
                });
                let json = remote.call(reqwest::Method::POST, "/v1/tokens", Some(&body))?.unwrap_or_default();
                let word = |name: &str| json[name].as_str().map(str::to_owned);
                word("id").zip(word("token")).map(|(id, token)| (id, Clear::new(token))).ok_or_else(odd)
            }
        }
    }

    fn list(&self) -> Result<Vec<Json>> {
        match self {
            Keeper::Store(home) => {
                // Where there is no store yet, there are no tokens.
                if home.store.snapshot()?.is_none() {
                    return Ok(Vec::new());
                }
                let tokens: Vec<Token> = home.store.desk().map(Desk::tokens).transpose()?.unwrap_or_default();
                Ok(tokens.iter().map(wire::token).collect())
            }
            Keeper::Server(remote) => {
                let json = remote.call(reqwest::Method::GET, "/v1/tokens", None)?.unwrap_or_default();
                json["tokens"].as_array().cloned().ok_or_else(odd)
            }
        }
    }

    fn revoke(&self, id: &str) -> Result<bool> {
        if id.len() != 8 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(false);
        }
        match self {
            Keeper::Store(home) => {
                if home.store.snapshot()?.is_none() {
                    return Ok(false);
                }
                let desk = home.store.desk();
                desk.map_or(Ok(false), |desk| desk.revoke_token(id, &written(Timestamp::now())))
            }
            Keeper::Server(remote) => {
                Ok(remote.call(reqwest::Method::DELETE, &format!("/v1/tokens/{id}"), None)?.is_some())
            }
        }
    }
}

fn odd() -> Error {
    Error::failure("the answer is not that of a yubin server")
}

/// A server, and a token of the scope `admin`.
struct Remote {
    url: String,
    shown: String,
    token: Zeroizing<String>,
    client: reqwest::blocking::Client,
}

impl Remote {
    fn open(url: &str) -> Result<Remote> {
        let shown = StorePlace::Http(url.to_owned()).shown();
        let token = match (std::env::var("YUBIN_TOKEN"), std::env::var_os("YUBIN_TOKEN_FILE")) {
            (Ok(token), _) if !token.is_empty() => Zeroizing::new(token),
            (_, Some(path)) => std::fs::read_to_string(path)
                .map(|text| Zeroizing::new(text.trim().to_owned()))
                .map_err(|error| Error::failure("the file of YUBIN_TOKEN_FILE cannot be read").because(error))?,
            _ => {
                return Err(Error::failure("a server asks for a token, and there is none")
                    .hint("set YUBIN_TOKEN or YUBIN_TOKEN_FILE to a token of the scope `admin`"));
            }
        };
        // It is the same for all of the process; that it is there already is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::blocking::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(30))
            .build()
            .map_err(|error| Error::failure("no connection can be made").because(error))?;
        Ok(Remote { url: url.trim_end_matches('/').to_owned(), shown, token, client })
    }

    /// The answer, of which there may be none; `None` if there is no such thing.
    fn call(&self, method: reqwest::Method, path: &str, body: Option<&Json>) -> Result<Option<Json>> {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(self.token.as_str());
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let failed = |error: reqwest::Error| {
            Error::failure(format!("{} cannot be reached", self.shown)).because(error.without_url())
        };
        let answer = request.send().map_err(failed)?;
        let status = answer.status();
        let text = answer.text().map_err(failed)?;
        let json: Option<Json> = serde_json::from_str(&text).ok();
        match status.as_u16() {
            404 => Ok(None),
            200..300 => Ok(Some(json.unwrap_or_default())),
            _ => {
                let said = json.as_ref().and_then(|json| json["detail"].as_str()).unwrap_or("it gives no reason");
                let hint = json.as_ref().and_then(|json| json["hint"].as_str());
                let error = Error::failure(format!("{} answers {status}: {}", self.shown, text::harmless(said)));
                Err(match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                })
            }
        }
    }
}
