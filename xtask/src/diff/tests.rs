use super::*;

const TOLD: &str = "Fetch v4-6 .maxBytes=-1\n    ours:  {a}\n    kafka: {errorCode=UNKNOWN_SERVER_ERROR}\n\
                    Fetch v4 .topics=twice\n    ours:  {a,a}\n    kafka: {a}\n= 7 requests, 4 answered otherwise\n";
const REASONS: &str =
    "# Kafka breaks.\n| kafka .. UNKNOWN_SERVER_ERROR\n\n# Twice is twice.\nFetch .. =twice\n";

#[test]
fn what_has_a_reason_is_no_error_and_all_else_is_named() {
    let reasons = reasons(REASONS);
    assert_eq!(judge(TOLD, &reasons), Ok(()));
    let told = judge(TOLD, &reasons[..1]).expect_err("one is left");
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
