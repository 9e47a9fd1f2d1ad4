//! Names that are made of others: texts with words in braces.

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// What stands in braces.
    Hole(String),
}

/// Parts a template; `None` if braces do not match.
fn pieces(text: &str) -> Option<Vec<Piece>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(open);
        let inside = from.strip_prefix('{')?;
        let (hole, behind) = inside.split_once('}')?;
        if !before.is_empty() {
            found.push(Piece::Text(before.to_owned()));
        }
        found.push(Piece::Hole(hole.to_owned()));
        rest = behind;
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest.to_owned()));
    }
    Some(found)
}

const BRACES: &str = "the braces do not match";

/// How a new entry is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming(Vec<Piece>);

impl Naming {
    /// `Err` says what is wrong.
    pub fn parse(text: &str) -> Result<Naming, &'static str> {
        let pieces = pieces(text).ok_or(BRACES)?;
        let mut has_name = false;
        for piece in &pieces {
            let Piece::Hole(word) = piece else { continue };
            match word.as_str() {
                "to" => {}
                "name" => has_name = true,
                _ if distance(word).is_some() => has_name = true,
                _ => return Err("known are `{name}`, `{name+1000}` and `{to}`"),
            }
        }
        if !has_name {
            return Err("without `{name}`, all entries would be called the same");
        }
        if matches!(pieces.as_slice(), [Piece::Hole(word)] if word == "name") {
            return Err("the new entry would be called as the old one, which stays until the end");
        }
        Ok(Naming(pieces))
    }

    /// The name for an entry on the server `to`; `Err` says why there is none.
    pub fn of(&self, name: &str, to: &str) -> Result<String, String> {
        let mut made = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => made.push_str(text),
                Piece::Hole(word) if word == "name" => made.push_str(name),
                Piece::Hole(word) if word == "to" => made.push_str(to),
                Piece::Hole(word) => {
                    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
                    let sum = name.parse::<u64>().ok().filter(|_| digits).zip(distance(word));
                    let sum = sum.and_then(|(number, more)| number.checked_add(more));
                    let sum = sum.ok_or_else(|| format!("`{{{word}}}` needs a name that is a number"))?;
                    made.push_str(&sum.to_string());
                }
            }
        }
        Ok(made)
    }
}

/// Of `name+1000`.
fn distance(word: &str) -> Option<u64> {
    let digits = word.strip_prefix("name+")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?.filter(|more| *more > 0)
}

/// Who the user is at the new server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(Vec<Piece>);

impl Username {
    /// `Err` says what is wrong.
    pub fn parse(text: &str) -> Result<Username, &'static str> {
        let pieces = pieces(text).ok_or(BRACES)?;
        let known = |word: &str| matches!(word, "username" | "address" | "local");
        if pieces.iter().any(|piece| matches!(piece, Piece::Hole(word) if !known(word))) {
            return Err("known are `{username}`, `{address}` and `{local}`");
        }
        if !pieces.iter().any(|piece| matches!(piece, Piece::Hole(_))) {
            return Err("without `{username}`, `{address}` or `{local}`, all would be the same user");
        }
        Ok(Username(pieces))
    }

    /// The user of an entry that has this user and this address; `None` if nothing is to be written, `Err` says why
    /// there is no user.
    pub fn of(&self, username: Option<&str>, address: Option<&str>) -> Result<Option<String>, String> {
        let plain = matches!(self.0.as_slice(), [Piece::Hole(word)] if word == "username");
        if plain && username.is_none() {
            return Ok(None);
        }
        let mut made = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => made.push_str(text),
                Piece::Hole(word) if word == "username" => {
                    made.push_str(username.or(address).ok_or("it has neither a user name nor an address")?);
                }
                Piece::Hole(word) => {
                    let address = address.ok_or("it has no address")?;
                    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
                    made.push_str(if word == "local" { local } else { address });
                }
            }
        }
        Ok(Some(made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made() {
        let name = |template: &str, name: &str| Naming::parse(template).unwrap().of(name, "new");
        assert_eq!(name("{name}-new", "a").unwrap(), "a-new");
        assert_eq!(name("{to}.{name}", "a").unwrap(), "new.a");
        assert_eq!(name("{name+1000}", "191").unwrap(), "1191");
        assert!(name("{name+1000}", "a1").is_err() && name("{name+1}", "+1").is_err() && name("{name+1}", "").is_err());
        assert!(name("{name+1}", "18446744073709551615").is_err());
        for wrong in ["x", "{to}", "{name}", "{name", "name}", "{nam}", "{name+}", "{name+0}", "{name+-1}", "{{name}}"]
        {
            assert!(Naming::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn users_are_made() {
        let user = |template: &str, username, address| Username::parse(template).unwrap().of(username, address);
        let address = Some("taro@example.jp");
        assert_eq!(user("{username}", Some("taro"), address), Ok(Some("taro".to_owned())));
        assert_eq!(user("{username}", None, address), Ok(None));
        assert_eq!(user("x-{username}", None, address), Ok(Some("x-taro@example.jp".to_owned())));
        assert_eq!(user("{address}", Some("t"), address), Ok(address.map(str::to_owned)));
        assert_eq!(user("{local}@new.jp", None, address), Ok(Some("taro@new.jp".to_owned())));
        assert!(user("{local}", Some("t"), None).is_err() && user("a{username}", None, None).is_err());
        for wrong in ["x", "{name}", "{username"] {
            assert!(Username::parse(wrong).is_err(), "{wrong}");
        }
    }
}
