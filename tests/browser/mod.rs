//! The page of a plan, in a real browser.

mod chromium;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use yubin::model::Why;
use yubin::model::{
    Action, Address, Change, Clear, Diagnostic, FieldChange, Key, Kind, Origin, Place, Plan, Refusal, Sealed, Source,
    Special, Value,
};
use yubin::render::{Lang, html};
use yubin::wire::{self, PlanDocument};

use self::chromium::Chromium;
use crate::support::World;

/// What a reader waits for at most, be there 50,000 changes.
const SECOND: Duration = Duration::from_secs(1);
/// Other things run beside; what the page can do is what it did at its best.
const TRIES: usize = 3;
const CANARY: &str = "canary-in-clear";
const HOSTILE: [&str; 5] = [
    "</script><script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 2'>",
    "<b>\"bold\"</b> & 'quoted' `code`",
    "<!--<script>",
    "line\u{2028}para\u{2029}graph \u{202e}turned",
];

fn field(kind: Kind, name: &str, before: Option<Value>, after: Option<Value>) -> FieldChange {
    FieldChange { field: kind.find(name).unwrap(), origin: Origin::Written, before: before.map(Box::new), after }
}

fn text(text: impl AsRef<str>) -> Value {
    Value::Text(text.as_ref().into())
}

fn at(file: u32, line: u32) -> Source {
    Source { file, place: Place { line, column: 1 } }
}

fn page(plan: &Plan, refused: &[Refusal], diagnostics: &[Diagnostic], lang: Lang) -> Vec<u8> {
    let digest = wire::digest(plan);
    let document = PlanDocument {
        plan,
        digest: &digest,
        store: "sqlite:yubin.db",
        refused,
        diagnostics,
        hidden: None,
        probes: (&[], &wire::Places::new()),
        saving: None,
        against: None,
        between: None,
        skipped: false,
    };
    let mut page = Vec::new();
    html::plan(&document, None, lang, &mut page).unwrap();
    page
}

/// 50,000 patterns as an import brings them, some of them changed or gone.
fn many() -> Plan {
    let files = vec!["people/east.csv".to_owned(), "people/west.csv".to_owned()];
    let mut plan = Plan { project: "head-office".to_owned(), system: "catchme-mail", files, ..Plan::default() };
    for number in 0..50_000_u32 {
        let user = format!("user{:05}", number / 5);
        let key = Key::pair(&user, &format!("pattern{}", number % 5));
        let own = |name, value: String| field(Kind::Pattern, name, None, Some(text(value)));
        let default =
            |name, value| FieldChange { origin: Origin::Default, ..field(Kind::Pattern, name, None, Some(value)) };
        let all = || {
            vec![
                own("address", format!("{user}.{}@example.co.jp", number % 5)),
                own("sender_name", format!("山田 {number}")),
                own("organization", "北浜商事".to_owned()),
                default("save_sent", Value::Bool(false)),
                default("request_read_receipt", Value::Bool(false)),
                own("incoming.label", "受信".to_owned()),
                own("incoming.host", format!("mail{}.example.co.jp", number % 7)),
                default("incoming.port", Value::Int(110)),
                own("incoming.protocol", "pop3".to_owned()),
                own("incoming.username", format!("u{number}")),
                field(Kind::Pattern, "incoming.password", None, Some(Value::Sealed(Sealed::from_bytes(b"x")))),
                default("incoming.delete_after_download", Value::Bool(false)),
                own("outgoing.label", "送信".to_owned()),
                own("outgoing.host", format!("smtp{}.example.co.jp", number % 7)),
                default("outgoing.port", Value::Int(25)),
                default("outgoing.auth.enabled", Value::Bool(false)),
            ]
        };
        let source = Some(at(number % 2, number + 2));
        plan.changes.push(match number % 50 {
            0 => {
                let lost =
                    all().into_iter().map(|one| FieldChange { before: one.after.map(Box::new), after: None, ..one });
                Change::new(Action::Delete, Kind::Pattern, key, None, lost.collect())
            }
            1..=9 => {
                let moved =
                    field(Kind::Pattern, "incoming.host", Some(text("old.example.jp")), Some(text("new.example.jp")));
                Change::new(Action::Overwrite, Kind::Pattern, key, source, vec![moved])
            }
            _ => Change::new(Action::Add, Kind::Pattern, key, source, all()),
        });
    }
    plan.settle();
    plan
}

