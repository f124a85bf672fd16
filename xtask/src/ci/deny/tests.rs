use super::*;
use serde_json::json;

fn policy() -> Policy {
    Policy::parse(
        "[licenses]\nallow = [\n  \"MIT\", # plain\n  \"Apache-2.0\",\n  \"Apache-2.0 WITH LLVM-exception\",\n]\n\
         [bans]\ndeny = [\n  { crate = \"openraft\", reason = \"a task per group\" },\n]\n",
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

#[test]
fn a_banned_crate_a_strange_licence_and_a_strange_source_are_refused() {
    let package = |name: &str, licence: &str, source: &str| json!({"name": name, "license": licence, "source": source});
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let graph = |package: serde_json::Value| json!({"packages": [package]});
    assert!(judge(&policy(), &graph(package("bytes", "MIT", registry))).is_empty());
    assert_eq!(
        judge(&policy(), &graph(package("openraft", "MIT", registry))).len(),
        1
    );
    assert_eq!(
        judge(&policy(), &graph(package("x", "SSPL-1.0", registry))).len(),
        1
    );
    assert_eq!(
        judge(
            &policy(),
            &graph(package("x", "MIT", "git+https://example.org/x"))
        )
        .len(),
        1
    );
}

#[test]
fn the_projects_own_policy_bans_and_allows() {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml is there");
    let policy = Policy::parse(&text);
    assert!(policy.banned.contains("openraft") && policy.banned.contains("rocksdb"));
    assert!(policy.licences.contains("Apache-2.0") && !policy.licences.contains("GPL-3.0"));
}
