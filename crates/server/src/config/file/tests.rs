use super::*;

fn read(name: &str, text: &str) -> Vec<(String, String)> {
    let given = parse(name, text).expect("well formed");
    given.into_iter().map(|g| (g.key, g.value)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

#[test]
fn yaml_may_be_nested_or_dotted_or_both() {
    let text = "
num.partitions: 3
log:
  retention:
    ms: -1
  flush.interval.messages: 9223372036854775807
auto.create.topics.enable: false
listeners: [PLAINTEXT://:9092, 'INSIDE://:9093']
rack: ~
";
    let mut read = read("a.yaml", text);
    read.sort();
    let expected = [
        ("auto.create.topics.enable", "false"),
        ("listeners", "PLAINTEXT://:9092,INSIDE://:9093"),
        ("log.flush.interval.messages", "9223372036854775807"),
        ("log.retention.ms", "-1"),
        ("num.partitions", "3"),
    ];
    assert_eq!(read, pairs(&expected));
}

#[test]
fn an_empty_yaml_gives_nothing_and_a_wrong_one_says_where() {
    assert_eq!(read("a.yaml", "# only a comment\n\n"), pairs(&[]));
    let error = parse("a.yaml", "a: 1\nb: [\n").expect_err("not closed");
    assert!(error.contains("line"), "{error}");
    for (text, why) in [
        ("- a\n- b\n", "keys and values"),
        (
            "num.partitions: 1\nnum:\n  partitions: 2\n",
            "'num.partitions' is given twice",
        ),
        (
            "listeners: [{a: 1}]",
            "'listeners' must be a list of plain values",
        ),
    ] {
        let error = parse("a.yaml", text).expect_err("wrong");
        assert!(error.contains(why), "{error}");
    }
    assert!(
        parse("a.yaml", "a: 1\na: 2\n").is_err(),
        "one key, two values"
    );
}

#[test]
fn a_kafka_properties_file_is_read_as_java_reads_it() {
    let text = r"
# a comment
! another
process.roles=broker,controller
 node.id = 7
listeners=PLAINTEXT://:9092,\
          CONTROLLER://:9093
log.dirs: /var/lib/kafka
num.partitions 3
empty=
broker.rack=a\u002db\tc
num.partitions=4
";
    let expected = [
        ("process.roles", "broker,controller"),
        ("node.id", "7"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("log.dirs", "/var/lib/kafka"),
        ("empty", ""),
        ("broker.rack", "a-b\tc"),
        ("num.partitions", "4"),
    ];
    assert_eq!(read("server.properties", text), pairs(&expected));
    let error = parse("server.properties", "a=1\nb=\\uzzzz").expect_err("no character");
    assert!(error.starts_with("line 2:"), "{error}");
}