/// A little of everything.
fn varied() -> (Plan, Vec<Refusal>, Vec<Diagnostic>) {
    let lines = |changed: &str| {
        let line = |number| format!("line {number}{}\n", if number == 20 { changed } else { "" });
        Some(text((1..=40).map(line).collect::<String>()))
    };
    let mut plan = Plan {
        project: format!("head-office {}", HOSTILE[0]),
        system: "generic",
        files: vec![format!("people/{}.yaml", HOSTILE[1])],
        deletes_mail: true,
        unchanged: 1_234,
        ..Plan::default()
    };
    let account = |name: &str| Key::single(name);
    plan.changes.push(Change::new(
        Action::Overwrite,
        Kind::Account,
        account("taro"),
        Some(at(0, 7)),
        vec![
            field(Kind::Account, "password", Some(Value::Unhashed(Clear::new(CANARY.to_owned()))), {
                Some(Value::Unhashed(Clear::new(CANARY.to_owned())))
            }),
            field(Kind::Account, "capacity", Some(Value::Int(5)), None),
            field(Kind::Account, "comment", Some(text("")), Some(text("x".repeat(300)))),
            field(Kind::Account, "signature", lines(""), lines(" changed")),
        ],
    ));
    for (number, hostile) in (0..).zip(HOSTILE) {
        let fields = vec![field(Kind::Account, "comment", Some(text("plain")), Some(text(hostile)))];
        let key = account(&format!("odd{number}{hostile}"));
        plan.changes.push(Change::new(Action::Overwrite, Kind::Account, key, Some(at(0, 10 + number)), fields));
    }
    let lost = vec![field(Kind::Account, "capacity", Some(Value::Int(5)), None)];
    plan.changes.push(Change::new(Action::Delete, Kind::Account, account("gone"), None, lost));
    let host = field(Kind::Pattern, "incoming.host", Some(text("a.example.jp")), Some(text("b.example.jp")));
    let key = Key::pair("hanako", "work");
    plan.changes.push(Change::new(Action::Overwrite, Kind::Pattern, key, Some(at(0, 30)), vec![host]));
    let host = field(Kind::Server, "incoming.host", None, Some(text("mail.example.jp")));
    plan.changes.push(Change::new(Action::Add, Kind::Server, Key::single("mail"), Some(at(0, 2)), vec![host]));
    let mut blocked = Change::new(Action::Blocked, Kind::Account, account("fixed"), Some(at(0, 40)), Vec::new());
    blocked.special = Special { reason: Some(format!("it cannot, {}", HOSTILE[0])), ..Special::default() }.boxed();
    plan.changes.push(blocked);
    plan.settle();
    let refused =
        vec![Refusal { rule: "max_deletes", why: Why::Said(format!("50 % is over 30 % of `{}`", HOSTILE[1])) }];
    let address = Address::new(Kind::Account, account("taro"));
    let warning = Diagnostic::warning("value/odd", format!("odd: {}", HOSTILE[2])).hint(HOSTILE[0]).of(&address);
    (plan, refused, vec![warning.at(HOSTILE[1], 7, 3)])
}

/// Addresses of the changes that stand in the page, and how the reader is told of their number.
const SHOWN: &str = "({ count: document.getElementById('count').textContent,
    addresses: [...document.querySelectorAll('article .address')].map((one) => one.textContent) })";

/// How long it takes from the input of a reader to the changes on the screen.
#[track_caller]
fn timed(browser: &mut Chromium, input: impl Fn(&mut Chromium)) -> Duration {
    let started = Instant::now();
    input(browser);
    browser.painted();
    started.elapsed()
}

fn type_in(browser: &mut Chromium, name: &str, text: &str) {
    browser.js(&format!("document.forms.filters.elements.{name}.select()"));
    if text.is_empty() {
        browser.js("document.execCommand('delete')");
    } else {
        browser.call("Input.insertText", &json!({ "text": text }));
    }
}

fn choose(browser: &mut Chromium, action: &str) {
    browser.js(&format!("document.querySelector('[name=action][value={action}]').click()"));
}

fn best(of: &[Duration]) -> Duration {
    *of.iter().min().unwrap()
}

