use super::*;
use serde_json::json;

fn one(path: &str, text: &str) -> Vec<TextFile> {
    vec![TextFile::new(path, text)]
}

fn lines(breaches: &[Breach]) -> Vec<usize> {
    breaches.iter().map(|breach| breach.line).collect()
}

fn house(edges: serde_json::Value) -> serde_json::Value {
    let package = |name: &str| json!({"name": name, "manifest_path": format!("/x/crates/{name}/Cargo.toml"), "dependencies": []});
    let mut packages: Vec<_> = [
        "base",
        "meta",
        "flotilla-log",
        "os",
        "shard",
        "broker",
        "serve-kafka",
        "serve-http",
        "flotilla",
    ]
    .into_iter()
    .map(package)
    .collect();
    for (name, dependency) in edges.as_object().expect("an object") {
        match packages.iter_mut().find(|p| p["name"] == *name) {
            Some(room) => room["dependencies"] = json!([dependency]),
            None => packages.push(package(name)),
        }
    }
    json!({"workspace_root": "/x", "packages": packages})
}

fn dependency(name: &str) -> serde_json::Value {
    json!({"name": name, "kind": null, "features": []})
}

#[test]
fn edges_go_down_only() {
    let fine = house(json!({"broker": dependency("shard"), "flotilla": dependency("os")}));
    assert_eq!(floors::check(&fine).expect("valid"), []);
    for (from, to) in [
        ("shard", "broker"),           // upward
        ("meta", "flotilla-log"),      // sideways
        ("serve-http", "serve-kafka"), // sideways between doors
        ("broker", "os"),              // the world is seen by the server alone
        ("shard", "tokio"),            // no runtime inside
        ("cellar", "base"),            // a room without a floor
    ] {
        let breaches = floors::check(&house(json!({from: dependency(to)}))).expect("valid");
        assert_eq!(breaches.len(), 1, "{from} -> {to}: {breaches:?}");
        assert_eq!(breaches[0].path, format!("crates/{from}/Cargo.toml"));
    }
}

#[test]
fn planted_bugs_stay_out_of_the_server() {
    let probe = |kind: serde_json::Value| {
        house(json!({"broker": {"name": "base", "kind": kind, "features": ["probe"]}}))
    };
    assert_eq!(floors::check(&probe(json!("dev"))).expect("valid"), []);
    assert_eq!(floors::check(&probe(json!(null))).expect("valid").len(), 1);
}

#[test]
fn banned_words_are_found_in_code_and_not_in_prose() {
    let text = "//! Why `tokio::net` is not here.\n\
                use tokio::net::TcpStream;\n\
                use tokio::{sync, time};\n\
                use tokio::sync::{net, time};\n\
                const NAME: &str = \"tokio::spawn\";\n";
    assert_eq!(
        lines(&words::check(&one("crates/shard/src/turn.rs", text))),
        [2, 3]
    );
    assert_eq!(words::check(&one("crates/server/src/sockets.rs", text)), []);
}

#[test]
fn each_ban_can_fail_and_names_its_replacement() {
    let cases = [
        ("let a = std::time::Instant::now();", "base::Now"),
        ("use std::time::{Duration, Instant};", "base::Now"),
        ("std::thread::spawn(f);", "threads belong"),
        ("use std::fs;", "base::Disk"),
        ("use std::collections::HashMap;", "BTreeMap"),
        ("let r = thread_rng();", "base::Random"),
        ("tokio::fs::read(p);", "base::Disk"),
        ("todo!()", "write an issue"),
        ("value.unwrap();", "expect"),
        (concat!("// FIX", "ME later"), "write an issue"),
        (concat!("open(\"/wo", "rk/x\")"), "relative to the checkout"),
    ];
    for (code, instead) in cases {
        let breaches = words::check(&one("crates/shard/src/turn.rs", code));
        assert!(
            breaches.iter().any(|b| b.message.contains(instead)),
            "{code}: {breaches:?}"
        );
    }
    let tests = "#[cfg(test)]\nmod tests {\n fn f() { x.unwrap(); }\n}\nfn g() { y.unwrap() }\n";
    assert_eq!(
        lines(&words::check(&one("crates/shard/src/turn.rs", tests))),
        [5]
    );
    assert_eq!(words::check(&one("crates/shard/src/utils.rs", "")).len(), 1);
}

#[test]
fn code_is_told_from_prose() {
    let text = "let a = \"\\\"{\"; // {\nlet b = r#\"\"{\"#; /* { /* { */ { */ let c = '{'; let d: &'a str;\n";
    let source = Source::of(text);
    assert!(!source.code.contains('{'), "{}", source.code);
    assert!(source.code.contains("let c") && source.code.contains("&'a str"));
    assert_eq!(source.code.len(), text.len());
}

