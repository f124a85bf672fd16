//! What RE2 accepts and matches; the cases come from its documented syntax.

use super::compile;
use base::Refusal;

fn matches(expression: &str, name: &str) -> bool {
    compile(expression)
        .unwrap_or_else(|why| panic!("`{expression}`: {why}"))
        .is_match(name.as_bytes())
}

#[test]
fn an_expression_matches_the_whole_name() {
    assert!(matches("orders", "orders"));
    assert!(!matches("orders", "orders-eu"));
    assert!(!matches("rders", "orders"));
    assert!(matches("a|ab", "ab"), "the longer branch counts too");
    assert!(!matches("^a|b$", "ab"));
    assert!(matches("orders-.*", "orders-eu.v2"));
    assert!(!matches("", "a"));
}

#[test]
fn re2_s_own_syntax_is_known() {
    for (expression, name) in [
        (r"\Qa.b+\E.c", "a.b+xc"),
        (r"\Qa.b", "a.b"),
        (r"\141b", "ab"),
        (r"[\x61-c]+", "abc"),
        (r"\x{61}b", "ab"),
        (r"[[:alpha:]]+\d", "abc1"),
        (r"[^[:digit:]]", "a"),
        (r"[a\-z]+", "a-z"),
        (r"[-a]+", "-a"),
        (r"[a-]+", "-a"),
        (r"a{2}", "aa"),
        (r"a{2,}", "aaa"),
        (r"a{1,2}?", "aa"),
        (r"(?i)ORDERS", "orders"),
        (r"(?i:O)rders", "orders"),
        (r"(?P<what>o)rders", "orders"),
        (r"(?<what>o)rders", "orders"),
        (r"\bab\b", "ab"),
        (r"\pL+", "ab"),
        (r"\p{Lu}b", "Ab"),
        (r"(a*)*", "aaa"),
    ] {
        assert!(matches(expression, name), "`{expression}` on {name}");
    }
}

#[test]
fn what_means_something_else_to_the_crate_is_a_character() {
    for (expression, text) in [
        (r"a{", "a{"),
        (r"a{,2}", "a{,2}"),
        (r"{a}", "{a}"),
        (r"[[a]+", "[a"),
        (r"[a&&b]+", "a&b"),
        (r"[a~~b]+", "a~b"),
        (r"\<a\>", "<a>"),
        (r"[]a]+", "]a"),
        (r"a]", "a]"),
        (r"\_a", "_a"),
    ] {
        assert!(matches(expression, text), "`{expression}` on {text}");
    }
    assert!(!matches(r"\w", "\u{e9}"), "ASCII only");
}

#[test]
fn what_re2_refuses_is_refused() {
    for expression in [
        "*a",
        "a**",
        "a+*",
        "a|*",
        "(",
        "(a",
        "a)",
        "[a",
        "[z-a]",
        r"a\",
        r"\1",
        r"(a)\1",
        r"\E",
        r"\y",
        r"\Z",
        "(?x)a b",
        "(?u)a",
        "(?=a)",
        "(?!a)",
        "(?<=a)",
        "(?P=a)",
        "(?#c)",
        "a{1001}",
        "a{2,1}",
        "a{2}{3}",
        "((a{100}){100}){100}",
        "[[:nothing:]]",
        r"\pX",
        r"\x{110000}",
        r"(?P<a b>c)",
        "a)(b",
        "(?P<a>b)(?P<a>c)",
    ] {
        let refused = compile(expression).err();
        assert!(
            matches!(refused, Some(Refusal::InvalidRegularExpression(_))),
            "`{expression}`: {refused:?}"
        );
    }
    assert!(compile(&"a".repeat(5_000)).is_err(), "too long");
}
#[test]
fn four_hundred_random_expressions_mean_what_they_mean_to_re2() {
    let cases = include_str!("../../../testdata/consumer/re2.tsv");
    for line in cases.lines().filter(|line| !line.starts_with("# ")) {
        let mut fields = line.split('\t');
        let mut field = || fields.next().expect("three fields");
        let (expression, text, expected) = (field(), field(), field());
        let ours = match compile(expression) {
            Ok(regex) if regex.is_match(text.as_bytes()) => "yes",
            Ok(_) => "no",
            Err(_) => "refused",
        };
        assert_eq!(ours, expected, "`{expression}` on `{text}`");
    }
}
