//! `yubin migrate ack` and `abandon`: a person's word

use std::collections::BTreeMap;

use super::{report, show};
use crate::commands::{Common, End, actor};
use crate::model::migration::{ACCOUNTS, Deed, Progress, Wait};
use crate::model::{Code, Error, Result};
use crate::pipeline::{Look, Word};

/// Say that a step is done, or consent to it
#[derive(clap::Args)]
pub struct Args {
    /// The step that waits
    #[arg(value_name = "STEP", value_parser = clap::value_parser!(u8).range(1..=7))]
    step: u8,
    /// Of this migration, if there are several
    name: Option<String>,
    /// What is to be remembered beside it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Step 3: the id that the product has given to the new server
    #[arg(long, value_name = "ID")]
    server_id: Option<String>,
    /// Step 6: a person has looked, in the place of a probe
    #[arg(long, requires = "note")]
    without_probe: bool,
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let mut session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let migration = session.migration(args.name.as_deref())?.clone();
    let Some(look) = session.look(&migration)? else { return common.invalid(&session.diagnostics) };
    if let Some(said) = done(&look, args.step) {
        common.say(&said);
        show(common, &[report(&session, &look)])?;
        return Ok(End::Done);
    }
    let mut evidence = given(&look, args)?;
    match args.step {
        5 => {
            let (names, problems) = session.names_now(&look);
            evidence.extend(names);
            session.diagnostics.extend(problems);
            if !common.is_json() {
                common.say_diagnostics(&session.diagnostics);
            }
        }
        7 => {
            evidence.insert("accounts".to_owned(), look.facts.old.to_string());
            let digest = look.last(2, Deed::Done).and_then(|done| done.act.evidence.get("digest"));
            evidence.extend(digest.map(|digest| ("backup".to_owned(), digest.clone())));
        }
        _ => {}
    }
    if args.step >= 5 {
        evidence.insert(ACCOUNTS.to_owned(), look.facts.accounts.clone());
    }
    bound(&mut evidence);
    let (actor, note) = (actor(), args.note.as_deref());
    let word = |deed| Word { step: args.step, deed, actor: &actor, note, evidence: evidence.clone() };
    let mut acts = look.acts.clone();
    acts.push(session.act(&migration, &acts, word(Deed::Ack))?);
    // What a person has said is done; where this run ends here, the next one takes it down.
    if matches!(args.step, 5 | 6) {
        session.act(&migration, &acts, word(Deed::Done))?;
    }
    super::shown(common, &migration)
}

/// What is said of a step that needs no word any more.
fn done(look: &Look, step: u8) -> Option<String> {
    match &look.standing.steps[usize::from(step) - 1] {
        Progress::Done(act) => Some(format!("step {step} is done already, by {} at {}", act.act.actor, act.at)),
        Progress::Due => {
            let ack = look.valid(step, Deed::Ack)?;
            Some(format!("step {step} was acknowledged already, by {} at {}", ack.act.actor, ack.at))
        }
        _ => None,
    }
}

/// What a person gives with the word; refused where none is asked for.
fn given(look: &Look, args: &Args) -> Result<BTreeMap<String, String>> {
    let step = args.step;
    let refuse = |message: String, hint: &str| Err(Error::new(Code::Refused, message).hint(hint));
    let status = "`yubin migrate status` says what is due";
    match look.standing.now {
        Some(now) if now == step => {}
        Some(now) => return refuse(format!("step {step} is not due: the migration is at step {now}"), status),
        None => return refuse(format!("the migration is {}", look.standing.state.name()), status),
    }
    if args.server_id.is_some() && step != 3 || args.without_probe && step != 6 {
        return Err(Error::new(Code::Usage, format!("that is nothing that step {step} asks for")));
    }
    let mut evidence = BTreeMap::new();
    let probe = "`yubin migrate next` probes it; a person who has looked says `--without-probe --note TEXT`";
    match &look.standing.steps[usize::from(step) - 1] {
        Progress::Waiting(Wait::Look) | Progress::Due if step == 6 => {
            if !args.without_probe {
                return refuse("step 6 takes no word without a look".to_owned(), probe);
            }
            evidence.insert("probe".to_owned(), "none".to_owned());
        }
        Progress::Waiting(Wait::HandedOver(_) | Wait::Dns | Wait::Look | Wait::Consent) => {}
        Progress::Waiting(Wait::Id) => {
            let is_number = |id: &&String| !id.is_empty() && id.len() <= 20 && id.bytes().all(|b| b.is_ascii_digit());
            let Some(id) = args.server_id.as_ref().filter(is_number) else {
                let message = "the id that the product has given to the new server is a number (004:148)";
                return Err(Error::new(Code::Usage, message).hint("as in `yubin migrate ack 3 --server-id 192`"));
            };
            evidence.insert("server_id".to_owned(), id.clone());
        }
        Progress::Waiting(Wait::Declare) => {
            return refuse("step 1 takes no word: the new server is declared".to_owned(), status);
        }
        Progress::Waiting(Wait::Grace(_) | Wait::Used(_)) => {
            return refuse("step 7 waits for no word".to_owned(), status);
        }
        _ => return refuse(format!("step {step} takes no word: `yubin migrate next` does it"), status),
    }
    Ok(evidence)
}

/// Evidence has a limit; what names resolve to may be long. What it is given for sorts before it, and stays.
fn bound(evidence: &mut BTreeMap<String, String>) {
    use crate::model::migration::{EVIDENCE, EVIDENCE_BYTES};
    let bytes = |evidence: &BTreeMap<String, String>| -> usize {
        evidence.iter().map(|(name, value)| name.len() + value.len()).sum()
    };
    while evidence.len() > EVIDENCE || bytes(evidence) > EVIDENCE_BYTES {
        evidence.pop_last();
    }
}

pub fn abandon(common: &Common, name: Option<&str>, note: &str) -> Result<End> {
    let mut session = common.session(false)?;
    if session.diagnostics.has_errors() {
        return common.invalid(&session.diagnostics);
    }
    let migration = session.migration(name)?.clone();
    let Some(look) = session.look(&migration)? else { return common.invalid(&session.diagnostics) };
    let Some(step) = look.standing.now else {
        let state = look.standing.state.name();
        return Err(Error::new(Code::Refused, format!("the migration is {state} already")));
    };
    let (actor, evidence) = (actor(), BTreeMap::new());
    let word = Word { step, deed: Deed::Abandoned, actor: &actor, note: Some(note), evidence };
    session.act(&migration, &look.acts, word)?;
    super::shown(common, &migration)
}
