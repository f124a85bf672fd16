use super::*;

const CASES: &str = "# text\n\n#- not yet\ntool a\n#~ other words\ntool b\ntool c\n";

fn outcome(line: &str, printed: &[&str], code: &str) -> Outcome {
    Outcome {
        line: line.to_owned(),
        printed: printed.iter().map(|l| l.to_string()).collect(),
        code: code.to_owned(),
    }
}

#[test]
fn a_case_takes_the_reason_that_stands_before_it() {
    let cases = cases(CASES);
    assert_eq!(cases.len(), 3);
    assert_eq!(cases[0].skipped.as_deref(), Some("not yet"));
    assert_eq!(cases[1].differs.as_deref(), Some("other words"));
    assert_eq!((&cases[2].skipped, &cases[2].differs), (&None, &None));
}

#[test]
fn what_is_never_the_same_twice_is_left_out() {
    let text = "$ tool\n\tat a.B(C.java:1)\nTopic: t\tTopicId: x_1  at 127.0.0.1:19092\n1795266586150\n= 1\n";
    let all = outcomes(text, "127.0.0.1:19092");
    assert_eq!(
        all,
        [outcome(
            "tool",
            &["Topic: t TopicId: DRAWN at ADDRESS", "TIME"],
            "1"
        )]
    );
    let three = "127.0.0.1:27101,127.0.0.1:27102";
    let told = plain(&format!("{three} is 1 27101 and 2 27102"), three);
    assert_eq!(told, "ADDRESS is 1 PORT and 2 PORT");
    let current = plain(
        r#"{"a":0,"log_dirs":["/x/1","/x/2"]},{"a":1,"log_dirs":["any"]}"#,
        "",
    );
    assert_eq!(
        current,
        r#"{"a":0,"log_dirs":["/DIRECTORY]},{"a":1,"log_dirs":["any"]}"#
    );
    let json = plain("{\"logDir\":\"/a/b\"}]", "x:1");
    assert_eq!(json, "{\"logDir\":\"DIRECTORY\"}]");
    let again: String = all.iter().map(written).collect();
    assert_eq!(outcomes(&again, ""), all, "what is recorded reads back");
}

#[test]
fn a_difference_without_a_reason_or_another_code_is_an_error() {
    let cases = cases(CASES);
    let kafka = [
        outcome("tool b", &["x"], "0"),
        outcome("tool c", &["y"], "0"),
    ];
    let compare = |b: Outcome, c: Outcome| compare(&cases, &kafka, &[b, c]);
    let good = outcome("tool c", &["y"], "0");
    assert_eq!(
        compare(outcome("tool b", &["z"], "0"), good.clone()),
        Ok(())
    );
    assert!(compare(outcome("tool b", &["z"], "1"), good).is_err());
    assert!(compare(kafka[0].clone(), outcome("tool c", &["z"], "0")).is_err());
}

#[test]
fn ids_and_times_are_masked_inside_words_too() {
    let masked = |word| numbers(word);
    assert_eq!(
        masked("member-8b7ab1c0-51a6-4f6e-93a2-0d6c3a7f5b11"),
        "member-DRAWN"
    );
    assert_eq!(
        masked("{\"timestamp\":1795277212602,\"offset\":12}"),
        "{\"timestamp\":TIME,\"offset\":12}"
    );
    assert_eq!(masked("cWvN9HI2TFyuGCD0lGb_Gg"), "DRAWN");
    assert_eq!(masked("org.apache.kafka.common"), "org.apache.kafka.common");
    assert_eq!(
        masked("2023-11-14T22:13:20.000Z"),
        "2023-11-14T22:13:20.000Z"
    );
}
