//! What is done in each step.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::next::Args;
use crate::bundle;
use crate::commands::annotate::Annotations;
use crate::commands::files::{Anew, real, replace_all};
use crate::commands::hand_over::{self, Asked as HandOver};
use crate::commands::{Common, End, actor, apply, is_interactive, plan, print, print_json, probe};
use crate::guard;
use crate::model::migration::{ACCOUNTS, Act, Deed};
use crate::model::{Address, Code, Diagnostic, Error, Kind, Plan, Result};
use crate::pipeline::{AskProbe, Asked, Exact, Look, Planned, Removal, Session, Verified, Word};
use crate::render::text;
use crate::{render, wire};

/// Entries that are named one by one, if they do not receive and send.
const NAMED: usize = 20;

/// Folder of what is handed over, with `/`.
const HANDED: &str = ".yubin/migrations";

/// What has come of a part of a step.
pub enum Did {
    /// It goes on; what was done, if there is anything to say.
    Part(String),
    /// The plan that `--ack` names is applied; it names no other.
    Acknowledged,
    /// The reason has been said.
    Stopped(End),
}

/// Does a part of the step that is due.
pub fn due(common: &Common, mut session: Session, look: &Look, step: u8, args: &Args) -> Result<Did> {
    let migration = &look.migration;
    let take_down = |session: &Session, deed: Deed, evidence: &[(&str, String)]| -> Result<Did> {
        record(session, look, step, deed, evidence)?;
        clear(session, look, step)?;
        Ok(Did::Part(told(evidence)))
    };
    if look.acts.is_empty() {
        let evidence = [("from", migration.from.name.clone()), ("to", migration.to.name.clone())];
        record(&session, look, 1, Deed::Opened, &evidence)?;
        return Ok(Did::Part(String::new()));
    }
    let accounts = ("accounts", look.facts.old.to_string());
    match step {
        1 if look.facts.to_stored => {
            let revision = look.servers.get(&migration.to.name).map_or(0, |row| row.revision);
            take_down(&session, Deed::Done, &[("revision", revision.to_string())])
        }
        1 => carry_out(common, look, step, vec![migration.new_server()], args),
        2 => {
            let (folder, digest) = session.back_up(look)?;
            let digests = [(ACCOUNTS, look.facts.accounts.clone()), ("digest", digest)];
            take_down(&session, Deed::Done, &[&[accounts, ("folder", folder)][..], &digests].concat())
        }
        3 if look.facts.undeclared == 0 => take_down(&session, Deed::Done, &[accounts]),
        3 => match session.write_entries(look)? {
            Some((file, count)) => {
                let entries = if count == 1 { "1 entry" } else { &format!("{count} entries") };
                Ok(Did::Part(format!("{entries} in {file}, for review and commit")))
            }
            None => Ok(Did::Stopped(common.invalid(&session.diagnostics)?)),
        },
        4 if look.facts.unstored == 0 => {
            let revision = session.base()?.revision.to_string();
            take_down(&session, Deed::Done, &[accounts, ("revision", revision)])
        }
        4 => {
            let new = look.pairs.iter().filter(|pair| !pair.stored);
            let new = new.map(|pair| Address::new(Kind::Account, pair.new.clone())).collect();
            carry_out(common, look, step, new, args)
        }
        6 if look.valid(6, Deed::Ack).is_none() => verify(common, session, look),
        // A person has said so, and the run that took it down did not come to the end.
        5 | 6 => match look.valid(step, Deed::Ack) {
            Some(ack) => repeat(&session, look, ack),
            None => Ok(Did::Part(String::new())),
        },
        _ => remove(common, &session, look, args),
    }
}

fn record(session: &Session, look: &Look, step: u8, deed: Deed, evidence: &[(&str, String)]) -> Result<Act> {
    let actor = actor();
    let evidence = evidence.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    session.act(&look.migration, &look.acts, Word { step, deed, actor: &actor, note: None, evidence })
}

