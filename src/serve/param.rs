//! Parameters of routes: what they take, checked strictly and documented from the same words.

use hyper::HeaderMap;
use hyper::header::HeaderName;
use serde_json::{Value as Json, json};

use super::problem::Problem;
use crate::model::{Address, Kind};
use crate::wire::remote;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    Path,
    Query,
    Header,
}

#[derive(Clone, Copy, Debug)]
pub enum Takes {
    Number {
        min: u64,
        max: u64,
    },
    Flag,
    /// So many characters, none of them control characters.
    Text {
        max: usize,
    },
    /// Characters that a header can hold.
    Visible {
        max: usize,
    },
    Words(&'static [&'static str]),
    Kind,
    Address,
    /// A revision, with the count of outside writes behind a dot.
    Tag,
    /// So many hexadecimal digits.
    Hex(usize),
}

pub struct Param {
    pub name: &'static str,
    pub place: Where,
    pub takes: Takes,
    pub required: bool,
    pub doc: &'static str,
}

pub const fn query(name: &'static str, takes: Takes, doc: &'static str) -> Param {
    Param { name, place: Where::Query, takes, required: false, doc }
}

pub const fn path(name: &'static str, takes: Takes, doc: &'static str) -> Param {
    Param { name, place: Where::Path, takes, required: true, doc }
}

pub const fn header(name: &'static str, takes: Takes, doc: &'static str) -> Param {
    Param { name, place: Where::Header, takes, required: false, doc }
}

/// Numbers that JSON readers hold exactly.
pub const LARGEST: u64 = (1 << 53) - 1;