#[test]
fn fifty_thousand_changes_open_and_filter_within_a_second() {
    let page = page(&many(), &[], &[], Lang::En);
    let mut browser = Chromium::start_alone();
    let (mut opened, mut searched, mut filtered) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TRIES {
        opened.push(browser.open("many.html", &page));
        let shown = browser.js(SHOWN);
        assert_eq!(shown["count"], "50,000 of 50,000 changes");
        assert_eq!(shown["addresses"][0], "pattern/user00000/pattern0");
        browser.assert_quiet();

        searched.push(timed(&mut browser, |browser| type_in(browser, "search", "USER04999 ｍａｉｌ")));
        let shown = browser.js(SHOWN);
        assert_eq!(shown["count"], "5 of 50,000 changes", "{shown}");
        searched.push(timed(&mut browser, |browser| type_in(browser, "search", "")));
        assert_eq!(browser.js(SHOWN)["count"], "50,000 of 50,000 changes");

        filtered.push(timed(&mut browser, |browser| choose(browser, "delete")));
        assert_eq!(browser.js(SHOWN)["count"], "1,000 of 50,000 changes");
        filtered.push(timed(&mut browser, |browser| choose(browser, "overwrite")));
        assert_eq!(browser.js(SHOWN)["count"], "10,000 of 50,000 changes");
    }
    println!("opened {opened:?}, searched {searched:?}, filtered {filtered:?}");
    for times in [&opened, &searched, &filtered] {
        assert!(best(times) < SECOND, "opened {opened:?}, searched {searched:?}, filtered {filtered:?}");
    }
}

#[test]
fn only_what_is_near_the_viewport_is_in_the_page() {
    let mut browser = Chromium::start();
    browser.open("many.html", &page(&many(), &[], &[], Lang::En));
    let articles = |browser: &mut Chromium| browser.js("document.querySelectorAll('article').length").as_u64().unwrap();
    assert!((10..1_000).contains(&articles(&mut browser)));
    let last = "[...document.querySelectorAll('article')].at(-1)";
    // Heights are guesses until they are seen: the end may move a few times.
    for _ in 0..5 {
        browser.js("scrollTo(0, document.documentElement.scrollHeight)");
        browser.painted();
        browser.painted();
    }
    assert!((10..1_000).contains(&articles(&mut browser)));
    assert_eq!(browser.js(&format!("{last}.ariaPosInSet + ' of ' + {last}.ariaSetSize")), "50000 of 50000");
    assert_eq!(browser.js(&format!("{last}.querySelector('.address').textContent")), "pattern/user09999/pattern4");
}

#[test]
fn filters_find_and_count() {
    let mut browser = Chromium::start();
    browser.open("many.html", &page(&many(), &[], &[], Lang::En));
    let mut expect = |name: &str, value: &str, count: &str| {
        type_in(&mut browser, name, value);
        browser.painted();
        assert_eq!(browser.js(SHOWN)["count"], count, "{name}: {value}");
        type_in(&mut browser, name, "");
    };
    expect("search", "pattern/user00007/pattern3", "1 of 50,000 changes");
    expect("search", "u49998", "1 of 50,000 changes");
    expect("search", "old.example.jp", "9,000 of 50,000 changes");
    expect("search", "山田 49998", "1 of 50,000 changes");
    expect("search", "outgoing.auth.enabled", "41,000 of 50,000 changes");
    expect("search", "送信サーバホスト名", "41,000 of 50,000 changes");
    expect("search", "no such thing", "No change is like this");
    expect("user", "user00007", "5 of 50,000 changes");
    expect("file", "west", "25,000 of 50,000 changes");
    // Every fiftieth is gone and has no file any more.
    expect("file", "east", "24,000 of 50,000 changes");
    let chips = "[...document.querySelectorAll('.chip')].map((chip) => chip.textContent)";
    type_in(&mut browser, "user", "user00000");
    browser.painted();
    assert_eq!(browser.js(chips), json!(["delete1", "overwrite4", "add0"]));
    choose(&mut browser, "delete");
    browser.painted();
    let shown = json!({ "count": "1 of 50,000 changes", "addresses": ["pattern/user00000/pattern0"] });
    assert_eq!(browser.js(SHOWN), shown);
    browser.js("document.querySelector('[type=reset]').click()");
    browser.painted();
    assert_eq!(browser.js(SHOWN)["count"], "50,000 of 50,000 changes");
    browser.js("document.forms.filters.elements.kind.value = 'server'");
    browser.js("document.forms.filters.dispatchEvent(new Event('input'))");
    browser.painted();
    assert_eq!(browser.js(SHOWN)["count"], "No change is like this");
    browser.assert_quiet();
}

