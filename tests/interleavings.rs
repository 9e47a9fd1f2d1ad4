//! Two people, two plans, one store: whatever the order in which their commands meet, the end is what some order of
//! whole commands gives, and what is refused has changed nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value as Json;

use crate::support::{Run, World};

// --- The model ----------------------------------------------------------------------------

const FIELDS: [&str; 2] = ["comment", "label"];

/// A number stands for a text; nothing for a field that is not written, or empty in the store.
type Fields = [Option<u8>; 2];
type Config = BTreeMap<&'static str, Fields>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Account {
    owner: &'static str,
    fields: Fields,
}

type State = BTreeMap<&'static str, Account>;
/// Fields by their place, with what they held before and after.
type Touched = Vec<(usize, Option<u8>, Option<u8>)>;

#[derive(Clone, Debug, PartialEq)]
struct Change {
    name: &'static str,
    before: Option<Account>,
    after: Option<Account>,
}

impl Change {
    fn action(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "add",
            (_, None) => "delete",
            _ => "overwrite",
        }
    }

    fn values(side: Option<&Account>) -> Fields {
        side.map_or([None; 2], |account| account.fields)
    }

    /// What a plan shows of it: the fields that it touches, before and after.
    fn touched(&self) -> Touched {
        let (before, after) = (Self::values(self.before.as_ref()), Self::values(self.after.as_ref()));
        (0..FIELDS.len()).filter(|at| before[*at] != after[*at]).map(|at| (at, before[at], after[at])).collect()
    }

    /// Have two changes of one resource a field in common? An add and a delete touch all of them.
    fn overlaps(&self, later: &Change) -> bool {
        let both = [self, later];
        let fields: Vec<BTreeSet<usize>> =
            both.iter().map(|one| one.touched().into_iter().map(|(at, ..)| at).collect()).collect();
        self.name == later.name
            && (both.iter().any(|one| one.action() != "overwrite") || !fields[0].is_disjoint(&fields[1]))
    }
}

/// The same changes, as a person sees them.
fn shown(changes: &[Change]) -> Vec<(&'static str, &'static str, Touched)> {
    changes.iter().map(|one| (one.action(), one.name, one.touched())).collect()
}

/// Refused by a rule.
#[derive(Clone, Debug, PartialEq)]
struct Refused;

/// What a project that deletes what it does not declare would do.
fn plan(state: &State, config: &Config, project: &'static str) -> Result<Vec<Change>, Refused> {
    let mut changes = Vec::new();
    for (name, fields) in config {
        let before = state.get(name);
        if before.is_some_and(|account| account.owner != project) {
            return Err(Refused);
        }
        let kept = Change::values(before);
        let fields = [fields[0].or(kept[0]), fields[1].or(kept[1])];
        let after = Some(Account { owner: project, fields });
        if before != after.as_ref() {
            changes.push(Change { name, before: before.cloned(), after });
        }
    }
    for (name, account) in state {
        if account.owner == project && !config.contains_key(name) {
            changes.push(Change { name, before: Some(account.clone()), after: None });
        }
    }
    Ok(changes)
}

/// Takes back one revision alone; refused where a later one has touched the same.
fn undo(state: &State, log: &[Vec<Change>], at: usize) -> Result<Vec<Change>, Refused> {
    let mut changes = Vec::new();
    for change in &log[at] {
        if log[at + 1..].iter().flatten().any(|later| change.overlaps(later)) {
            return Err(Refused);
        }
        let now = state.get(change.name).cloned();
        let after = match (change.action(), &now) {
            ("overwrite", Some(account)) => {
                let mut account = account.clone();
                for (field, before, _) in change.touched() {
                    account.fields[field] = before;
                }
                Some(account)
            }
            _ => change.before.clone(),
        };
        changes.push(Change { name: change.name, before: now, after });
    }
    Ok(changes)
}

fn take(state: &mut State, changes: &[Change]) {
    for change in changes {
        match &change.after {
            Some(account) => drop(state.insert(change.name, account.clone())),
            None => drop(state.remove(change.name)),
        }
    }
}

