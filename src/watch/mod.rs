//! A watcher keeps a store equal to the files of a project: it looks when something has changed, and now and then,
//! makes a plan as `plan` does, and applies it as `apply` does. What it may not apply it tells of, and leaves alone
//! until files or store change.

mod attempt;
mod board;
mod conclude;
mod errands;
mod eyes;
mod lead;
pub mod port;
mod settle;
mod systemd;
mod voice;
mod wake;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::attempt::{Around, Attempt, Outcome, Tree, attempt, fetch, look_up, newest, of_project, stand_by};
use self::board::Board;
use self::errands::Errands;
use self::eyes::Eyes;
use self::lead::{Lead, Role};
use self::settle::Settled;
use self::wake::{Heard, Wake, wait};
use crate::load::{Memory, Stamp};
use crate::model::plan::Base;
use crate::model::watch::{Cause, Event, Reason, State, What};
use crate::model::{Approval, Code, Diagnostic, Error, Result};
use crate::pipeline::{self, Above, Planned, Session};
use crate::wire;

/// However little seems to have changed, everything is looked into as often as this.
const WHOLE: Duration = Duration::from_secs(10 * 60);
/// The loop turns at least as often, so that others see that it lives, and that a clock was set.
const TURN: Duration = Duration::from_secs(20);
/// As often as this effects are tried again that hooks have not carried out.
const TROUBLE: Duration = Duration::from_secs(60);
/// How long hooks may take when a watcher stops. What they leave is still pending.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long an apply that is under way may go on when the watcher is to stop.
const GRACE: Duration = Duration::from_secs(60);

pub struct FromGit {
    pub reference: String,
    pub pull: bool,
    pub signed: bool,
}

/// What a watcher is started with.
pub struct Options {
    /// The folder of the project, links in its path included.
    pub root: PathBuf,
    /// `--store`, and what its path is relative to.
    pub store: Option<String>,
    pub start: PathBuf,
    pub trusted: Option<PathBuf>,
    pub strict: bool,
    pub git: Option<FromGit>,
    pub approve_deletes: bool,
    pub once: bool,
    /// Where to answer: the first of these that can be had.
    pub status: Option<Vec<SocketAddr>>,
    pub poll: Duration,
    pub debounce: Duration,
    pub lease: Duration,
    pub actor: String,
    /// Ends the program where a stop takes too long. What is not committed by then, the store rolls back.
    pub give_up: fn(),
}