fn repeat(session: &Session, look: &Look, ack: &Act) -> Result<Did> {
    let Act { act, at: _ } = ack;
    let (note, evidence) = (act.note.as_deref(), act.evidence.clone());
    let word = Word { step: act.step, deed: Deed::Done, actor: &act.actor, note, evidence };
    session.act(&look.migration, &look.acts, word)?;
    Ok(Did::Part(String::new()))
}

fn told(evidence: &[(&str, String)]) -> String {
    let shown = evidence.iter().filter(|(name, _)| *name != ACCOUNTS);
    let each = shown.map(|(name, value)| format!("{name} {value}"));
    each.collect::<Vec<_>>().join(", ")
}

/// Plans exactly these, and applies it; for a product without an interface, hands it over first.
fn carry_out(common: &Common, look: &Look, step: u8, addresses: Vec<Address>, args: &Args) -> Result<Did> {
    // What was said about the files so far would be said again.
    let mut session = common.session(false)?;
    let name = format!("migration {}, step {step}", look.migration.name);
    let exact = Exact { name, addresses: addresses.into_iter().collect::<HashSet<_>>() };
    let probe = if args.probe { AskProbe::Demand } else { AskProbe::Not };
    let asked = Asked { exact: Some(exact), probe, ..Asked::default() };
    let Some(mut planned) = session.plan(&asked)? else {
        return Ok(Did::Stopped(common.invalid(&session.diagnostics)?));
    };
    if planned.plan.is_empty() {
        let message =
            format!("step {step} needs a plan, and there is nothing that the files ask for and the store lacks");
        return Err(Error::new(Code::Conflict, message).hint("look at `yubin migrate status` and `yubin plan`"));
    }
    let consent = args.ack.as_deref() == Some(planned.digest.as_str());
    let approved = guard::approve(&planned.plan, &planned.verdict, consent).is_some();
    if look.facts.handed_over && approved {
        let id = content(&planned);
        let handed = look.last(step, Deed::Handed).filter(|handed| handed.act.evidence.get("id") == Some(&id));
        if handed.is_none() {
            return hand_over(common, &session, look, step, &planned, &id);
        }
    }
    planned.plan.note = Some(format!("migration {} step {step}", look.migration.name));
    let ack = args.ack.as_deref();
    let nothing = Annotations::default();
    let done = apply::carry_out_as_part(common, &session, planned, args.yes, ack, &nothing, &|_, _, _, _| Ok(()))?;
    if matches!(done, End::Done) {
        clear(&session, look, step)?;
    }
    Ok(match done {
        End::Done if ack.is_some() => Did::Acknowledged,
        End::Done => Did::Part(String::new()),
        end => Did::Stopped(end),
    })
}

/// What a person has to carry out, wherever store and files are by then.
fn content(planned: &Planned) -> String {
    let plan = &planned.plan;
    let (changes, files) = (plan.changes.clone(), plan.files.clone());
    // Of no revision and no configuration.
    let bare = Plan { project: plan.project.clone(), system: plan.system, changes, files, ..Plan::default() };
    let mut hasher = blake3::Hasher::new();
    hasher.update(wire::digest(&bare).as_bytes());
    hasher.update(planned.changed_secrets.as_bytes());
    hasher.finalize().to_hex()[..12].to_owned()
}

fn hand_over(common: &Common, session: &Session, look: &Look, step: u8, planned: &Planned, id: &str) -> Result<Did> {
    let name = &look.migration.name;
    let to = look.migration.to.name.clone();
    // What the store knows itself is not told once more.
    let known = look.server_id().filter(|_| session.project.system.name == "cybozu-office");
    let server_ids: BTreeMap<String, String> = known.map(|id| (to, id.to_owned())).into_iter().collect();
    let apply = format!("yubin {}migrate ack {step} {name}", hand_over::place(common));
    let asked = HandOver { server_ids: &server_ids, unproven: false, apply: &apply };
    let formats = bundle::formats(session.project.system);
    let format = formats.last().copied().unwrap_or_default();
    let made = hand_over::make(session, planned, format, &asked)?;
    let folder = format!("{HANDED}/{name}-{step}-{id}");
    let place = session.project.root.join(&folder);
    ignore(&session.project.root.join(HANDED))?;
    // One that is there is whole, and of the same plan.
    if !place.exists() {
        hand_over::write(&place, &made, "utf-8")?;
    }
    record(session, look, step, Deed::Handed, &[("folder", folder.clone()), ("id", id.to_owned())])?;
    Ok(Did::Part(format!(
        "{} for {} in {folder}",
        text::number(made.files.len(), "file"),
        session.project.system.product
    )))
}

