//! Every rule of document 001 (`requirements/systems.md`, sections 3 and 7), by its name there.

use serde_json::json;

use super::across::{Fields, codes, defaults, diagnostics, problem, project, said, with, word, yaml};
use crate::cli::{actions, shown, state};
use crate::support::World;

/// An account that receives, and sends without authentication: nothing is to be said of it.
const ACCOUNT: &Fields<'_> = &[
    ("address", "info@example.jp"),
    ("incoming.host", "pop.example.jp"),
    ("incoming.username", "info"),
    ("incoming.password", "{ file: pw }"),
    ("outgoing.host", "smtp.example.jp"),
    ("outgoing.port", "25"),
];

/// メール受信対象とする is off, and nothing of the tab is written.
const SENDS_ONLY: &Fields<'_> =
    &[("receive.enabled", "false"), ("incoming.host", ""), ("incoming.username", ""), ("incoming.password", "")];

/// POP サーバー接続時にTLS を使う is on.
const RECEIVES_OVER_TLS: &Fields<'_> = &[("incoming.security", "implicit_tls"), ("incoming.port", "995")];

const TLS: &Fields<'_> = &[("outgoing.port", "587"), ("outgoing.security", "starttls")];
const OVER_SSL: &Fields<'_> = &[("outgoing.port", "465"), ("outgoing.security", "implicit_tls")];

fn declare(world: &World, fields: &Fields<'_>) {
    world.write("a.yaml", yaml("accounts", "'10'", fields));
}

