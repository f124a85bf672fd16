use super::*;
use serde_json::json;

fn policy() -> Policy {
    Policy::parse(
        "[licenses]\nallow = [\n  \"MIT\", # plain\n  \"Apache-2.0\",\n  \"Apache-2.0 WITH LLVM-exception\",\n]\n\
         [bans]\ndeny = [\n  { crate = \"openraft\", reason = \"a task per group\" },\n  { crate = \"fxhash\", wrappers = [\"raft\"] },\n]\n",
    )
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = &policy().licences;
    for fine in [
        "MIT",
        "MIT OR GPL-3.0",
        "MIT/Apache-2.0",
        "(MIT OR GPL-3.0) AND Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(fine, allowed), "{fine}");
    }
    for refused in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR GPL-3.0) AND ISC",
        "MIT WITH LLVM-exception",
    ] {
        assert!(!is_allowed(refused, allowed), "{refused}");
    }
}

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn package(name: &str, licence: &str, source: &str) -> serde_json::Value {
    json!({"id": name, "name": name, "license": licence, "source": source})
}

#[test]
fn a_strange_licence_and_a_strange_source_are_refused() {
    let problems = |package| judge(&policy(), &json!({"packages": [package]})).len();
    assert_eq!(problems(package("bytes", "MIT", REGISTRY)), 0);
    assert_eq!(problems(package("x", "SSPL-1.0", REGISTRY)), 1);
    assert_eq!(
        problems(package("x", "MIT", "git+https://example.org/x")),
        1
    );
}

#[test]
fn a_banned_crate_is_refused_unless_a_wrapper_brings_it() {
    let problems = |user: &str, used: &str| {
        let packages = [user, used].map(|name| package(name, "MIT", REGISTRY));
        let nodes = json!([{"id": user, "dependencies": [used]}]);
        judge(
            &policy(),
            &json!({"packages": packages, "resolve": {"nodes": nodes}}),
        )
        .len()
    };
    assert_eq!(problems("shard", "bytes"), 0);
    assert_eq!(problems("shard", "openraft"), 1);
    assert_eq!(problems("shard", "fxhash"), 1);
    assert_eq!(problems("raft", "fxhash"), 0);
}

#[test]
fn the_projects_own_policy_bans_and_allows() {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml is there");
    let policy = Policy::parse(&text);
    assert!(policy.banned.contains_key("openraft") && policy.banned.contains_key("rocksdb"));
    assert!(policy.licences.contains("Apache-2.0") && !policy.licences.contains("GPL-3.0"));
}