#[test]
fn the_page_says_everything_in_its_order() {
    let (plan, refused, diagnostics) = varied();
    let mut browser = Chromium::start();
    browser.open("varied.html", &page(&plan, &refused, &diagnostics, Lang::En));
    browser.assert_quiet();
    let texts = |browser: &mut Chromium, selector: &str| {
        browser.js(&format!("[...document.querySelectorAll({})].map((one) => one.textContent)", json!(selector)))
    };
    assert_eq!(
        texts(&mut browser, ".tally"),
        json!(["1 blocked, 1 to delete, 7 to overwrite, 1 to add; 1,234 unchanged"])
    );
    assert_eq!(
        texts(&mut browser, "h2"),
        json!([
            "Refused: this plan cannot be applied as it is",
            "Mail is lost for good (1)",
            "Users who are logged out (1)",
            "Messages (1)",
            "Changes"
        ])
    );
    assert_eq!(texts(&mut browser, "h3"), json!(["Blocked (1)", "Deletes (1)", "Overwrites (7)", "Adds (1)"]));
    let facts = texts(&mut browser, ".facts dd");
    assert_eq!(facts, json!(["generic", "sqlite:yubin.db", "0", wire::digest(&plan)]));
    let sources = texts(&mut browser, "article.add .source");
    assert_eq!(sources, json!([format!("people/{}.yaml:2", HOSTILE[1])]));
    assert_eq!(texts(&mut browser, "article.delete .source"), json!(["no longer declared"]));
    assert_eq!(texts(&mut browser, ".tag.lost"), json!(["all mail of it is lost for good"]));
    let note = texts(&mut browser, "article.blocked .note");
    assert_eq!(note, json!([format!("it cannot, {}", HOSTILE[0])]));
    // What is folded is filled when it is opened, by the keyboard too.
    assert_eq!(texts(&mut browser, "article.delete td"), json!([]));
    browser.js("document.querySelector('article.delete summary').focus()");
    for kind in ["keyDown", "keyUp"] {
        let key = json!({ "type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r" });
        browser.call("Input.dispatchKeyEvent", &key);
    }
    browser.painted();
    assert_eq!(texts(&mut browser, "article.delete td"), json!(["5"]));
    let unlabelled = "[...document.querySelectorAll('input, select, output')].filter(
        (one) => one.labels.length === 0 && one.id !== 'count').length";
    assert_eq!(browser.js(unlabelled), 0);
}

#[test]
fn texts_of_several_lines_stand_side_by_side() {
    let (plan, refused, diagnostics) = varied();
    let mut browser = Chromium::start();
    browser.open("varied.html", &page(&plan, &refused, &diagnostics, Lang::En));
    let rows = "[...document.querySelectorAll('.diff tbody tr')].map((row) => row.innerText.replaceAll('\\t', ' '))";
    assert_eq!(
        browser.js(rows),
        json!([
            "16 lines as before",
            "17 line 17 17 line 17",
            "18 line 18 18 line 18",
            "19 line 19 19 line 19",
            "20 line 20 20 line 20 changed",
            "21 line 21 21 line 21",
            "22 line 22 22 line 22",
            "23 line 23 23 line 23",
            "17 lines as before"
        ])
    );
    assert_eq!(browser.js("document.querySelector('.diff mark').textContent"), " changed");
    let place =
        |selector: &str| format!("document.querySelector('.diff td{selector}').getBoundingClientRect().toJSON()");
    let left = browser.js(&place(".minus:nth-child(2)"));
    let right = browser.js(&place(".plus:nth-child(4)"));
    assert_eq!(left["top"], right["top"]);
    assert!(left["right"].as_f64() <= right["left"].as_f64());
}