/// A command that changes something, whole: plan and apply in one.
#[derive(Clone, Debug)]
enum Transaction {
    Apply(Config, &'static str),
    /// Of what another transaction did.
    Undo(usize),
}

/// Every state that some of the transactions, in some order, end in.
fn serial_outcomes(transactions: &[Transaction]) -> BTreeSet<State> {
    fn go(
        all: &[Transaction],
        done: &mut Vec<usize>,
        log: &mut Vec<Vec<Change>>,
        state: &State,
        ends: &mut BTreeSet<State>,
    ) {
        ends.insert(state.clone());
        for (at, transaction) in all.iter().enumerate() {
            if done.contains(&at) {
                continue;
            }
            let changes = match transaction {
                Transaction::Apply(config, project) => plan(state, config, project),
                Transaction::Undo(of) => match done.iter().position(|one| one == of) {
                    Some(revision) => undo(state, log, revision),
                    None => Err(Refused),
                },
            };
            let Ok(changes) = changes else { continue };
            let mut next = state.clone();
            take(&mut next, &changes);
            done.push(at);
            log.push(changes);
            go(all, done, log, &next, ends);
            done.pop();
            log.pop();
        }
    }
    let mut ends = BTreeSet::new();
    go(transactions, &mut Vec::new(), &mut Vec::new(), &State::new(), &mut ends);
    ends
}

// --- The run ------------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Op {
    Edit(usize, Config),
    /// `plan --out`
    Plan(usize),
    /// `apply FILE`
    ApplyFile(usize),
    /// `apply FILE --rebase`
    Rebase(usize),
    /// `apply --yes`
    Apply(usize),
    /// `undo N --yes`
    Undo(usize, usize),
    /// `undo N --yes` of the last revision that this person made, if there is one
    UndoOwn(usize),
}

struct Saved {
    config: Config,
    revision: usize,
    changes: Result<Vec<Change>, Refused>,
    applied: bool,
}

struct Person {
    folder: World,
    project: &'static str,
    actor: &'static str,
    config: Config,
    saved: Option<Saved>,
}

struct Revision {
    by: usize,
    transaction: usize,
    changes: Vec<Change>,
    state: State,
}

struct Meeting {
    people: [Person; 2],
    state: State,
    revisions: Vec<Revision>,
    transactions: Vec<Transaction>,
    _store: World,
}

/// How many revisions a run may come to, and how many commands that would change something.
const REVISIONS: usize = 4;
const TRANSACTIONS: usize = 6;

fn yaml(config: &Config) -> String {
    let mut text = "accounts:\n".to_owned();
    for (name, fields) in config {
        let written = FIELDS.iter().zip(fields).filter_map(|(field, value)| Some(format!("{field}: v{}", (*value)?)));
        writeln!(text, "  {name}: {{ {} }}", written.collect::<Vec<_>>().join(", ")).unwrap();
    }
    text
}

/// What `show` prints, in the words of the model.
fn state_of(json: &Json) -> BTreeMap<String, (String, [Option<String>; 2])> {
    let word = |json: &Json| json.as_str().map(str::to_owned);
    let all = json["resources"].as_array().unwrap();
    all.iter()
        .map(|one| {
            let fields = FIELDS.map(|field| word(&one["fields"][field]));
            assert_eq!(one["fields"].as_object().unwrap().len(), fields.iter().flatten().count(), "{one}");
            (word(&one["key"][0]).unwrap(), (word(&one["owner"]).unwrap_or_default(), fields))
        })
        .collect()
}

fn words(state: &State) -> BTreeMap<String, (String, [Option<String>; 2])> {
    let fields = |account: &Account| account.fields.map(|value| value.map(|value| format!("v{value}")));
    state.iter().map(|(name, one)| ((*name).to_owned(), (one.owner.to_owned(), fields(one)))).collect()
}