impl Takes {
    pub fn schema(self) -> Json {
        match self {
            Takes::Number { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
            Takes::Flag => json!({ "type": "boolean" }),
            Takes::Text { max } => {
                json!({ "type": "string", "minLength": 1, "maxLength": max, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$" })
            }
            Takes::Visible { max } => {
                json!({ "type": "string", "minLength": 1, "maxLength": max, "pattern": "^[!-~]+$" })
            }
            Takes::Words(words) => json!({ "enum": words }),
            Takes::Kind => json!({ "enum": Kind::ALL.map(Kind::name) }),
            Takes::Address => json!({
                "type": "string", "maxLength": 4096, "pattern": r"^(account|server)/[^/%\u0000-\u001f\u007f-\u009f]+$|^pattern/[^/%\u0000-\u001f\u007f-\u009f]+/[^/%\u0000-\u001f\u007f-\u009f]+$",
                "example": "pattern/taro/pattern1",
            }),
            Takes::Tag => json!({ "type": "string", "pattern": TAG, "maxLength": 40, "example": "41" }),
            Takes::Hex(digits) => json!({ "type": "string", "pattern": format!("^[0-9a-f]{{{digits}}}$") }),
        }
    }

    fn check(self, text: &str) -> Result<(), String> {
        let fits = match self {
            Takes::Number { min, max } => {
                let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse::<u64>().ok().filter(|number| plain && (min..=max).contains(number));
                return number.map(drop).ok_or_else(|| format!("a number from {min} to {max}"));
            }
            Takes::Flag => return matches!(text, "true" | "false").then_some(()).ok_or("`true` or `false`".to_owned()),
            Takes::Text { max } => {
                let fits = !text.is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control);
                return fits.then_some(()).ok_or_else(|| format!("1 to {max} characters, no control characters"));
            }
            Takes::Visible { max } => {
                let fits = (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
                return fits.then_some(()).ok_or_else(|| format!("1 to {max} visible ASCII characters"));
            }
            Takes::Words(words) => {
                return words.contains(&text).then_some(()).ok_or_else(|| format!("one of {}", words.join(", ")));
            }
            Takes::Kind => {
                let words = Kind::ALL.map(Kind::name).join(", ");
                return Kind::from_name(text).map(drop).ok_or_else(|| format!("one of {words}"));
            }
            Takes::Address => Address::parse(text).is_ok(),
            Takes::Tag => remote::read_tag(text).is_some(),
            Takes::Hex(digits) => {
                text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            }
        };
        fits.then_some(()).ok_or_else(|| match self {
            Takes::Address => "an address such as `account/info`, percent-encoded".to_owned(),
            Takes::Tag => "a revision as an ETag of this server names it".to_owned(),
            Takes::Hex(digits) => format!("{digits} hexadecimal digits in lower case"),
            _ => "something else".to_owned(),
        })
    }
}

pub const TAG: &str = r#"^("[0-9]{1,15}(\.[0-9]{1,15})?"|[0-9]{1,15}(\.[0-9]{1,15})?)$"#;

/// What a request gives, checked.
#[derive(Default)]
pub struct Given(Vec<(&'static str, String)>);

impl Given {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, text)| text.as_str())
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    fn put(&mut self, param: &Param, text: String) -> Result<(), Problem> {
        if self.text(param.name).is_some() {
            return Err(Problem::bad(format!("`{}` is given twice", param.name)));
        }
        param.takes.check(&text).map_err(|fit| Problem::bad(format!("`{}` is not {fit}", param.name)))?;
        self.0.push((param.name, text));
        Ok(())
    }
}

/// Takes the parameters of a request; `path` is what stands in the place of those of the path.
pub fn take(
    params: &'static [Param],
    path: Vec<String>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Given, Problem> {
    let mut given = Given::default();
    for (param, text) in params.iter().filter(|param| param.place == Where::Path).zip(path) {
        given.put(param, text)?;
    }
    for pair in query.into_iter().filter(|query| !query.is_empty()).flat_map(|query| query.split('&')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| {
            decoded(&text.replace('+', " ")).ok_or_else(|| Problem::bad("the query is not percent-encoded UTF-8"))
        };
        let name = decode(name)?;
        let known = params.iter().find(|param| param.place == Where::Query && param.name == name);
        let known = known.ok_or_else(|| {
            let names: Vec<&str> =
                params.iter().filter(|param| param.place == Where::Query).map(|param| param.name).collect();
            let problem = Problem::bad("there is a parameter in the query that this call does not know");
            match names.as_slice() {
                [] => problem.hint("it takes none"),
                names => problem.hint(format!("it knows {}", names.join(", "))),
            }
        })?;
        given.put(known, decode(value)?)?;
    }
    for param in params.iter().filter(|param| param.place == Where::Header) {
        let name = HeaderName::from_bytes(param.name.as_bytes()).map_err(|_| Problem::bad("a header"))?;
        for value in headers.get_all(name) {
            let text = std::str::from_utf8(value.as_bytes())
                .map_err(|_| Problem::bad(format!("the header `{}` is not UTF-8", param.name)))?;
            given.put(param, text.trim().to_owned())?;
        }
    }
    if let Some(missing) = params.iter().find(|param| param.required && given.text(param.name).is_none()) {
        return Err(Problem::bad(format!("`{}` is missing", missing.name)));
    }
    Ok(given)
}

/// Percent-decoding; `None` if that is not how it is encoded, or no UTF-8.
pub fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(digits[0])? << 4 | digit(digits[1])?);
        rest = tail;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMS: &[Param] = &[
        path("address", Takes::Address, ""),
        query("limit", Takes::Number { min: 1, max: 10 }, ""),
        query("wait", Takes::Flag, ""),
        header("If-Match", Takes::Tag, ""),
    ];

    fn check(at: &str, query: &str, tag: Option<&str>) -> Result<Given, Problem> {
        let mut headers = HeaderMap::new();
        if let Some(tag) = tag {
            headers.insert("if-match", tag.parse().unwrap());
        }
        take(PARAMS, vec![at.to_owned()], Some(query), &headers)
    }

    #[test]
    fn what_is_right_is_taken() {
        let given = check("account/info", "limit=10&wait=true", Some("\"7.1\"")).unwrap();
        assert_eq!(given.number("limit"), Some(10));
        assert!(given.flag("wait"));
        assert_eq!(given.text("If-Match"), Some("\"7.1\""));
        assert!(check("account/info", "", None).unwrap().number("limit").is_none());
        assert!(check("account/info", "limit=%35", None).is_ok());
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for query in [
            "limit=",
            "limit=0",
            "limit=11",
            "limit=+1",
            "limit=1.0",
            "limit=1&limit=1",
            "colour=red",
            "wait",
            "&",
            "limit=%zz",
            "limit=%3",
            "limit=1%00",
            "%ff=1",
            "limit=99999999999999999999",
        ] {
            assert!(check("account/info", query, None).is_err(), "{query}");
        }
        for at in ["info", "account/", "account/a\0", "pattern/a"] {
            assert!(check(at, "", None).is_err(), "{at:?}");
        }
        for tag in ["", "x", "\"7", "7.", "W/\"7\"", "*"] {
            assert!(check("account/info", "", Some(tag)).is_err(), "{tag}");
        }
    }
}