#[test]
fn hostile_texts_are_only_texts() {
    let (plan, refused, diagnostics) = varied();
    for lang in [Lang::En, Lang::Ja] {
        let mut browser = Chromium::start();
        let page = page(&plan, &refused, &diagnostics, lang);
        browser.open("varied.html", &page);
        browser.js("document.getElementById('unfold').click()");
        browser.painted();
        browser.assert_quiet();
        assert_eq!(browser.js("typeof window.ran"), "undefined");
        assert_eq!(browser.js("document.querySelectorAll('img, b, iframe, a').length"), 0);
        assert_eq!(browser.js("document.querySelectorAll('script').length"), 1);
        let comments = "[...document.querySelectorAll('article.overwrite tr')]
            .filter((row) => row.querySelector('th code')?.textContent === 'comment')
            .map((row) => row.querySelector('ins').textContent)";
        let shown: Vec<Json> = browser.js(comments).as_array().unwrap().clone();
        for hostile in &HOSTILE[..4] {
            assert!(shown.contains(&json!(hostile)), "{hostile}: {shown:?}");
        }
        assert!(shown.contains(&json!("lineU+2028paraU+2029graph U+202Eturned")), "{shown:?}");
        let all = browser.js("document.body.innerText");
        assert!(!all.as_str().unwrap().contains(CANARY));
        assert!(!String::from_utf8_lossy(&page).contains(CANARY));
    }
}

#[test]
fn nothing_leaves_the_page_and_nothing_foreign_runs_in_it() {
    let (plan, refused, diagnostics) = varied();
    let mut browser = Chromium::start();
    browser.open("varied.html", &page(&plan, &refused, &diagnostics, Lang::En));
    // Who would be called, if anybody were.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let refused = |browser: &mut Chromium, attempt: &str| {
        browser.js(&format!(
            "new Promise((done) => {{
                document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective), {{ once: true }});
                {attempt};
                setTimeout(() => done('nothing is refused'), 5_000);
            }})"
        ))
    };
    let element = |name: &str, more: &str| {
        format!("document.body.append(Object.assign(document.createElement('{name}'), {{ {more} }}))")
    };
    assert_eq!(refused(&mut browser, &format!("fetch('{url}').catch(() => {{}})")), "connect-src");
    assert_eq!(refused(&mut browser, &element("img", &format!("src: '{url}'"))), "img-src");
    assert_eq!(refused(&mut browser, &element("script", &format!("src: '{url}'"))), "script-src-elem");
    assert_eq!(refused(&mut browser, &element("script", "textContent: 'window.ran = 3'")), "script-src-elem");
    assert_eq!(refused(&mut browser, &element("style", "textContent: 'body { color: red }'")), "style-src-elem");
    assert_eq!(
        refused(&mut browser, "document.body.setAttribute('onclick', 'window.ran = 4'); document.body.click()"),
        "script-src-attr"
    );
    assert_eq!(browser.js("typeof window.ran"), "undefined");
    let called = listener.accept().map(|(_, caller)| caller);
    assert!(called.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}

/// How bright a colour is, from 0 to 1.
fn brightness(browser: &mut Chromium, property: &str) -> f64 {
    let colour = browser.js(&format!("getComputedStyle(document.body).{property}"));
    let parts: Vec<f64> = colour
        .as_str()
        .unwrap()
        .trim_start_matches("rgb(")
        .trim_end_matches(')')
        .split(", ")
        .map(|part| part.parse().unwrap())
        .collect();
    parts.iter().sum::<f64>() / 3.0 / 255.0
}

#[test]
fn light_and_dark_follow_the_reader() {
    let (plan, refused, diagnostics) = varied();
    let mut browser = Chromium::start();
    browser.open("varied.html", &page(&plan, &refused, &diagnostics, Lang::En));
    for (scheme, is_dark) in [("light", false), ("dark", true)] {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.call("Emulation.setEmulatedMedia", &features);
        let (paper, ink) = (brightness(&mut browser, "backgroundColor"), brightness(&mut browser, "color"));
        assert_eq!(paper < 0.2, is_dark, "{scheme}: {paper}");
        assert!((paper - ink).abs() > 0.7, "{scheme}: {ink} on {paper}");
    }
}

#[test]
fn a_phone_shows_it_all_without_scrolling_sideways() {
    let (plan, refused, diagnostics) = varied();
    let mut browser = Chromium::start();
    browser.resize(360, 740);
    for lang in [Lang::En, Lang::Ja] {
        browser.open("varied.html", &page(&plan, &refused, &diagnostics, lang));
        browser.js("document.querySelectorAll('details').forEach((one) => (one.open = true))");
        browser.painted();
        assert_eq!(browser.js("document.documentElement.scrollWidth"), 360);
        let beyond = "[...document.body.querySelectorAll('*')].filter((one) => !one.closest('.unseen') &&
            one.getBoundingClientRect().right > 360.5).map((one) => one.outerHTML.slice(0, 200))";
        assert_eq!(browser.js(beyond), json!([]));
    }
}