/// A project that is about to add `ACCOUNT` with these changes, one after the other.
fn adding(changes: &[&Fields<'_>]) -> World {
    let world = project("staff-express", "");
    declare(&world, &with(ACCOUNT, &changes.concat()));
    world
}

#[track_caller]
fn on_add(changes: &[&Fields<'_>]) -> Vec<String> {
    said(&adding(changes))
}

/// What is said of these fields alone when `ACCOUNT` exists with those changes.
#[track_caller]
fn on_overwrite(changes: &[&Fields<'_>], fields: &Fields<'_>) -> Vec<String> {
    let world = adding(changes);
    world.expect(0, &["apply", "--yes", "-q"]);
    declare(&world, fields);
    said(&world)
}

/// The table of 3.3: 空白, TLS and SMTP over SSL beside each port.
#[test]
fn b_r1_every_port_beside_every_method() {
    const GOOD: &[&str] = &[];
    const WARNING: &[&str] = &["warning staff-express/port-method"];
    const ERROR: &[&str] = &["error staff-express/port-method"];
    const OTHER: &[&str] = &["error system/value"];
    for (port, blank, tls, ssl) in [
        ("25", GOOD, WARNING, ERROR),
        ("465", ERROR, ERROR, GOOD),
        ("587", WARNING, GOOD, ERROR),
        ("1", OTHER, OTHER, OTHER),
        ("110", OTHER, OTHER, OTHER),
        ("995", OTHER, OTHER, OTHER),
        ("2525", OTHER, OTHER, OTHER),
        ("65535", OTHER, OTHER, OTHER),
    ] {
        for (security, expected) in [("none", blank), ("starttls", tls), ("implicit_tls", ssl)] {
            let fields = [("outgoing.port", port), ("outgoing.security", security)];
            let world = adding(&[RECEIVES_OVER_TLS, &fields]);
            assert_eq!(codes(&world), expected, "{port} {security}");
            if expected == WARNING {
                world.expect(3, &["plan", "--strict"]);
            }
        }
        // 通信方法 that is not chosen is 空白.
        let world = adding(&[&[("outgoing.port", port)]]);
        assert_eq!(codes(&world), blank, "{port}");
    }
    let problem = problem(&adding(&[&[("outgoing.port", "2525")]]), "system/value");
    let words = format!("{} {}", problem["message"], problem["hint"]);
    assert_eq!((&problem["field"], &problem["line"]), (&json!("outgoing.port"), &json!(8)), "{problem:#}");
    assert!(["25", "465", "587", "001:30", "generic"].iter().all(|word| words.contains(word)), "{words}");
    assert_eq!(on_add(&[&[("outgoing.port", "")]]), ["error system/required outgoing.port"]);
    // What counts is how the two will stand, whoever wrote them.
    for (before, after) in [(TLS, ("outgoing.port", "465")), (OVER_SSL, ("outgoing.security", "starttls"))] {
        let found = on_overwrite(&[RECEIVES_OVER_TLS, before], &[after]);
        assert!(found.len() == 1 && found[0].starts_with("error staff-express/port-method "), "{found:?}");
    }
}

#[test]
fn b_r2_tls_and_smtp_over_ssl_switch_authentication_on() {
    for method in [TLS, OVER_SSL] {
        let off: &Fields<'_> = &[("outgoing.auth.enabled", "false")];
        let world = adding(&[RECEIVES_OVER_TLS, method, off]);
        assert_eq!(said(&world), ["error staff-express/auth-forced outgoing.auth.enabled"]);
        let message = problem(&world, "staff-express/auth-forced")["message"].to_string();
        assert!(message.contains("001:40"), "{message}");
        assert_eq!(on_add(&[RECEIVES_OVER_TLS, method, &[("outgoing.auth.enabled", "true")]]), [""; 0]);
        // Not written, it is what the product makes of it.
        let world = adding(&[RECEIVES_OVER_TLS, method]);
        assert_eq!(defaults(&world)["outgoing.auth.enabled"], true);
        assert_eq!(said(&world), [""; 0]);
        world.expect(0, &["apply", "--yes", "-q"]);
        declare(&world, off);
        assert_eq!(said(&world), ["error staff-express/auth-forced outgoing.auth.enabled"]);
    }
    assert_eq!(on_add(&[&[("outgoing.auth.enabled", "false")]]), [""; 0]);
    assert_eq!(defaults(&adding(&[])).get("outgoing.auth.enabled"), None);
}

#[test]
fn b_r3_tls_takes_login_alone() {
    let mechanism = |word| [("outgoing.auth.enabled", "true"), ("outgoing.auth.mechanism", word)];
    let world = adding(&[RECEIVES_OVER_TLS, TLS, &mechanism("plain")]);
    assert_eq!(said(&world), ["error staff-express/mechanism outgoing.auth.mechanism"]);
    let message = problem(&world, "staff-express/mechanism")["message"].to_string();
    assert!(message.contains("login") && message.contains("001:40"), "{message}");
    assert_eq!(on_add(&[RECEIVES_OVER_TLS, TLS, &mechanism("login")]), [""; 0]);
    assert_eq!(defaults(&adding(&[RECEIVES_OVER_TLS, TLS]))["outgoing.auth.mechanism"], "login");
    let found = on_overwrite(&[RECEIVES_OVER_TLS, TLS], &[("outgoing.auth.mechanism", "plain")]);
    assert_eq!(found, ["error staff-express/mechanism outgoing.auth.mechanism"]);
}

#[test]
fn b_r4_who_only_sends_with_authentication_needs_credentials() {
    const AUTH: &Fields<'_> = &[("outgoing.auth.enabled", "true")];
    const USERNAME: &Fields<'_> = &[("incoming.username", "info")];
    const PASSWORD: &Fields<'_> = &[("incoming.password", "{ file: pw }")];
    const NO_USERNAME: &str = "error staff-express/credentials incoming.username";
    const NO_PASSWORD: &str = "error staff-express/credentials incoming.password";
    assert_eq!(on_add(&[SENDS_ONLY]), [""; 0]);
    // TLS and SMTP over SSL switch authentication on by themselves (B-R2).
    for method in [AUTH, TLS, OVER_SSL] {
        assert_eq!(on_add(&[SENDS_ONLY, method]), [NO_PASSWORD, NO_USERNAME]);
        assert_eq!(on_add(&[SENDS_ONLY, method, USERNAME]), [NO_PASSWORD]);
        assert_eq!(on_add(&[SENDS_ONLY, method, PASSWORD]), [NO_USERNAME]);
        assert_eq!(on_add(&[SENDS_ONLY, method, USERNAME, PASSWORD]), [""; 0]);
    }
    assert_eq!(on_overwrite(&[SENDS_ONLY], AUTH), [NO_PASSWORD, NO_USERNAME]);
    // What the product has is not asked for again.
    assert_eq!(on_overwrite(&[], &[("receive.enabled", "false"), ("outgoing.auth.enabled", "true")]), [""; 0]);
}

#[test]
fn b_r5_receiving_beside_tls_needs_tls_too() {
    const WARNING: &str = "warning staff-express/receive-tls incoming.security";
    const NONE: &Fields<'_> = &[("incoming.security", "none")];
    const CREDENTIALS: &Fields<'_> = &[("incoming.username", "info"), ("incoming.password", "{ file: pw }")];
    for method in [TLS, OVER_SSL] {
        assert_eq!(on_add(&[method]), [WARNING]);
        assert_eq!(on_add(&[method, NONE]), [WARNING]);
        adding(&[method]).expect(3, &["plan", "--strict"]);
        assert_eq!(on_add(&[method, RECEIVES_OVER_TLS]), [""; 0]);
        assert_eq!(on_add(&[method, SENDS_ONLY, CREDENTIALS]), [""; 0]);
    }
    assert_eq!(on_add(&[NONE]), [""; 0]);
}

#[test]
fn b_r6_port_465_has_neither_starttls_nor_another_mechanism() {
    let mechanism = |word| [("outgoing.auth.enabled", "true"), ("outgoing.auth.mechanism", word)];
    let starttls = [("outgoing.port", "465"), ("outgoing.security", "starttls")];
    let world = adding(&[RECEIVES_OVER_TLS, &starttls]);
    assert_eq!(codes(&world), ["error staff-express/port-method"]);
    let message = problem(&world, "staff-express/port-method")["message"].to_string();
    assert!(message.contains("465") && message.contains("001:30"), "{message}");
    for wrong in ["cram-md5", "auto"] {
        let found = on_add(&[RECEIVES_OVER_TLS, OVER_SSL, &mechanism(wrong)]);
        assert_eq!(found, ["error system/value outgoing.auth.mechanism"], "{wrong}");
    }
}

#[test]
fn b_r7_the_contact_log_depends_on_receiving_and_its_values_on_the_log() {
    const LOG: &Fields<'_> = &[("contact_log.enabled", "true")];
    const NO_LOG: &Fields<'_> = &[("contact_log.enabled", "false")];
    const LOG_ALONE: &str = "error staff-express/contact-log contact_log.enabled";
    assert_eq!(on_add(&[LOG]), [""; 0]);
    let world = adding(&[SENDS_ONLY, LOG]);
    assert_eq!(said(&world), [LOG_ALONE]);
    let message = problem(&world, "staff-express/contact-log")["message"].to_string();
    assert!(message.contains("receive.enabled") && message.contains("001:22"), "{message}");
    assert_eq!(on_add(&[SENDS_ONLY, NO_LOG]), [""; 0]);
    assert_eq!(on_overwrite(&[SENDS_ONLY], LOG), [LOG_ALONE]);
    assert_eq!(on_overwrite(&[LOG], &[("receive.enabled", "false")]).len(), 1);
    for field in ["contact_log.category1.to", "contact_log.category3.from", "contact_log.status.cc"] {
        let value = [(field, "電話")];
        let alone = format!("error staff-express/contact-log {field}");
        assert_eq!(on_add(&[&value]), [alone.as_str()]);
        assert_eq!(on_add(&[NO_LOG, &value]), [alone.as_str()]);
        assert_eq!(on_add(&[LOG, &value]), [""; 0]);
        // The log is on already.
        assert_eq!(on_overwrite(&[LOG], &value), [""; 0]);
    }
}

#[test]
fn b_r8_values_of_the_log_stand_in_their_master() {
    let check = |masters: &str, fields: &Fields<'_>| {
        let world = project("staff-express", masters);
        declare(&world, &with(ACCOUNT, &[&[("contact_log.enabled", "true")][..], fields].concat()));
        (said(&world), world)
    };
    let both = "masters: { contact_status: [未対応, 対応済], contact_category: [電話, メール] }\n";
    let good = [("contact_log.status.to", "未対応"), ("contact_log.category1.from", "メール")];
    assert_eq!(check(both, &good).0, [""; 0]);
    let (found, world) = check(both, &[("contact_log.status.to", "対応中"), ("contact_log.category2.cc", "未対応")]);
    let wrong =
        ["error staff-express/master contact_log.category2.cc", "error staff-express/master contact_log.status.to"];
    assert_eq!(found, wrong);
    let status = diagnostics(&world).into_iter().find(|one| one["field"] == "contact_log.status.to").unwrap();
    assert!(status["message"].as_str().unwrap().contains("001:24"), "{status:#}");
    // A master that is not written down is not known, and nothing is checked against it.
    assert_eq!(check("masters: { contact_status: [対応中] }\n", &[("contact_log.category2.cc", "何でも")]).0, [""; 0]);
    assert_eq!(check("", &[("contact_log.status.to", "何でも")]).0, [""; 0]);
    assert_eq!(check("masters: { contact_state: [対応中] }\n", &good).0, ["error key/unknown -"]);
}

#[test]
fn b_r9_there_is_one_signature() {
    assert_eq!(on_add(&[&[("signature", "[北浜スタッフ, 梅田支店]")]]), ["error value/type signature"]);
    let world = adding(&[]);
    let signature = "--\n北浜スタッフ 総合窓口\n  https://www.example.jp/\n";
    let text = std::fs::read_to_string(world.file("a.yaml")).unwrap();
    world
        .write("a.yaml", format!("{text}    signature: |\n      {}\n", signature.trim_end().replace('\n', "\n      ")));
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(shown(&world, "account/10")["signature"], signature);
}

#[test]
fn b_r10_a_batch_is_not_larger_than_the_run() {
    const WARNING: &str = "warning staff-express/batch sending.batch_size";
    let sizes = |run, batch| [("sending.max_per_run", run), ("sending.batch_size", batch)];
    let world = adding(&[&sizes("100", "101")]);
    assert_eq!(said(&world), [WARNING]);
    world.expect(3, &["plan", "--strict"]);
    assert_eq!(on_add(&[&sizes("100", "100"), &[("sending.pause", "30")]]), [""; 0]);
    assert_eq!(on_add(&[&sizes("100", "")]), [""; 0]);
    assert_eq!(on_add(&[&sizes("", "101")]), [""; 0]);
    assert_eq!(on_overwrite(&[&sizes("100", "10")], &[("sending.batch_size", "200")]), [WARNING]);
}

#[test]
fn b_r11_two_authentications_are_allowed_with_a_warning() {
    let both = [("outgoing.auth.enabled", "true"), ("outgoing.pop_before_smtp", "true")];
    let world = adding(&[&both]);
    assert_eq!(codes(&world), ["warning staff-express/two-authentications"]);
    world.expect(3, &["plan", "--strict"]);
    world.expect(0, &["apply", "--yes", "-q"]);
    let fields = shown(&world, "account/10");
    assert!(both.iter().all(|(field, _)| fields[field] == true), "{fields}");
    assert_eq!(on_add(&[&both[..1]]), [""; 0]);
    assert_eq!(on_add(&[&both[1..]]), [""; 0]);
}

/// Port 465 works with implicit TLS and a normal password alone, however broken the sentence.
#[test]
fn amb_b1_port_465_is_smtp_over_ssl_with_a_normal_password() {
    for (security, mechanism, good) in [
        ("implicit_tls", "login", true),
        ("implicit_tls", "plain", true),
        ("implicit_tls", "cram-md5", false),
        ("starttls", "login", false),
        ("none", "login", false),
    ] {
        let fields = [
            ("outgoing.port", "465"),
            ("outgoing.security", security),
            ("outgoing.auth.enabled", "true"),
            ("outgoing.auth.mechanism", mechanism),
        ];
        let found = on_add(&[RECEIVES_OVER_TLS, &fields]);
        assert_eq!(found.is_empty(), good, "{security} {mechanism}: {found:?}");
        assert!(found.iter().all(|one| one.starts_with("error ")), "{found:?}");
    }
}

#[test]
fn amb_b2_port_465_and_smtp_over_ssl_go_together_and_other_mixtures_are_at_least_warned_about() {
    for port in ["25", "465", "587"] {
        for security in ["none", "starttls", "implicit_tls"] {
            let fields = [("outgoing.port", port), ("outgoing.security", security)];
            let found = on_add(&[RECEIVES_OVER_TLS, &fields]);
            let usual = [("25", "none"), ("587", "starttls"), ("465", "implicit_tls")].contains(&(port, security));
            assert_eq!(found.is_empty(), usual, "{port} {security}: {found:?}");
            if (port == "465") != (security == "implicit_tls") {
                assert!(found[0].starts_with("error "), "{port} {security}: {found:?}");
            }
        }
    }
}

#[test]
fn amb_b3_tls_is_login_and_smtp_over_ssl_is_login_or_plain() {
    for (method, mechanism, good) in [
        (TLS, "login", true),
        (TLS, "plain", false),
        (OVER_SSL, "login", true),
        (OVER_SSL, "plain", true),
        (&[], "login", true),
        (&[], "plain", true),
    ] {
        let auth = [("outgoing.auth.enabled", "true"), ("outgoing.auth.mechanism", mechanism)];
        let found = on_add(&[RECEIVES_OVER_TLS, method, &auth]);
        assert_eq!(found.is_empty(), good, "{method:?} {mechanism}: {found:?}");
    }
    // SMTP over SSL leaves the choice open, so none is invented.
    let defaults = defaults(&adding(&[RECEIVES_OVER_TLS, OVER_SSL]));
    assert_eq!(defaults.get("outgoing.auth.mechanism"), None, "{defaults}");
}

#[test]
fn amb_b4_tls_for_receiving_is_free_when_sending_has_none() {
    for security in ["none", "starttls", "implicit_tls"] {
        let world = adding(&[&[("incoming.security", security), ("incoming.port", "995")]]);
        assert_eq!(said(&world), [""; 0], "{security}");
        world.expect(0, &["apply", "--yes", "-q"]);
        assert_eq!(shown(&world, "account/10")["incoming.security"], security);
    }
}

#[test]
fn amb_b5_port_110_with_tls_is_mentioned_and_995_is_not_forced() {
    for security in ["starttls", "implicit_tls"] {
        let world = adding(&[&[("incoming.security", security), ("incoming.port", "110")]]);
        assert_eq!(codes(&world), ["info staff-express/receive-port"], "{security}");
        world.expect(0, &["plan", "--strict"]);
        // A proxy may have any port (001:17).
        for port in ["995", "8110"] {
            assert_eq!(on_add(&[&[("incoming.security", security), ("incoming.port", port)]]), [""; 0], "{port}");
        }
    }
    assert_eq!(on_add(&[&[("incoming.security", "none"), ("incoming.port", "8110")]]), [""; 0]);
}

#[test]
fn amb_b6_pop_before_smtp_needs_receiving() {
    const ERROR: &str = "error staff-express/pop-before-smtp outgoing.pop_before_smtp";
    const ON: &Fields<'_> = &[("outgoing.pop_before_smtp", "true")];
    assert_eq!(on_add(&[SENDS_ONLY, ON]), [ERROR]);
    assert_eq!(on_add(&[SENDS_ONLY, &[("outgoing.pop_before_smtp", "false")]]), [""; 0]);
    assert_eq!(on_add(&[ON]), [""; 0]);
    assert_eq!(on_overwrite(&[ON], &[("receive.enabled", "false")]), [ERROR]);
}

#[test]
fn amb_b7_who_receives_needs_a_server_and_credentials() {
    const NOTHING: &Fields<'_> = &[("incoming.host", ""), ("incoming.username", ""), ("incoming.password", "")];
    const MISSING: [&str; 3] = [
        "error system/required incoming.host",
        "error system/required incoming.password",
        "error system/required incoming.username",
    ];
    // Receiving is the default.
    assert_eq!(on_add(&[NOTHING]), MISSING);
    assert_eq!(on_add(&[NOTHING, &[("receive.enabled", "true")]]), MISSING);
    assert_eq!(on_add(&[SENDS_ONLY]), [""; 0]);
    // On an overwrite what is not written is kept.
    assert_eq!(on_overwrite(&[], &[("receive.enabled", "true"), ("label", "代表")]), [""; 0]);
}

#[test]
fn amb_b8_categories_are_three_by_three_and_each_is_optional() {
    let world = project("staff-express", "");
    let all: Vec<String> = (1..=3)
        .flat_map(|number| ["to", "cc", "from"].map(|whom| format!("contact_log.category{number}.{whom}")))
        .collect();
    let each: Vec<(&str, &str)> = all.iter().map(|field| (field.as_str(), field.as_str())).collect();
    let log = [("contact_log.enabled", "true")];
    for one in &each {
        assert_eq!(on_add(&[&log, &[*one]]), [""; 0]);
    }
    declare(&world, &with(ACCOUNT, &[&log[..], &each[..]].concat()));
    assert_eq!(said(&world), [""; 0]);
    world.expect(0, &["apply", "--yes", "-q"]);
    let fields = shown(&world, "account/10");
    assert!(all.iter().all(|field| fields[field] == field.as_str()), "{fields}");
}

#[test]
fn an_add_takes_the_defaults_of_the_screens() {
    let usual = json!({
        "receive.enabled": true,
        "contact_log.enabled": false,
        "incoming.save_attachments": true,
        "incoming.port": 110,
        "outgoing.security": "none",
        "sending.recipient_names": true,
        "sending.allow_non_rfc_addresses": true,
        "sending.allow_do_not_send": false,
    });
    assert_eq!(defaults(&adding(&[])), usual);
    for (method, more) in [
        (TLS, json!({ "outgoing.auth.enabled": true, "outgoing.auth.mechanism": "login" })),
        (OVER_SSL, json!({ "outgoing.auth.enabled": true })),
    ] {
        let mut expected = usual.clone();
        let expected_fields = expected.as_object_mut().unwrap();
        expected_fields.retain(|field, _| field != "outgoing.security" && field != "incoming.port");
        expected_fields.extend(more.as_object().unwrap().clone());
        assert_eq!(defaults(&adding(&[RECEIVES_OVER_TLS, method])), expected);
    }
    // What is written is no default, whatever it is, and `null` is the default again.
    let written = [("incoming.save_attachments", "false"), ("sending.allow_do_not_send", "false")];
    let world = adding(&[&written]);
    let defaults = defaults(&world);
    assert!(written.iter().all(|(field, _)| defaults.get(field).is_none()), "{defaults}");
    world.expect(0, &["apply", "--yes", "-q"]);
    declare(&world, &[("incoming.save_attachments", "null"), ("sending.recipient_names", "null")]);
    let plan = world.json(0, &["plan"]);
    let fields = plan["changes"][0]["fields"].as_array().unwrap();
    assert_eq!(fields.len(), 1, "{plan:#}");
    assert_eq!((&fields[0]["field"], &fields[0]["after"]), (&json!("incoming.save_attachments"), &json!(true)));
}

#[test]
fn what_belongs_to_receiving_has_no_effect_without_it() {
    let idle = [("incoming.host", "pop.example.jp"), ("incoming.port", "110"), ("incoming.errors_only", "true")];
    let world = adding(&[SENDS_ONLY, &idle]);
    let mut expected = idle.map(|(field, _)| format!("warning system/no-effect {field}"));
    expected.sort();
    assert_eq!(said(&world), expected);
    world.expect(0, &["apply", "--yes", "-q"]);
    let fields = shown(&world, "account/10");
    assert!(idle.iter().all(|(field, _)| fields.get(field).is_none()), "{fields}");
    // A server brings both halves, and nobody wrote the idle one.
    let world = project("staff-express", "");
    let server = [("incoming.host", "pop.example.jp"), ("outgoing.host", "smtp.example.jp"), ("outgoing.port", "25")];
    let account = [("server", "hq"), ("address", "info@example.jp"), ("receive.enabled", "false")];
    world.write("a.yaml", yaml("servers", "hq", &server) + &yaml("accounts", "'10'", &account));
    assert_eq!(said(&world), [""; 0]);
}

/// 受信したメールは削除する takes mail from the mail server for good (001:20).
#[test]
fn deleting_received_mail_warns_when_it_is_switched_on() {
    const WARNING: &str = "warning irreversible/delete-after-download incoming.delete_after_download";
    const ON: &Fields<'_> = &[("incoming.delete_after_download", "true")];
    let world = adding(&[ON]);
    assert_eq!(said(&world), [WARNING]);
    world.expect(0, &["apply", "--yes", "-q"]);
    assert_eq!(said(&world), [""; 0]);
    assert_eq!(on_overwrite(&[], ON), [WARNING]);
    assert_eq!(on_overwrite(&[ON], &[("incoming.delete_after_download", "false")]), [""; 0]);
}

#[test]
fn every_field_of_the_four_tabs_is_kept_as_it_is_written() {
    let all: &Fields<'_> = &[
        ("label", "梅田支店 一括送信"),
        ("receive.enabled", "true"),
        ("incoming.host", "pop.example.jp"),
        ("incoming.port", "995"),
        ("incoming.security", "implicit_tls"),
        ("incoming.username", "0123"),
        ("incoming.delete_after_download", "false"),
        ("incoming.errors_only", "true"),
        ("contact_log.enabled", "true"),
        ("contact_log.category1.to", "電話"),
        ("contact_log.category2.cc", "メール"),
        ("contact_log.category3.from", "来社"),
        ("contact_log.status.to", "未対応"),
        ("contact_log.status.cc", "対応中"),
        ("contact_log.status.from", "対応済"),
        ("incoming.save_attachments", "false"),
        ("incoming.folder", r"\\fileserver\共有\メール\表示"),
        ("outgoing.host", "smtp.example.jp"),
        ("outgoing.port", "587"),
        ("outgoing.security", "starttls"),
        ("outgoing.encoding", "ISO-2022-JP"),
        ("sender_name", "北浜スタッフ 髙橋"),
        ("address", "umeda@example.jp"),
        ("reply_to", "reply@example.jp"),
        ("cc", "cc@example.jp"),
        ("bcc", "bcc@example.jp"),
        ("signature", "北浜スタッフ株式会社"),
        ("outgoing.pop_before_smtp", "false"),
        ("outgoing.auth.enabled", "true"),
        ("outgoing.auth.mechanism", "login"),
        ("sending.warn_hours", "22:00-06:00"),
        ("sending.max_per_run", "3000"),
        ("sending.batch_size", "100"),
        ("sending.pause", "10"),
        ("sending.attachments", "true"),
        ("visible", "false"),
        ("sending.recipient_names", "false"),
        ("sending.allow_non_rfc_addresses", "false"),
        ("sending.allow_do_not_send", "true"),
        ("sending.result_notice", "failures"),
    ];
    let world = adding(&[all]);
    assert_eq!(said(&world), [""; 0]);
    world.expect(0, &["apply", "--yes", "-q"]);
    let fields = shown(&world, "account/10");
    for (field, value) in all {
        assert_eq!(fields[field], word(value), "{field}");
    }
    assert_eq!(fields["incoming.password"], json!({ "secret": true }));
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
}

#[test]
fn a_wrong_value_is_one_problem_on_its_line() {
    const AUTH: &Fields<'_> = &[("outgoing.auth.enabled", "true")];
    for (field, value, code) in [
        ("outgoing.port", "2525", "system/value"),
        ("outgoing.port", "0", "value/range"),
        ("outgoing.port", "65536", "value/range"),
        ("outgoing.port", "smtp", "value/type"),
        ("outgoing.port", "'587'", "value/type"),
        ("outgoing.port", "０", "value/type"),
        ("outgoing.security", "SMTP over SSL", "value/choice"),
        ("outgoing.auth.mechanism", "LOGIN", "value/choice"),
        ("outgoing.auth.mechanism", "cram-md5", "system/value"),
        ("outgoing.auth.mechanism", "auto", "system/value"),
        ("outgoing.auth.username", "smtp", "system/not-expressible"),
        ("outgoing.auth.password", "{ file: pw }", "system/not-expressible"),
        ("incoming.protocol", "imap", "system/not-expressible"),
        ("incoming.port", "70000", "value/range"),
        ("incoming.host", "pop.example.jp:110", "value/host"),
        ("incoming.password", "[open]", "secret/form"),
        ("incoming.leave_on_server", "true", "system/not-expressible"),
        ("receive.enabled", "はい", "value/type"),
        ("contact_log.enabled", "1", "value/type"),
        ("address", "info", "value/address"),
        ("cc", "a@example.jp b@example.jp", "value/address"),
        ("sending.result_notice", "失敗のみ出力する", "value/choice"),
        ("sending.max_per_run", "-1", "value/range"),
        ("sending.batch_size", "many", "value/type"),
        ("sending.pause", "10秒", "value/type"),
        ("capacity", "5", "system/not-expressible"),
        ("password", "{ file: pw }", "system/not-expressible"),
        ("comment", "代表", "system/not-expressible"),
        ("forward.enabled", "true", "system/not-expressible"),
        ("purge_mail", "'1'", "system/not-expressible"),
        ("status", "normal", "field/read-only"),
    ] {
        let found = on_add(&[AUTH, &[(field, value)]]);
        assert_eq!(found, [format!("error {code} {field}")], "{field}: {value}");
    }
    // POP3 is what the product does, so it may be said.
    assert_eq!(on_add(&[&[("incoming.protocol", "pop3")]]), [""; 0]);
}

#[test]
fn hours_of_warning_are_two_times_of_day() {
    for good in ["22:00-06:00", "00:00-23:59", "09:30-18:00"] {
        assert_eq!(on_add(&[&[("sending.warn_hours", good)]]), [""; 0], "{good}");
    }
    for wrong in [
        "22-6",
        "22:00",
        "22:00-",
        "9:00-18:00",
        "25:00-06:00",
        "22:60-06:00",
        "22:00~06:00",
        "２２:００-０６:００",
        "夜間",
    ] {
        let found = on_add(&[&[("sending.warn_hours", wrong)]]);
        assert_eq!(found, ["error staff-express/warn-hours sending.warn_hours"], "{wrong}");
    }
}

/// Several accounts, as a spreadsheet in Japan saves them.
#[test]
fn a_canonical_csv_in_shift_jis_adds_accounts() {
    let header = "name,label,address,incoming.host,incoming.port,incoming.security,incoming.username,incoming.password,\
                  outgoing.host,outgoing.port,outgoing.security,sender_name,incoming.folder,sending.result_notice\r\n";
    let text = format!(
        "{header}\
         0010,一括送信①,umeda@example.jp,pop.example.jp,995,implicit_tls,umeda,${{file:pw}},\
         smtp.example.jp,587,starttls,\"髙橋, 営業\",\\\\共有\\表示,failures\r\n\
         0011,一括送信①,kobe@example.jp,pop.example.jp,,,kobe,${{file:pw}},smtp.example.jp,25,,,,\r\n"
    );
    let world = project("staff-express", "sources: [{ path: people.csv, encoding: shift_jis }]\n");
    let write = |text: &str| world.write("people.csv", encoding_rs::SHIFT_JIS.encode(text).0);
    write(&text);
    assert_eq!(said(&world), [""; 0]);
    world.expect(0, &["apply", "--yes", "-q"]);
    let umeda = shown(&world, "account/0010");
    assert_eq!(umeda["label"], "一括送信①");
    assert_eq!(umeda["sender_name"], "髙橋, 営業");
    assert_eq!(umeda["incoming.folder"], r"\\共有\表示");
    assert_eq!(umeda["outgoing.auth.mechanism"], "login");
    let kobe = shown(&world, "account/0011");
    assert_eq!((&kobe["incoming.port"], &kobe["outgoing.security"]), (&json!(110), &json!("none")));
    assert_eq!(kobe.get("sender_name"), None);
    assert_eq!(state(&world).as_array().unwrap().len(), 2);
    assert_eq!(actions(&world.json(0, &["plan"])), [""; 0]);
    write(&text.replace("smtp.example.jp,25,", "smtp.example.jp,26,"));
    let problem = problem(&world, "system/value");
    let place = (&problem["file"], &problem["line"], &problem["field"], &problem["address"]);
    assert_eq!(place, (&json!("people.csv"), &json!(3), &json!("outgoing.port"), &json!("account/0011")));
}

/// The screen lets nobody reach what depends on a switch that is off (001:22-23), and two words of ours for one box
/// are nothing to tick.
#[test]
fn a_worksheet_goes_the_way_that_the_screen_allows() {
    let log = [("contact_log.enabled", "true"), ("contact_log.category1.to", "受信"), ("label", "代表窓口")];
    let world = adding(&[&log]);
    world.expect(0, &["apply", "--yes", "-q"]);
    let off = [
        ("receive.enabled", "false"),
        ("contact_log.enabled", "false"),
        ("contact_log.category1.to", "null"),
        ("sender_name", "総務"),
    ];
    declare(&world, &off);
    world.expect(0, &["plan", "--out", "p", "-q"]);
    world.expect(0, &["export", "worksheet", "--plan", "p", "--out", "out", "-q"]);
    let sheet = std::fs::read_dir(world.file("out")).unwrap().map(|entry| entry.unwrap().path());
    let sheet = sheet.filter(|path| path.extension().is_some_and(|ext| ext == "md") && !path.ends_with("MANIFEST.md"));
    let text = std::fs::read_to_string(sheet.last().unwrap()).unwrap();
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("{word}: {text}"));
    let order = [at("送信者名"), at("連絡区分 1 TO"), at("連絡記録に展開する"), at("メール受信対象とする")];
    assert!(order.is_sorted(), "{text}");
    assert!(text.contains("代表窓口"), "{text}");
}