impl Meeting {
    fn new(projects: [&'static str; 2], configs: [Config; 2]) -> Meeting {
        let store = World::new();
        let url = format!("sqlite:{}", store.file("yubin.db").display());
        let mut configs = configs.into_iter();
        let people = [(projects[0], "alice"), (projects[1], "bob")].map(|(project, actor)| {
            let folder = World::new();
            let policy = "policy: { undeclared: delete, max_deletes: 1000 }";
            folder.write("yubin.yaml", format!("version: 1\nname: {project}\nstore: {url}\n{policy}\n"));
            let config = configs.next().unwrap();
            folder.write("a.yaml", yaml(&config));
            Person { folder, project, actor, config, saved: None }
        });
        Meeting { people, state: State::new(), revisions: Vec::new(), transactions: Vec::new(), _store: store }
    }

    fn run(&self, who: usize, args: &[&str]) -> Run {
        let mut command = self.people[who].folder.command(args);
        Run::of(command.env("YUBIN_ACTOR", self.people[who].actor).output().unwrap())
    }

    fn log(&self) -> Vec<Vec<Change>> {
        self.revisions.iter().map(|one| one.changes.clone()).collect()
    }

    /// Runs a command; the exit code must be one of these. What succeeds does all of its changes, what does not,
    /// nothing.
    fn change(
        &mut self,
        who: usize,
        args: &[&str],
        codes: &[i32],
        changes: &[Change],
        transaction: Transaction,
    ) -> bool {
        self.transactions.push(transaction);
        let before =
            (self.run(0, &["show", "--format", "json"]).stdout, self.run(0, &["log", "--format", "json"]).stdout);
        let run = self.run(who, args);
        assert!(
            codes.contains(&run.code),
            "{args:?} by {who}: {} not in {codes:?}\n{}{}",
            run.code,
            run.stdout,
            run.stderr
        );
        let show = self.run(0, &["show", "--format", "json"]).stdout;
        if run.code == 0 {
            take(&mut self.state, changes);
            if !changes.is_empty() {
                let (transaction, changes) = (self.transactions.len() - 1, changes.to_vec());
                self.revisions.push(Revision { by: who, transaction, changes, state: self.state.clone() });
            }
        } else {
            let log = self.run(0, &["log", "--format", "json"]).stdout;
            assert_eq!((&show, &log), (&before.0, &before.1), "{args:?} was refused, and changed something");
        }
        let show: Json = serde_json::from_str(&show).unwrap();
        assert_eq!(state_of(&show), words(&self.state), "after {args:?} by {who}");
        assert_eq!(show["revision"], self.revisions.len(), "after {args:?} by {who}");
        run.code == 0
    }

    fn step(&mut self, op: &Op) {
        let now = self.revisions.len();
        match op {
            Op::Edit(who, config) => {
                let person = &mut self.people[*who];
                person.folder.write("a.yaml", yaml(config));
                person.config = config.clone();
            }
            Op::Plan(who) => {
                let person = &self.people[*who];
                let changes = plan(&self.state, &person.config, person.project);
                let config = person.config.clone();
                let run = self.run(*who, &["plan", "--out", "plan.json"]);
                assert_eq!(run.code, if changes.is_ok() { 0 } else { 4 }, "{}{}", run.stdout, run.stderr);
                self.people[*who].saved = Some(Saved { config, revision: now, changes, applied: false });
            }
            Op::ApplyFile(who) => {
                let person = &self.people[*who];
                let Some(saved) = &person.saved else { return };
                let old = saved.revision != now || saved.config != person.config;
                let (codes, changes): (&[i32], Vec<Change>) = match &saved.changes {
                    Ok(changes) if !old => (&[0], changes.clone()),
                    Ok(_) => (&[5], Vec::new()),
                    Err(Refused) if old => (&[4, 5], Vec::new()),
                    Err(Refused) => (&[4], Vec::new()),
                };
                let transaction = Transaction::Apply(saved.config.clone(), person.project);
                let done = self.change(*who, &["apply", "plan.json"], codes, &changes, transaction);
                self.people[*who].saved.as_mut().unwrap().applied |= done;
            }
            Op::Rebase(who) => {
                let person = &self.people[*who];
                let Some(saved) = &person.saved else { return };
                let fresh = plan(&self.state, &person.config, person.project);
                let codes: &[i32] = match (&saved.changes, &fresh) {
                    (_, Err(Refused)) => &[4, 5],
                    // It may have become what was refused then.
                    (Err(Refused), Ok(_)) => &[0, 4, 5],
                    (Ok(then), Ok(now)) if shown(then) != shown(now) => &[5],
                    // The same is to be done once more: a plan applies once, and yet these are its changes.
                    (Ok(now), _) if saved.applied && !now.is_empty() => &[0, 5],
                    _ => &[0],
                };
                let transaction = Transaction::Apply(person.config.clone(), person.project);
                let changes = fresh.unwrap_or_default();
                let done = self.change(*who, &["apply", "plan.json", "--rebase"], codes, &changes, transaction);
                self.people[*who].saved.as_mut().unwrap().applied |= done;
            }
            Op::Apply(who) => {
                let person = &self.people[*who];
                let changes = plan(&self.state, &person.config, person.project);
                let codes: &[i32] = if changes.is_ok() { &[0] } else { &[4] };
                let transaction = Transaction::Apply(person.config.clone(), person.project);
                self.change(*who, &["apply", "--yes"], codes, &changes.unwrap_or_default(), transaction);
            }
            Op::Undo(who, number) => {
                let text = number.to_string();
                let Some(revision) = self.revisions.get(number - 1) else {
                    assert_eq!(self.run(*who, &["undo", &text, "--yes"]).code, 64);
                    return;
                };
                let changes = undo(&self.state, &self.log(), number - 1);
                let foreign = self.people[revision.by].project != self.people[*who].project;
                let codes: &[i32] = match &changes {
                    Err(Refused) => &[4],
                    // What was another's may not be taken back, or brought back, by everyone.
                    Ok(_) if foreign => &[0, 4],
                    Ok(_) => &[0],
                };
                let transaction = Transaction::Undo(revision.transaction);
                self.change(*who, &["undo", &text, "--yes"], codes, &changes.unwrap_or_default(), transaction);
            }
            Op::UndoOwn(who) => {
                if let Some(at) = self.revisions.iter().rposition(|one| one.by == *who) {
                    self.step(&Op::Undo(*who, at + 1));
                }
            }
        }
    }

    /// The log tells what happened, and each revision stands on the one before.
    fn check_log(&self) {
        let json = |args: &[&str]| -> Json {
            let run = self.run(0, args);
            assert_eq!(run.code, 0, "{args:?}: {}", run.stderr);
            serde_json::from_str(&run.stdout).unwrap()
        };
        let log = json(&["log", "--format", "json"]);
        let log = log["revisions"].as_array().unwrap();
        assert_eq!(log.len(), self.revisions.len());
        for (at, (entry, revision)) in log.iter().rev().zip(&self.revisions).enumerate() {
            assert_eq!(entry["revision"], at + 1);
            assert_eq!(entry["actor"], self.people[revision.by].actor);
            assert_eq!(entry["project"], self.people[revision.by].project);
            for action in ["add", "overwrite", "delete"] {
                let count = revision.changes.iter().filter(|one| one.action() == action).count();
                assert_eq!(entry["summary"][action], count, "{action} of revision {}", at + 1);
            }
            let number = (at + 1).to_string();
            assert_eq!(state_of(&json(&["show", "--at", &number, "--format", "json"])), words(&revision.state));
            if at == 0 {
                continue;
            }
            // Before, it was as the revision before left it.
            let before = at.to_string();
            let between = json(&["plan", "--between", &before, &number, "--format", "json"]);
            let found: BTreeSet<String> = between["changes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| format!("{} {}", one["action"].as_str().unwrap(), one["key"][0].as_str().unwrap()))
                .collect();
            let wanted = revision.changes.iter().map(|one| format!("{} {}", one.action(), one.name)).collect();
            assert_eq!(found, wanted, "between {before} and {number}");
        }
    }
}

fn meet(projects: [&'static str; 2], configs: [Config; 2], ops: &[Op]) {
    let mut meeting = Meeting::new(projects, configs);
    for op in ops {
        if meeting.revisions.len() >= REVISIONS || meeting.transactions.len() >= TRANSACTIONS {
            break;
        }
        meeting.step(op);
    }
    let ends = serial_outcomes(&meeting.transactions);
    assert!(ends.contains(&meeting.state), "no order of whole commands ends in {:?}", meeting.state);
    meeting.check_log();
}

// --- The laws -----------------------------------------------------------------------------

const SAME: [&str; 2] = ["head-office", "head-office"];
const TWO: [&str; 2] = ["head-office", "branch"];

fn config(accounts: &[(&'static str, Fields)]) -> Config {
    accounts.iter().copied().collect()
}

/// All ways in which two can take turns, each in their own order.
fn merges(one: &[Op], two: &[Op]) -> Vec<Vec<Op>> {
    match (one.split_first(), two.split_first()) {
        (None, _) => vec![two.to_vec()],
        (_, None) => vec![one.to_vec()],
        (Some((first, one_rest)), Some((second, two_rest))) => {
            let ahead = |op: &Op, rest: Vec<Vec<Op>>| -> Vec<Vec<Op>> {
                rest.into_iter().map(|rest| [vec![op.clone()], rest].concat()).collect()
            };
            [ahead(first, merges(one_rest, two)), ahead(second, merges(one, two_rest))].concat()
        }
    }
}

/// The model is no model if it allows everything, or only one order.
#[test]
fn the_model_tells_orders_apart() {
    let one = config(&[("a", [Some(0), None])]);
    let two = config(&[("a", [Some(1), Some(1)])]);
    let apply = |config: &Config, project| Transaction::Apply(config.clone(), project);
    let both = [apply(&one, "x"), apply(&two, "x")];
    let a = |owner, fields| State::from([("a", Account { owner, fields })]);
    let expected = [
        State::new(),
        a("x", [Some(0), None]),
        a("x", [Some(1), Some(1)]),
        // The first declares no label, and keeps the one that is there.
        a("x", [Some(0), Some(1)]),
    ];
    assert_eq!(serial_outcomes(&both), BTreeSet::from(expected));
    // What another owns is not overwritten, in whatever order.
    let foreign = [apply(&one, "x"), apply(&two, "y")];
    let expected = [State::new(), a("x", [Some(0), None]), a("y", [Some(1), Some(1)])];
    assert_eq!(serial_outcomes(&foreign), BTreeSet::from(expected));
    // An undo of what was overwritten since is refused: no order gives a state without the label and with the 1.
    let undone = [apply(&one, "x"), apply(&two, "x"), Transaction::Undo(0)];
    assert!(!serial_outcomes(&undone).contains(&a("x", [Some(1), None])));
    let turns = merges(&[Op::Plan(0), Op::ApplyFile(0), Op::UndoOwn(0)], &[Op::Plan(1), Op::ApplyFile(1)]);
    assert_eq!(turns.len(), 10);
}

/// Plan, apply and undo of the one, plan and apply of the other, after a first revision: all ten ways, in one project
/// and in two, over the same account, over different fields of it, and over different accounts.
#[test]
fn every_interleaving_of_two_saved_plans_ends_in_some_order() {
    let seed = config(&[("a", [Some(0), None])]);
    for (one, two) in [
        (config(&[("a", [Some(1), None])]), config(&[("a", [Some(2), None])])),
        (config(&[("a", [Some(1), None])]), config(&[("a", [None, Some(2)])])),
        (config(&[("a", [Some(1), None]), ("b", [Some(1), None])]), config(&[("c", [None, Some(2)])])),
    ] {
        for projects in [SAME, TWO] {
            for apply in [Op::ApplyFile as fn(usize) -> Op, Op::Rebase] {
                for turns in merges(&[Op::Plan(0), apply(0), Op::UndoOwn(0)], &[Op::Plan(1), apply(1)]) {
                    let edits = [Op::Apply(0), Op::Edit(0, one.clone()), Op::Edit(1, two.clone())];
                    meet(projects, [seed.clone(), seed.clone()], &[&edits[..], &turns].concat());
                }
            }
        }
    }
}

/// An add touches every field of its resource, and so do the delete and the add that came after it.
#[test]
fn what_was_made_again_is_not_taken_back_with_what_made_it_first() {
    let one = config(&[("a", [Some(0), None]), ("c", [None, None])]);
    let two = config(&[("b", [Some(1), None]), ("c", [None, None])]);
    for back in [Op::Apply(0), Op::Undo(0, 2)] {
        let ops =
            [Op::Apply(0), Op::Edit(0, two.clone()), Op::Apply(0), Op::Edit(0, one.clone()), back, Op::Undo(1, 1)];
        meet(SAME, [one.clone(), one.clone()], &ops);
    }
}

fn fields() -> BoxedStrategy<Fields> {
    prop::array::uniform2(prop::option::weighted(0.7, 0..3_u8)).boxed()
}

/// One or two accounts of three.
fn configs(names: &'static [&'static str]) -> BoxedStrategy<Config> {
    prop::collection::btree_map(select(names), fields(), 1..3).boxed()
}

/// Two of the three accounts of each may be the other's, too.
const NAMES: [&[&str]; 2] = [&["a", "b"], &["b", "a"]];

fn op() -> BoxedStrategy<Op> {
    let who = 0..2_usize;
    prop_oneof![
        3 => who.clone().prop_flat_map(|who| configs(NAMES[who]).prop_map(move |config| Op::Edit(who, config))),
        4 => who.clone().prop_map(Op::Plan),
        4 => who.clone().prop_map(Op::ApplyFile),
        3 => who.clone().prop_map(Op::Rebase),
        2 => who.clone().prop_map(Op::Apply),
        2 => (who, 1..5_usize).prop_map(|(who, number)| Op::Undo(who, number)),
    ]
    .boxed()
}

/// `PROPTEST_CASES` for more.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(24);
    ProptestConfig { cases, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_two_of_one_project_do_ends_in_some_order(
        one in configs(NAMES[0]),
        two in configs(NAMES[1]),
        ops in prop::collection::vec(op(), 6..16),
    ) {
        meet(SAME, [one, two], &[&[Op::Apply(0)][..], &ops].concat());
    }

    #[test]
    fn whatever_two_projects_do_ends_in_some_order(
        one in configs(&["a", "b", "c"]),
        two in configs(&["c", "d"]),
        ops in prop::collection::vec(op(), 6..16),
    ) {
        meet(TWO, [one, two], &[&[Op::Apply(0), Op::Apply(1)][..], &ops].concat());
    }
}