/// What is told, as it happens.
pub enum Telling<'a> {
    Event(&'a Event),
    /// The same, with the plan that it is about.
    Plan(&'a Event, &'a Session, &'a Planned),
    /// What has gone wrong beside a sync.
    Problems(&'a [Diagnostic]),
}

pub type Tell = dyn Fn(&Telling<'_>) + Send + Sync;

/// What the last attempt has found.
struct Last {
    tree: Tree,
    base: Option<Base>,
    paused: bool,
    /// Approvals at that time, if one would make a difference.
    consents: Option<Consents>,
}

/// Approvals, and digests that commits consent to.
type Consents = (Vec<Approval>, Vec<String>);

struct Watcher<'a> {
    options: &'a Options,
    tell: Arc<Tell>,
    wakes: Receiver<Wake>,
    wake: Sender<Wake>,
    board: Arc<Board>,
    eyes: Eyes,
    /// Files may have been opened for writing of which nobody has told.
    unsure: bool,
    errands: Errands,
    memory: Arc<Memory>,
    /// With whom it leads, and of which store and project.
    lead: Option<(String, String, Lead)>,
    holder: String,
    /// As it was opened last.
    session: Option<Arc<Session>>,
    /// The last one that a plan could be made of.
    good: Option<Arc<Session>>,
    last: Option<Last>,
    state: State,
    /// What was told last of a state: if it is the same again, nothing is told.
    told: Option<String>,
    told_drift: Option<String>,
    /// The files whose change was told last, and whether that was since the last attempt.
    changing: Option<(Stamp, Option<String>)>,
    told_change: bool,
    /// What hooks have been told that is wrong.
    alarmed: Option<String>,
    /// Files that were found to be what the store holds, and at which revision.
    settled: Option<(String, u64)>,
    /// The store that was there, and the last revision of it.
    seen: Option<(String, u64)>,
    /// Since when files and store differ.
    differs: Option<Timestamp>,
    failures: u32,
    /// When a failure is tried again.
    retry: Option<Instant>,
    /// When a window opens.
    opens: Option<Timestamp>,
    /// What says which project and store it is, when it was looked at while standing by.
    named: Option<Stamp>,
    polled: Instant,
    whole: Instant,
    delivered: Instant,
    project: String,
}

/// Watches until it is stopped, or once. The code is how it ends if nothing failed beyond what was told.
pub fn run(options: &Options, tell: Arc<Tell>) -> Result<Option<Code>> {
    let (wake, wakes) = mpsc::channel();
    let session = match open(options) {
        Ok(session) => Some(Arc::new(session)),
        // What no change of a file puts right ends the program; the rest is told as it is found.
        Err(error) if error.code == Code::Usage => return Err(error),
        Err(_) => None,
    };
    let project = session.as_ref().map_or(String::new(), |session| session.project.name.clone());
    let store = session.as_ref().map_or(String::new(), |session| session.store_name.clone());
    // A watcher that has stopped needs not be woken, here and below.
    let asks = wake.clone();
    let asked = move || {
        let _ = asks.send(Wake::Asked);
    };
    let board = Arc::new(Board::new(&project, &store, wire::watch_state, asked));
    let (hears, give_up) = (wake.clone(), options.give_up);
    let face: Arc<dyn port::Face> = Arc::<Board>::clone(&board);
    let address = port::open(options.status.as_deref(), face, move |signal| {
        let _ = hears.send(match signal {
            port::Signal::Stop => Wake::Stop,
            port::Signal::Again => Wake::Again,
        });
        if matches!(signal, port::Signal::Stop) {
            std::thread::spawn(move || {
                std::thread::sleep(GRACE);
                give_up();
            });
        }
    })?;
    let says = Arc::clone(&tell);
    let is_blind = options.once || options.git.is_some();
    let now = Instant::now();
    let mut watcher = Watcher {
        options,
        tell,
        eyes: if is_blind { Eyes::closed() } else { Eyes::open(wake.clone()) },
        unsure: true,
        wakes,
        wake,
        board,
        errands: Errands::new(move |problems| says(&Telling::Problems(&problems))),
        memory: Arc::default(),
        lead: None,
        holder: lead::holder(&options.actor)?,
        session,
        good: None,
        last: None,
        state: State::Starting,
        told: None,
        told_drift: None,
        changing: None,
        told_change: false,
        alarmed: None,
        settled: None,
        seen: None,
        differs: None,
        failures: 0,
        retry: None,
        opens: None,
        named: None,
        polled: now,
        whole: now,
        delivered: now,
        project,
    };
    let leads = options.once || watcher.keep_lead().is_none_or(|role| role == Role::Leads);
    let revision = watcher.session.as_ref().and_then(|session| session.base().ok()).map(|base| base.revision);
    let started = watcher.event(Cause::Start, What::Started { store, status: address, leads });
    watcher.say(&Event { revision, ..started }, None);
    Ok(if options.once { watcher.once() } else { watcher.run() })
}

/// The session as far as it can be had before anything is looked into.
pub fn open(options: &Options) -> Result<Session> {
    let commit = match &options.git {
        // What was fetched before will do.
        Some(git) => match look_up(&options.root, git)? {
            Ok(found) => Some(found),
            Err(_) => return Err(Error::failure("there is no commit to begin with")),
        },
        None => None,
    };
    let tree = commit.as_ref();
    let above =
        Above { store: options.store.as_deref(), trusted: options.trusted.as_deref(), tree, ..Above::default() };
    pipeline::open_at(&options.root, &options.start, above, options.strict)
}

impl Watcher<'_> {
    fn once(mut self) -> Option<Code> {
        let (begun, before) = (Instant::now(), self.stamp());
        let done = loop {
            let Settled { heard, writing } = self.settle(true);
            if heard.stop {
                return None;
            }
            if let Some(message) = writing {
                let what = What::Waiting { reason: Reason::Writing, message, until: None };
                self.tell_state(&self.event(Cause::Start, what), None, true);
                self.say(&self.event(Cause::Start, What::Stopped { by_signal: false }), None);
                return Some(Code::Waiting);
            }
            let done = attempt(&self.around(false), fetch(self.options));
            if !matches!(done.outcome, Outcome::Torn) {
                break done;
            }
            self.begin_again(done);
        };
        let failure = match &done.outcome {
            Outcome::Failed(error) => Some(error.code),
            _ => None,
        };
        self.conclude(done, before, Cause::Start, begun);
        self.errands.finish(None);
        self.say(&self.event(Cause::Start, What::Stopped { by_signal: false }), None);
        match self.state {
            State::Invalid => Some(Code::Invalid),
            State::Refused => Some(Code::Refused),
            State::Waiting => Some(Code::Waiting),
            _ => failure,
        }
    }

    fn run(mut self) -> Option<Code> {
        self.keep_alive();
        self.look_around();
        let mut cause = Some(Cause::Start);
        loop {
            self.board.turned();
            let heard = if cause.is_some() { Heard::default() } else { wait(&self.wakes, self.next()) };
            if heard.stop {
                break;
            }
            if self.errands.is_troubled() && self.delivered.elapsed() >= TROUBLE {
                self.deliver(None);
            }
            if let Some(role) = self.keep_lead().filter(|role| *role != Role::Leads) {
                self.stand_by(&role, heard);
                cause = None;
                continue;
            }
            let takes_over = self.state == State::Standby;
            let torn = cause.is_some() && self.last.is_some();
            let Some(why) = cause.take().or_else(|| self.look(heard, takes_over)) else { continue };
            let begun = Instant::now();
            let more = self.settle(!is_forced(why)).heard;
            if more.stop {
                break;
            }
            let why = more.asked.unwrap_or(why);
            self.board.busy(true);
            // A look has been at the remote just now.
            let fetched = if torn || why == Cause::Git { Ok(()) } else { fetch(self.options) };
            self.tell_change(why);
            let before = self.stamp();
            let done = attempt(&self.around(is_forced(why)), fetched);
            if matches!(done.outcome, Outcome::Torn) {
                self.begin_again(done);
                cause = Some(why);
                if wait(&self.wakes, Instant::now() + Duration::from_millis(50)).stop {
                    break;
                }
            } else {
                self.conclude(done, before, why, begun);
            }
            self.board.busy(false);
        }
        systemd::stopping();
        self.errands.finish(Some(FAREWELL));
        self.lead = None;
        self.say(&self.event(Cause::Signal, What::Stopped { by_signal: true }), None);
        None
    }

    /// After an attempt that has read what was not at rest: the same again, of what is opened now.
    fn begin_again(&mut self, done: Attempt) {
        self.unsure = true;
        self.session = done.session.map(Arc::new).or(self.session.take());
    }

    /// Tells systemd that the loop turns, also while it is at work for longer than that takes.
    fn keep_alive(&self) {
        let Some(period) = systemd::watchdog_period() else { return };
        let board = Arc::clone(&self.board);
        std::thread::spawn(move || {
            loop {
                if port::Face::is_alive(&*board) {
                    systemd::alive();
                }
                std::thread::sleep(period);
            }
        });
    }

    fn event(&self, cause: Cause, what: What) -> Event {
        Event {
            at: Timestamp::now(),
            project: self.project.clone(),
            cause,
            config: None,
            digest: None,
            revision: None,
            summary: None,
            took: None,
            what,
        }
    }

    fn around(&self, forced: bool) -> Around<'_> {
        Around {
            options: self.options,
            memory: &self.memory,
            lead: self.lead.as_ref().map(|(store, project, lead)| (store.as_str(), project.as_str(), lead)),
            settled: self.settled.as_ref().map(|(config, revision)| (config.as_str(), *revision)),
            secrets: self.session.as_ref().map_or(&[], |session| session.secret_files()),
            seen: self.seen.as_ref().map(|(store, revision)| (store.as_str(), *revision)),
            forced,
        }
    }

    /// The files as they look now.
    fn stamp(&self) -> Stamp {
        let trusted = self.options.trusted.as_deref();
        match &self.session {
            Some(session) => session.stamp(trusted),
            None => of_project(self.options),
        }
    }

    /// When to look without being woken.
    fn next(&self) -> Instant {
        let poll = self.polled + self.options.poll;
        let opens = self.opens.map_or(poll, |at| {
            let left = at.duration_since(Timestamp::now());
            Instant::now() + Duration::try_from(left).unwrap_or(Duration::ZERO)
        });
        poll.min(self.retry.unwrap_or(poll)).min(opens).min(Instant::now() + TURN)
    }

    /// Takes the lead of the project and store at hand, and keeps it; `None` where nobody is to be asked.
    fn keep_lead(&mut self) -> Option<Role> {
        // A project file that is wrong may name anything.
        let sound = self.session.as_ref().filter(|session| !session.diagnostics.has_errors());
        let session = sound.or(self.good.as_ref()).filter(|_| !self.options.once)?;
        let (name, project) = (&session.store_name, &session.project.name);
        if self.lead.as_ref().is_none_or(|(of, whose, _)| (of, whose) != (name, project)) {
            let (name, project, session) = (name.clone(), project.clone(), Arc::clone(session));
            // That of before is given back first.
            self.lead = None;
            let lead = Lead::begin(session, self.holder.clone(), self.options.lease, self.wake.clone());
            self.lead = Some((name, project, lead));
        }
        let role = self.lead.as_ref().map(|(_, _, lead)| lead.role());
        self.board.leads(role == Some(Role::Leads));
        role
    }

    fn stand_by(&mut self, role: &Role, heard: Heard) {
        self.opens = None;
        // The files may name another store or project by now.
        let named = of_project(self.options);
        if heard.asked.is_some() || self.polled.elapsed() >= self.options.poll || self.named.as_ref() != Some(&named) {
            self.polled = Instant::now();
            if let Ok(session) = open(self.options) {
                self.session = Some(Arc::new(session));
                if matches!(role, Role::Unknown(_)) {
                    // It may be told more with what is given now, such as another token.
                    self.lead = None;
                }
            }
            self.named = Some(named);
        }
        let own = if self.state == State::Starting { Cause::Start } else { Cause::Store };
        let cause = heard.asked.unwrap_or(own);
        match stand_by(role) {
            Outcome::Waiting { reason, message, until } => {
                self.failures = 0;
                self.retry = None;
                self.tell_state(&self.event(cause, What::Waiting { reason, message, until }), None, cause.is_asked());
            }
            Outcome::Failed(error) => {
                if self.retry.is_some_and(|at| Instant::now() < at) && heard.asked.is_none() {
                    return;
                }
                let what = self.failed(&error);
                self.tell_state(&self.event(cause, what), None, true);
            }
            _ => {}
        }
    }

    /// Why a sync is due, if one is.
    fn look(&mut self, heard: Heard, takes_over: bool) -> Option<Cause> {
        if heard.asked.is_some() {
            return heard.asked;
        }
        let now = Instant::now();
        let opens = self.opens.is_some_and(|at| at <= Timestamp::now());
        if takes_over || opens || self.retry.is_some_and(|at| at <= now) || now - self.whole >= WHOLE {
            return Some(Cause::Time);
        }
        let polls = now - self.polled >= self.options.poll;
        if polls {
            self.polled = now;
        }
        if !polls && !heard.files {
            return None;
        }
        if heard.files && self.eyes.have_missed_folders() {
            self.look_around();
        }
        let Some(last) = &self.last else { return Some(Cause::Poll) };
        let differs = match &last.tree {
            Tree { files, .. } if *files != self.stamp() => Some(if heard.files { Cause::Files } else { Cause::Poll }),
            Tree { commit, .. } => self.options.git.as_ref().and_then(|git| {
                // What has failed waits for its time.
                if self.retry.is_some() {
                    return None;
                }
                self.board.busy(true);
                let newest = fetch(self.options).and_then(|()| newest(&self.options.root, git));
                self.board.busy(false);
                // The attempt says what is wrong.
                newest.map_or(Some(Cause::Time), |now| (now != *commit).then_some(Cause::Git))
            }),
        };
        if differs.is_some() {
            return differs;
        }
        let session = self.session.as_ref()?;
        if session.paused_by().is_some() != last.paused {
            return Some(Cause::Time);
        }
        // What has failed waits for its time.
        if !polls || self.retry.is_some() {
            return None;
        }
        let moved = match session.base() {
            Ok(base) => last.base.is_some_and(|last| last != base),
            Err(_) => true,
        };
        if moved {
            return Some(Cause::Store);
        }
        let approved = |was: &Consents| consents(session).is_some_and(|now| now != *was);
        last.consents.as_ref().is_some_and(approved).then_some(Cause::Time)
    }
}

/// Whether somebody wants the files taken as they are.
fn is_forced(cause: Cause) -> bool {
    matches!(cause, Cause::Signal | Cause::Request)
}

fn consents(session: &Session) -> Option<Consents> {
    Some((session.approvals().ok()?, session.acks()))
}
