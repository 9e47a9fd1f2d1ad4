use yubin::format::edit::Notation;
use yubin::model::{Kind, Value};

use super::{NOTHING, check, check_refused, list, remove, set, text};

const CSV: Notation = Notation::Csv(None);

#[test]
fn a_cell_is_replaced_where_it_stands() {
    let before = "kind,name,user,comment,capacity,forward.to\n\
                  account,info,,\"old\",5,a@x.jp;b@x.jp\n\
                  \n\
                  account,\"sales\",u,plain,,\n";
    check(CSV, before, &[set("account/info", "comment", text("new"))], &before.replace("old", "new"));
    check(CSV, before, &[set("account/info", "comment", text("a \"b\""))], &before.replace("old", "a \"\"b\"\""));
    check(CSV, before, &[set("account/sales", "comment", text("a,b"))], &before.replace("plain", "\"a,b\""));
    check(CSV, before, &[set("account/sales", "comment", text("a\"b"))], &before.replace("plain", "\"a\"\"b\""));
    check(CSV, before, &[set("account/sales", "user", text("v"))], &before.replace(",u,", ",v,"));
    check(
        CSV,
        before,
        &[set("account/sales", "capacity", Value::Int(7)), set("account/sales", "forward.to", list(&["c@x.jp"]))],
        &before.replace("plain,,", "plain,7,c@x.jp"),
    );
    check(CSV, before, &[set("account/info", "forward.to", list(&["b@x.jp"]))], &before.replace("a@x.jp;", ""));
}

#[test]
fn a_record_goes_with_its_line() {
    check(CSV, "name,comment\na,\"1\n2\"\nb,3\n", &[remove("account/a")], "name,comment\nb,3\n");
    check(CSV, "name,comment\na,1\nb,3", &[remove("account/b")], "name,comment\na,1\n");
    check(CSV, "name,comment\na,1\nb,3", &[remove("account/b"), remove("account/a")], "name,comment\n");
    check(
        Notation::Csv(Some(Kind::Server)),
        "name,position\ns,1\nt,2\n",
        &[remove("server/s"), set("server/t", "position", Value::Int(1))],
        "name,position\nt,1\n",
    );
}

#[test]
fn what_csv_cannot_say_is_refused() {
    let file = "kind,name,comment,password\naccount,a,x,${env:P}\nserver,s,,\naccount,gone,,\n";
    check_refused(CSV, file, &set("account/a", "comment", NOTHING), "CSV cannot say `null`");
    check_refused(CSV, file, &set("account/a", "comment", text("")), "an empty text");
    check_refused(CSV, file, &set("account/a", "capacity", Value::Int(1)), "no column `capacity`");
    check_refused(CSV, file, &set("account/a", "password", text("x")), "is a secret");
    check_refused(CSV, file, &set("account/b", "comment", text("x")), "does not declare `account/b`");
    check_refused(CSV, file, &set("account/a", "mailbox_size", text("x")), "given by the product");
    check_refused(CSV, file, &remove("server/s"), "last server");
    check_refused(CSV, "name,comment\na,\"x", &set("account/a", "comment", text("x")), "has mistakes");
    check_refused(CSV, "name,comment,absent\na,,true\n", &set("account/a", "comment", text("x")), "absent");
    let lists = "name,forward.to\na,x@y\n";
    check_refused(CSV, lists, &set("account/a", "forward.to", list(&["a;b@x"])), "cannot be written");
    check_refused(CSV, lists, &set("account/a", "forward.to", list(&[])), "an empty list");
}

#[test]
fn a_column_of_catchme_mail_is_found_by_its_number() {
    let file = "taro,p1,s,smtp.x.jp,,r,pop.x.jp,,t@x.jp,1,t,pw\n\
                jiro,p2,s,smtp.x.jp,25,r,imap.x.jp,143,j@x.jp,0,\"j\",pw,,,,,,,,,1,2,,,,INBOX\n";
    let notation = Notation::CatchmeMail;
    check(
        notation,
        file,
        &[set("pattern/taro/p1", "incoming.port", Value::Int(110))],
        &file.replace("pop.x.jp,,", "pop.x.jp,110,"),
    );
    check(
        notation,
        file,
        &[set("pattern/taro/p1", "incoming.protocol", text("imap"))],
        &file.replace("t@x.jp,1", "t@x.jp,0"),
    );
    check(
        notation,
        file,
        &[
            set("pattern/taro/p1", "organization", text("a,b")),
            set("pattern/taro/p1", "sender_name", text("太郎")),
            set("pattern/jiro/p2", "incoming.username", text("k")),
        ],
        &file.replace("1,t,pw", "1,t,pw,,,太郎,\"a,b\"").replace("\"j\"", "\"k\""),
    );
    check(notation, file, &[remove("pattern/taro/p1")], &file[file.find("jiro").unwrap()..]);
    check_refused(notation, file, &set("pattern/jiro/p2", "incoming.port", NOTHING), "CSV cannot say");
    check_refused(notation, file, &set("pattern/taro/p1", "server", text("s")), "no column for `server`");
    check_refused(notation, "taro,p1\n", &set("pattern/taro/p1", "organization", text("x")), "absent");
    check_refused(notation, "taro,p1\n", &remove("pattern/taro/p1"), "last pattern");
}
