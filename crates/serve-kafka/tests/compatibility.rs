//! `docs/compatibility.md` says what is served and which keys count; those parts are made from
//! the tables that the program itself reads. `FLOTILLA_WRITE_DOCS=1` writes them again.

use std::fmt::Write;
use std::path::Path;
use wire_kafka::ApiKey;

const PAGE: &str = "../../docs/compatibility.md";

/// The text between two marks, and where it begins.
fn between<'a>(page: &'a str, part: &str) -> (usize, &'a str) {
    let begin = format!("<!-- {part}: generated -->\n");
    let end = format!("<!-- {part}: end -->");
    let from = page.find(&begin).expect("the page has the mark") + begin.len();
    let len = page[from..].find(&end).expect("the page has the end mark");
    (from, &page[from..from + len])
}

fn apis() -> String {
    let mut text = String::from("\n| key | API | versions here | not here |\n|---|---|---|---|\n");
    for key in ApiKey::all() {
        let Some(here) = serve_kafka::versions(*key) else {
            continue;
        };
        let defined = key.stable_versions();
        let mut missing = Vec::new();
        if defined.start() < here.start() {
            missing.push(format!("{} to {}", defined.start(), here.start() - 1));
        }
        if defined.end() > here.end() {
            missing.push(format!("{} to {}", here.end() + 1, defined.end()));
        }
        let (code, name) = (key.code(), key.name());
        let (from, to) = (here.start(), here.end());
        let missing = missing.join(", ");
        writeln!(text, "| {code} | {name} | {from} to {to} | {missing} |").unwrap();
    }
    let others = ApiKey::all().iter();
    let others = others.filter(|key| serve_kafka::versions(**key).is_none());
    let names: Vec<&str> = others.map(|key| key.name()).collect();
    writeln!(text, "\nNot served: {}.\n", names.join(", ")).unwrap();
    text
}

fn keys() -> String {
    let code = |names: Vec<&str>| -> String {
        let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        quoted.join(", ")
    };
    let nodes = broker::settings::keys().iter();
    let dynamic = nodes.filter(|key| key.dynamic).map(|key| key.name);
    let idle = meta::config::KEYS.iter();
    let idle = idle.filter(|key| key.doc.starts_with("Accepted for compatibility"));
    let of_listeners = broker::settings::keys_of_listeners().iter();
    let groups = meta::config::groups::KEYS.iter();
    let of_groups = groups.filter(|key| !key.doc.starts_with("Accepted for compatibility"));
    format!(
        "\nKeys of topics all change at once. Of these the value is kept and shown and means nothing \
         here, for the reason that `flotilla config get --docs` tells: {}.\n\nKeys of nodes that \
         change while nodes run, for one node or for all: {}.\n\nKeys that single listeners have, too, \
         as `listener.name.NAME.KEY`: {}.\n\nKeys of Kafka's nodes that are kept \
         for tools that set them and mean nothing here: {}.\n\nKeys of groups: {}.\n\n",
        code(idle.map(|key| key.name).collect()),
        code(dynamic.collect()),
        code(of_listeners.map(|key| key.name).collect()),
        code(broker::settings::kept_names().collect()),
        code(of_groups.map(|key| key.name).collect()),
    )
}

#[test]
fn the_page_says_what_the_tables_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let mut page = std::fs::read_to_string(&path).unwrap();
    let write = std::env::var_os("FLOTILLA_WRITE_DOCS").is_some();
    for (part, fresh) in [("apis", apis()), ("keys", keys())] {
        let (from, there) = between(&page, part);
        let len = there.len();
        if write {
            page.replace_range(from..from + len, &fresh);
        } else {
            assert!(
                there == fresh,
                "{part} in docs/compatibility.md is stale; run FLOTILLA_WRITE_DOCS=1 cargo test -p \
                 serve-kafka --test compatibility"
            );
        }
    }
    if write {
        std::fs::write(&path, page).unwrap();
    }
}