#[test]
fn a_long_function_is_found_by_name() {
    let body = "    x();\n".repeat(sizes::FUNCTION_LINES_MAX);
    let text = format!(
        "//! A file.\ntrait T {{ fn none(&self); }}\nfn short() {{}}\nfn long(a: [u8; 4]) {{\n{body}}}\n"
    );
    let files = one("crates/shard/src/turn.rs", &text);
    let breaches = sizes::check(&files, &sizes::Ratchet::default());
    assert_eq!(lines(&breaches), [4]);
    assert!(
        breaches[0].message.contains("`long` has 72 lines"),
        "{breaches:?}"
    );
}

#[test]
fn the_ratchet_allows_what_it_names_and_only_shrinks() {
    let files = one(
        "crates/shard/src/turn.rs",
        &"//\n".repeat(sizes::FILE_LINES_MAX + 5),
    );
    let check =
        |text: &str| sizes::check(&files, &sizes::Ratchet::parse(text).expect("valid")).len();
    assert_eq!(check(""), 1);
    assert_eq!(check("crates/shard/src/turn.rs 604"), 1);
    assert_eq!(check("crates/shard/src/turn.rs 605"), 0);
    assert_eq!(
        check("crates/shard/src/turn.rs 606"),
        1,
        "an entry above the real length"
    );
    assert_eq!(
        check("crates/shard/src/turn.rs 605\ncrates/gone.rs 700"),
        1,
        "an entry for nothing"
    );
    assert!(sizes::Ratchet::parse("crates/a.rs many words here 1").is_err());
}

#[test]
fn files_open_with_what_they_are() {
    assert_eq!(
        headers::check(&one("crates/a/src/lib.rs", "//! A room.\n")),
        []
    );
    assert_eq!(
        headers::check(&one("crates/a/src/lib.rs", "use x;\n")).len(),
        1
    );
    assert_eq!(
        headers::check(&one("crates/a/src/x/tests.rs", "use x;\n")),
        []
    );
    assert_eq!(headers::check(&one("docs/page.md", "no title\n")).len(), 1);
}

#[test]
fn a_file_that_nobody_declares_is_dead() {
    let files = |root: &str| {
        vec![
            TextFile::new("crates/a/src/lib.rs", root),
            TextFile::new("crates/a/src/part.rs", "#[cfg(test)]\nmod tests;"),
            TextFile::new("crates/a/src/part/tests.rs", ""),
            TextFile::new("crates/a/src/deep/mod.rs", ""),
            TextFile::new("crates/a/src/bin/tool.rs", ""),
            TextFile::new("crates/a/tests/whole.rs", ""),
            TextFile::new("crates/a/tests/all/main.rs", "mod one;"),
            TextFile::new("crates/a/tests/all/one.rs", ""),
        ]
    };
    assert_eq!(
        modules::check(&files("pub mod part;\npub(crate) mod deep;")),
        []
    );
    let dead = modules::check(&files("// mod part;\nmod deep;"));
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].path, "crates/a/src/part.rs");
}

#[test]
fn links_lead_somewhere() {
    let check = |text: &str| {
        let files = vec![
            TextFile::new("docs/a.md", text),
            TextFile::new("docs/b.md", "# B\n## The Rest, here\n"),
        ];
        links::check(&files, &|path| {
            ["docs/a.md", "docs/b.md", "README.md"].contains(&path)
        })
        .len()
    };
    assert_eq!(
        check("# A\n[b](b.md#the-rest-here) [r](../README.md) [w](https://x.y/z) [me](#a)\n"),
        0
    );
    assert_eq!(check("[c](c.md)\n"), 1);
    assert_eq!(check("[b](b.md#nothing)\n"), 1);
    assert_eq!(check("```\n[c](c.md)\n```\n"), 0);
}

#[test]
fn what_only_tests_reach_is_a_test() {
    let mut files = vec![
        TextFile::new(
            "crates/a/src/lib.rs",
            "mod shipped;\n#[cfg(test)]\npub(crate) mod testing;\n",
        ),
        TextFile::new("crates/a/src/shipped.rs", "fn f() { x.unwrap(); }"),
        TextFile::new(
            "crates/a/src/testing.rs",
            "mod disk;\nfn f() { x.unwrap(); }",
        ),
        TextFile::new("crates/a/src/testing/disk.rs", "fn f() { x.unwrap(); }"),
    ];
    modules::mark_tests(&mut files);
    let paths: Vec<String> = words::check(&files)
        .into_iter()
        .map(|breach| breach.path)
        .collect();
    assert_eq!(paths, ["crates/a/src/shipped.rs"]);
}
