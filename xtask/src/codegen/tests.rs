//! The generator on small definitions, and the committed files against the jars where those are.

use super::definition::{Message, Versions};
use super::{emit, merge, names};

fn message(text: &str) -> Message {
    Message::parse(text)
        .expect("it is well formed")
        .expect("it is a message")
}

fn newer() -> Message {
    message(
        r#"// a comment before the definition
        { "apiKey": 2, "type": "request", "name": "ThingRequest",
          "validVersions": "2-4", "flexibleVersions": "4+",
          "fields": [
            { "name": "Name", "type": "string", "versions": "0-3", "about": "see http://x" }, // more
            { "name": "ThingId", "type": "uuid", "versions": "4+" },
            { "name": "Note", "type": "string", "versions": "4+", "nullableVersions": "4+",
              "tag": 0, "taggedVersions": "4+", "default": "null" }
          ] }"#,
    )
}

fn older() -> Message {
    message(
        r#"{ "apiKey": 2, "type": "request", "name": "ThingRequest",
          "validVersions": "0-3", "flexibleVersions": "none",
          "fields": [
            { "name": "Name", "type": "string", "versions": "0+" },
            { "name": "Gone", "type": "int32", "versions": "0-1", "default": "7" },
            { "name": "AlsoGone", "type": "int32", "versions": "3+" }
          ] }"#,
    )
}

#[test]
fn a_merge_takes_from_the_older_release_only_what_its_dropped_versions_have() {
    let merged = merge::merge(&newer(), &older()).expect("the releases agree");
    assert_eq!(merged.valid, Versions { low: 0, high: 4 });
    let names: Vec<&str> = merged.fields.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["Name", "Gone", "ThingId", "Note"]);
    assert_eq!(merged.fields[0].versions, Versions { low: 0, high: 3 });
    assert_eq!(merged.fields[1].versions, Versions { low: 0, high: 1 });
}

#[test]
fn an_older_version_that_could_still_change_is_not_taken() {
    let mut open = older();
    open.valid = Versions { low: 0, high: 1 };
    open.unstable = true;
    let merged = merge::merge(&newer(), &open);
    assert!(
        merged.is_err_and(|e| e.contains("gap")),
        "version 1 is missing between 0 and 2"
    );
    open.valid = Versions { low: 1, high: 1 };
    let merged = merge::merge(&newer(), &open).expect("there is nothing to take");
    assert_eq!(merged.valid, Versions { low: 2, high: 4 });
}

#[test]
fn a_field_that_changed_its_type_stops_the_generator() {
    let mut changed = older();
    changed.fields[0].ty = super::definition::Type::Int32;
    let merged = merge::merge(&newer(), &changed);
    assert!(merged.is_err_and(|e| e.contains("Name")));
}

#[test]
fn conditions_follow_the_versions_of_each_field() {
    let merged = merge::merge(&newer(), &older()).expect("the releases agree");
    let text = emit::module(&merged).expect("every type is known");
    for expected in [
        "let flexible = version >= 4;",
        "if version <= 3 { this.name = r.string(flexible)?; }",
        "if version <= 1 { this.gone = r.i32()?; }",
        "if version >= 4 { this.thing_id = r.uuid()?; }",
        "0 if version >= 4 => this.note = r.nullable_string(true)?,",
        "if version >= 4 && self.note.is_some() { tags.put(0,",
        "gone: 7,",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn names_become_those_of_rust() {
    for (kafka, rust) in [
        ("TopicData", "topic_data"),
        ("timeoutMs", "timeout_ms"),
        ("Enable2Pc", "enable2_pc"),
        ("ISRNodes", "isr_nodes"),
        ("Type", "type_"),
    ] {
        assert_eq!(names::snake(kafka), rust);
    }
}

#[test]
fn the_committed_files_are_what_the_jars_give() {
    // Without the jars there is nothing to compare with; `cargo xtask codegen --check` says so.
    if super::default_jars().is_ok() {
        super::run(&["--check".into()]).expect("the committed files are fresh");
    }
}
