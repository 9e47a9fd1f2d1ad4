//! Products that a person carries plans out for.

use super::{ack, next, now, on};
use crate::cli::private;
use crate::support::World;

/// The folder that a step waits with.
fn handed(world: &World) -> String {
    let status = super::status(world);
    let step = status["step"].as_u64().unwrap() as usize - 1;
    let message = status["steps"][step]["message"].as_str().unwrap().to_owned();
    message.split_whitespace().find(|word| word.starts_with(".yubin/")).unwrap().trim_end_matches(',').to_owned()
}

fn cybozu() -> World {
    let world = World::project(
        "cybozu-office",
        "migrations: { move: { from: old, to: new, as: \"{name+1000}\", domains: [localhost] } }\n",
    );
    private(&world, "pw", "open sesame");
    let server = |name: &str| {
        format!(
            "  {name}: {{ supports_uidl: true, incoming: {{ host: {name}.example.jp }}, outgoing: {{ host: {name}.example.jp }} }}\n"
        )
    };
    world.write("servers.yaml", format!("servers:\n{}", server("old")));
    world.write("a.yaml", "accounts:\n  '191': { server: old, user: 高橋健太, user_id: '170', address: kenta@example.jp, incoming: { username: kenta, password: { file: pw } } }\n");
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("servers.yaml", format!("servers:\n{}{}", server("old"), server("new")));
    world
}

#[test]
fn office_waits_for_a_person_at_each_hand_over() {
    let world = cybozu();
    // The product is told first, and the store when a person says that it was.
    next(&world, 0);
    assert_eq!(now(&world), (1, "waiting".to_owned()));
    assert_eq!(world.json(0, &["show"])["resources"].as_array().unwrap().len(), 2);
    assert!(world.file(&handed(&world)).join("MANIFEST.md").exists());
    next(&world, 6);
    ack(&world, 0, "1");
    next(&world, 0);
    assert_eq!(now(&world), (2, "due".to_owned()));
    next(&world, 0);
    let backup = super::status(&world)["steps"][1]["evidence"]["folder"].as_str().unwrap().to_owned();
    let csv = std::fs::read_to_string(world.file(&format!("{backup}/cybozu-office-accounts.csv"))).unwrap();
    assert_eq!(csv, "170,高橋健太,191,,old,kenta@example.jp,kenta,*,,,,\r\n");
    // The id of the new server is for the product to give (004:148).
    next(&world, 6);
    world.expect(64, &["migrate", "ack", "3"]);
    world.expect(64, &["migrate", "ack", "3", "--server-id", "x"]);
    world.expect(0, &["migrate", "ack", "3", "--server-id", "192"]);
    next(&world, 0);
    assert!(std::fs::read_to_string(world.file("migrations/move.yaml")).unwrap().contains("'1191':"));
    next(&world, 0);
    assert_eq!(now(&world), (4, "waiting".to_owned()));
    let folder = handed(&world);
    let files = super::names(&world, &folder);
    let csv = files.iter().find(|name| name.ends_with("accounts.csv")).unwrap();
    let text = std::fs::read_to_string(world.file(&format!("{folder}/{csv}"))).unwrap();
    assert_eq!(text, "170,高橋健太,1191,192,new,kenta@example.jp,kenta,open sesame,,,,\r\n");
    assert_eq!(crate::cli::mode(&world, &format!("{folder}/{csv}")), 0o600);
    assert_eq!(on(&world, "new").len(), 0);
    // Another plan is another hand-over, and the word for the one before does not count for it.
    ack(&world, 0, "4");
    let entries = std::fs::read_to_string(world.file("migrations/move.yaml")).unwrap();
    world.write("migrations/move.yaml", entries.replace("username: kenta", "username: kenta2"));
    next(&world, 0);
    assert_eq!(now(&world), (4, "waiting".to_owned()));
    assert_ne!(handed(&world), folder);
    // Passwords stand in it, for as long as they are needed.
    assert_eq!(std::fs::read_to_string(world.file(".yubin/migrations/.gitignore")).unwrap(), "*\n");
    assert_eq!(super::names(&world, ".yubin/migrations").len(), 2, "two plans of step 4");
    ack(&world, 0, "4");
    next(&world, 0);
    assert_eq!((now(&world).0, on(&world, "new").len()), (5, 1));
    assert_eq!(super::names(&world, ".yubin/migrations"), [""; 0]);
    ack(&world, 0, "5");
    world.expect(0, &["migrate", "ack", "6", "--without-probe", "--note", "looked"]);
    ack(&world, 0, "7");
    // Twice: the accounts, then the server.
    for left in [0, 0] {
        next(&world, 0);
        assert_eq!(now(&world), (7, "waiting".to_owned()));
        ack(&world, 0, "7");
        let _ = left;
    }
    next(&world, 0);
    assert_eq!(now(&world), (0, "closed".to_owned()));
    assert_eq!((on(&world, "old").len(), on(&world, "new").len()), (0, 1));
    let sheet = world.expect(0, &["migrate", "sheet", "--lang", "ja"]).stdout;
    assert!(sheet.contains("サイボウズ Office 10側の作業") && sheet.contains("ご契約業者側の作業"), "{sheet}");
}

/// From an export that shows it, nobody needs to say the id.
#[test]
fn office_says_the_id_in_an_export() {
    let world = cybozu();
    for _ in 0..1 {
        next(&world, 0);
        ack(&world, 0, "1");
        next(&world, 0);
    }
    next(&world, 0);
    next(&world, 6);
    let export = "170,高橋健太,191,190,old,kenta@example.jp,kenta,*,,*,1,0\r\n170,高橋健太,900,192,new,test@example.jp,test,*,,*,1,0\r\n";
    world.write("export.txt", export);
    world.expect(0, &["refresh", "cybozu-office-accounts", "export.txt", "--yes"]);
    next(&world, 0);
    assert_eq!(now(&world), (4, "due".to_owned()));
}

/// It has servers alone: a person moves the accounts on its screens.
#[test]
fn mailwise_moves_its_servers() {
    let world = World::project("mailwise", super::MOVE);
    let server = |name: &str| {
        format!(
            "  {name}: {{ incoming: {{ host: {name}.example.jp, protocol: pop3 }}, outgoing: {{ host: {name}.example.jp }} }}\n"
        )
    };
    world.write("servers.yaml", format!("servers:\n{}", server("old")));
    world.expect(0, &["apply", "--yes", "-q"]);
    world.write("servers.yaml", format!("servers:\n{}{}", server("old"), server("new")));
    next(&world, 0);
    ack(&world, 0, "1");
    next(&world, 0);
    next(&world, 0);
    let backup = super::status(&world)["steps"][1]["evidence"]["folder"].as_str().unwrap().to_owned();
    assert_eq!(super::names(&world, &backup), ["MANIFEST.md", "manifest.json", "servers.csv"]);
    next(&world, 0);
    next(&world, 6);
    ack(&world, 0, "4");
    next(&world, 0);
    ack(&world, 0, "5");
    assert_eq!(now(&world), (6, "waiting".to_owned()));
    ack(&world, 4, "6");
    world.expect(0, &["migrate", "ack", "6", "--without-probe", "--note", "looked"]);
    ack(&world, 0, "7");
    next(&world, 0);
    ack(&world, 0, "7");
    next(&world, 0);
    assert_eq!(now(&world), (0, "closed".to_owned()));
    assert_eq!(world.json(0, &["show"])["resources"].as_array().unwrap().len(), 1);
}
