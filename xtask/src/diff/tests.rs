use super::*;

const TOLD: &str = "Fetch v4-6 .maxBytes=-1\n    ours:  {a}\n    kafka: {errorCode=UNKNOWN_SERVER_ERROR}\n\
                    Fetch v4 .topics=twice\n    ours:  {a,a}\n    kafka: {a}\n= 7 requests, 4 answered otherwise\n";
const REASONS: &str =
    "# Kafka breaks.\n| kafka .. UNKNOWN_SERVER_ERROR\n\n# Twice is twice.\nFetch .. =twice\n";

#[test]
fn what_has_a_reason_is_no_error_and_all_else_is_named() {
    let reasons = reasons(REASONS);
    assert_eq!(judge(TOLD, &reasons, true), Ok(()));
    let told = judge(TOLD, &reasons[..1], true).expect_err("one is left");
    assert!(told.contains("Fetch v4 .topics=twice"), "{told}");
    assert!(!told.contains("maxBytes"), "{told}");
}

#[test]
fn marks_stand_in_their_order() {
    let one = &disagreements(TOLD)[0];
    let with = |marks: &str| is_meant(&reasons(&format!("# why\n{marks}"))[0], one);
    assert!(with("Fetch .. maxBytes .. | kafka .. UNKNOWN"));
    assert!(!with("| kafka .. Fetch"));
    assert!(!with("| ours .. UNKNOWN_SERVER_ERROR .. | kafka"));
}

#[test]
fn a_reason_for_nothing_is_an_error_of_a_whole_run() {
    let reasons = reasons(&format!("{REASONS}Produce .. acks=-2\n"));
    let told = judge(TOLD, &reasons, true).expect_err("nothing needs the last one");
    assert!(told.contains("Produce .. acks=-2"), "{told}");
    assert!(!told.contains("Fetch"), "{told}");
    assert_eq!(judge(TOLD, &reasons, false), Ok(()));
}

#[test]
fn a_reason_that_depends_on_time_may_rest() {
    let text =
        format!("{REASONS}#? The disk is slow.\nProduce .. acks=-2\n# And\nFetch .. maxWait\n");
    let reasons = reasons(&text);
    assert_eq!(reasons[2].why, "The disk is slow.");
    let told = judge(TOLD, &reasons, true).expect_err("nothing needs the last one");
    assert_eq!(told, "reasons for nothing:\nFetch .. maxWait");
}