/// What is handed over may hold passwords: git passes over the folder, whatever the project's own `.gitignore` says.
fn ignore(folder: &Path) -> Result<()> {
    let file = folder.join(".gitignore");
    if file.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, "*\n"))
        .map_err(|error| Error::failure(format!("{} cannot be written", file.display())).because(error))
}

/// Takes away what was handed over in a step, once it is recorded as carried out.
fn clear(session: &Session, look: &Look, step: u8) -> Result<()> {
    let handed = look.acts.iter().map(|act| &act.act).filter(|act| act.step == step && act.deed == Deed::Handed);
    for folder in handed.filter_map(|act| act.evidence.get("folder")) {
        // What is recorded may come from elsewhere: nothing but a folder right in ours is removed.
        let name = folder.strip_prefix(HANDED).and_then(|rest| rest.strip_prefix('/'));
        let Some(name) = name.filter(|name| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']))
        else {
            continue;
        };
        let place = session.project.root.join(HANDED).join(name);
        match fs::remove_dir_all(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::failure(format!("{} cannot be removed", place.display())).because(error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn verify(common: &Common, mut session: Session, look: &Look) -> Result<Did> {
    probe::refuse_untrusted(common)?;
    let bar = indicatif::ProgressBar::hidden();
    let verified = session.verify(look, &|done| bar.set_position(done as u64))?;
    let Some(Verified { probed, targets, asked, wanting }) = verified else {
        return Ok(Did::Stopped(common.invalid(&session.diagnostics)?));
    };
    if wanting.is_empty() && asked > 0 {
        let sent = look.migration.send.clone().unwrap_or_else(|| "nothing".to_owned());
        let count = |well: usize| well.to_string();
        let well = count(asked - wanting.len());
        let of = look.facts.accounts.clone();
        let evidence = [("probed", count(asked)), ("sent", sent), ("well", well), (ACCOUNTS, of)];
        record(&session, look, 6, Deed::Done, &evidence)?;
        return Ok(Did::Part(told(&evidence)));
    }
    if common.is_json() {
        let wanting: Vec<_> = wanting
            .iter()
            .map(|(address, why)| serde_json::json!({ "address": address.to_string(), "why": why }))
            .collect();
        print_json(&serde_json::json!({
            "format_version": wire::FORMAT_VERSION,
            "outcome": "failed",
            "wanting": wanting,
            "probes": probed.iter().map(|one| wire::probed(one, &targets.places)).collect::<Vec<_>>(),
        }))?;
    } else {
        common.say_diagnostics(&session.diagnostics);
        let of_those = |one: &&crate::model::probe::Probed| wanting.iter().any(|(address, _)| *address == one.address);
        let shown: Vec<_> = probed.iter().filter(of_those).cloned().collect();
        print(|to| render::probe::text(&shown, &targets.places, probe::told(common), common.lang(), to))?;
        for (address, why) in wanting.iter().take(NAMED) {
            common.say(&format!("{address}: {why}"));
        }
        if wanting.len() > NAMED {
            common.say(&format!("and {} more", wanting.len() - NAMED));
        }
        common.say(&format!("{} of {asked} new entries do not receive and send; step 6 stays open", wanting.len()));
    }
    Ok(Did::Stopped(End::Code(Code::Failure)))
}

/// Takes what is to go out of the files, and deletes it; when all is gone, the migration is closed.
fn remove(common: &Common, session: &Session, look: &Look, args: &Args) -> Result<Did> {
    let addresses = session.to_remove(look);
    if addresses.is_empty() {
        let consent = look.last(7, Deed::Ack).map(|ack| format!("{} {}", ack.act.actor, ack.at));
        let evidence = [("accounts", look.accounts().to_string()), ("consent", consent.unwrap_or_default())];
        record(session, look, 7, Deed::Closed, &evidence)?;
        clear(session, look, 7)?;
        return Ok(Did::Part(String::new()));
    }
    if !args.yes && args.ack.is_none() && (common.is_json() || !is_interactive()) {
        return Err(Error::new(Code::Refused, "there is no terminal to ask on").hint("`--yes` goes on without asking"));
    }
    let Removal { files, tombstones, left } = session.removal(look, &addresses)?;
    let edited = files.len();
    if !left.is_empty() {
        let mut problems = crate::model::Diagnostics::default();
        for one in left {
            let message = format!("`{}` cannot be taken out of its file: {}", one.address, one.reason);
            let problem = Diagnostic::error("migration/left", message);
            let mut problem = problem.hint("take it out by hand, and start again").of(&one.address);
            if let Some(resource) = look.declared(one.address.kind, &one.address.key) {
                let (file, place) = (&look.draft.files[resource.source.file as usize], resource.source.place);
                problem = problem.at(file, place.line, place.column);
            }
            problems.push(problem);
        }
        let end = common.invalid(&problems)?;
        return Ok(Did::Stopped(match end {
            End::Code(_) => End::Code(Code::Waiting),
            end => end,
        }));
    }
    let (mut anew, mut former) = (Anew::new(), Anew::new());
    for (path, before, after) in files {
        // An editor may have saved it meanwhile.
        if fs::read(&path).ok().as_ref() != Some(&before) {
            let message = format!("{} has changed since it was read; no file has been changed", path.display());
            return Err(Error::new(Code::Conflict, message).hint("run the same command again"));
        }
        former.insert(real(&path), before);
        anew.insert(real(&path), after);
    }
    let tombstones = tombstones.map(|(path, text)| (fs::read(&path).ok(), path, text));
    let done = write_removal(&anew, tombstones.as_ref()).and_then(|()| {
        if edited > 0 && !common.is_json() {
            common.say(&format!("{} edited", text::number(edited, "file")));
        }
        carry_out(common, look, 7, addresses, args)
    });
    // A plan that was refused leaves the files as they were: nothing else may carry out what nobody has confirmed.
    if !matches!(done, Ok(Did::Part(_) | Did::Acknowledged)) {
        let restored = restore(&anew, &former, tombstones.as_ref());
        if edited > 0 && restored.is_ok() && !common.is_json() {
            common.say("the files are as they were before");
        }
        // The first failure counts.
        return done.and_then(|done| restored.map(|()| done));
    }
    done
}

/// What the file of the tombstones held, its path, and what it holds then.
type Tombstones = (Option<Vec<u8>>, PathBuf, String);

fn write_removal(anew: &Anew, tombstones: Option<&Tombstones>) -> Result<()> {
    if !anew.is_empty() {
        replace_all(anew)?;
    }
    if let Some((_, path, text)) = tombstones {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .map_err(|error| Error::failure(format!("{} cannot be made", parent.display())).because(error))?;
        }
        plan::replace(path, |to| to.write_all(text.as_bytes()))?;
    }
    Ok(())
}

/// Writes back what was there before; what somebody else has changed meanwhile stays.
fn restore(anew: &Anew, former: &Anew, tombstones: Option<&Tombstones>) -> Result<()> {
    // What is declared and absent at once would be an error, so the tombstones go first.
    if let Some((before, path, text)) = tombstones.filter(|(_, path, text)| holds(path, text.as_bytes())) {
        match before {
            Some(before) if before != text.as_bytes() => plan::replace(path, |to| to.write_all(before))?,
            Some(_) => {}
            None => fs::remove_file(path)
                .map_err(|error| Error::failure(format!("{} cannot be removed", path.display())).because(error))?,
        }
    }
    let ours = former.iter().filter(|(path, _)| anew.get(*path).is_some_and(|after| holds(path, after)));
    let back: Anew = ours.map(|(path, before)| (path.clone(), before.clone())).collect();
    if back.is_empty() { Ok(()) } else { replace_all(&back) }
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    fs::read(path).is_ok_and(|found| found == bytes)
}