#[test]
fn it_prints_what_is_filtered() {
    let mut browser = Chromium::start();
    browser.open("many.html", &page(&many(), &[], &[], Lang::En));
    let articles = "document.querySelectorAll('article').length";
    browser.js("dispatchEvent(new Event('beforeprint'))");
    assert_eq!(browser.js(articles), 2_000);
    let said = "document.getElementById('list').lastElementChild.textContent";
    assert!(browser.js(said).as_str().unwrap().contains("48,000 more changes that are not printed"));
    browser.js("dispatchEvent(new Event('afterprint'))");
    browser.painted();
    assert!(browser.js(articles).as_u64().unwrap() < 1_000);
    type_in(&mut browser, "user", "user00007");
    browser.painted();
    let pdf = browser.call("Page.printToPDF", &json!({}));
    assert!(pdf["data"].as_str().unwrap().len() > 1_000);
    assert_eq!(browser.js(SHOWN)["count"], "5 of 50,000 changes");
}

#[test]
fn without_scripts_it_still_says_what_matters() {
    let (plan, refused, diagnostics) = varied();
    let mut browser = Chromium::start();
    browser.call("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.load("varied.html", &page(&plan, &refused, &diagnostics, Lang::En));
    let text = browser.js("document.body.innerText");
    let text = text.as_str().unwrap();
    for said in ["1 to delete", "max_deletes", "Mail is lost for good (1)", "takes JavaScript", "account/gone"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("Search"), "{text}");
}

#[test]
fn the_command_writes_the_page() {
    let world = World::project("generic", "");
    world.write("people.yaml", "accounts:\n  taro: { capacity: 5, password: { file: taro } }\n");
    world.write("taro", format!("{CANARY}\n"));
    let html = ["plan", "--format", "html"];
    let run = world.expect(0, &html);
    assert!(!run.stdout.contains(CANARY) && run.stderr.is_empty(), "{}", run.stderr);
    assert_eq!(run.stdout, world.expect(0, &html).stdout, "the same bytes");
    world.expect(2, &[&html[..], &["--exit-code"]].concat());
    let mut browser = Chromium::start();
    browser.open("plan.html", run.stdout.as_bytes());
    browser.assert_quiet();
    assert_eq!(browser.js(SHOWN), json!({ "count": "1 of 1 changes", "addresses": ["account/taro"] }));
    browser.js("document.getElementById('unfold').click()");
    browser.painted();
    assert!(browser.js("document.getElementById('list').innerText").as_str().unwrap().contains("(secret) set"));

    world.write("people.yaml", "accounts:\n  taro: { capacity: many }\n");
    let run = world.expect(3, &html);
    browser.open("invalid.html", run.stdout.as_bytes());
    browser.assert_quiet();
    let text = browser.js("document.body.innerText");
    let text = text.as_str().unwrap();
    assert!(text.contains("nothing is planned") && text.contains("people.yaml:2:"), "{text}");
    for verb in ["apply", "check", "show", "log"] {
        assert!(world.expect(64, &[verb, "--format", "html"]).stderr.contains("only `yubin plan`"));
    }
}

#[test]
fn the_page_in_japanese() {
    let (plan, refused, diagnostics) = varied();
    let mut browser = Chromium::start();
    browser.open("varied.html", &page(&plan, &refused, &diagnostics, Lang::Ja));
    browser.assert_quiet();
    assert_eq!(browser.js("document.documentElement.lang"), "ja");
    assert_eq!(browser.js("document.title.endsWith(' の変更計画')"), true);
    assert_eq!(browser.js(SHOWN)["count"], "10 件を表示（全 10 件）");
    let tally = "適用不可 1 件、削除 1 件、上書き 7 件、追加 1 件（変更なし 1,234 件）";
    assert_eq!(browser.js("document.querySelector('.tally').textContent"), tally);
    let names = browser.js("[...document.querySelectorAll('tbody th')].map((one) => one.textContent)");
    let names = names.as_array().unwrap();
    for name in ["署名 (signature)", "受信サーバホスト名 (incoming.host)", "パスワード (password)"] {
        assert!(names.contains(&json!(name)), "{name}: {names:?}");
    }
    type_in(&mut browser, "search", "署名");
    browser.painted();
    assert_eq!(browser.js(SHOWN)["addresses"], json!(["account/taro"]));
}
