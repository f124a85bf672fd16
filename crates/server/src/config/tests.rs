use super::*;

fn gather_from(
    args: &Serve,
    variables: &[(&str, &str)],
    file: &str,
) -> Result<Settings, ConfigError> {
    let variables = variables
        .iter()
        .map(|(k, v)| (OsString::from(k), OsString::from(v)));
    gather(args, variables, |_| Ok(file.to_owned()))
}

fn refused(args: &Serve, variables: &[(&str, &str)], file: &str) -> String {
    gather_from(args, variables, file)
        .expect_err("refused")
        .to_string()
}

fn set(pairs: &[&str]) -> Serve {
    Serve {
        set: pairs.iter().map(|p| (*p).to_owned()).collect(),
        ..Serve::default()
    }
}

fn with_file(name: &str) -> Serve {
    Serve {
        config: Some(name.to_owned()),
        ..Serve::default()
    }
}

#[test]
fn nothing_given_is_one_node_ready_for_clients() {
    let settings = gather_from(&Serve::default(), &[], "").expect("the defaults");
    assert_eq!(settings.node.0, 1);
    assert_eq!(settings.data_dir, "./flotilla-data");
    assert_eq!(settings.listeners[0].bind.to_string(), "127.0.0.1:9092");
    assert_eq!(settings.http.expect("on").to_string(), "127.0.0.1:9640");
    assert!(settings.peers.is_empty());
}

#[test]
fn the_later_source_wins() {
    let file = "num.partitions: 2\n";
    let partitions = |args: &Serve, variables: &[(&str, &str)]| {
        gather_from(args, variables, file)
            .expect("valid")
            .topic_defaults()
            .partitions
    };
    let mut args = with_file("a.yaml");
    assert_eq!(partitions(&Serve::default(), &[]), 1);
    assert_eq!(partitions(&args, &[]), 2);
    let variable = [("FLOTILLA_NUM_PARTITIONS", "3")];
    assert_eq!(partitions(&args, &variable), 3);
    args.set = vec!["num.partitions=4".to_owned()];
    assert_eq!(partitions(&args, &variable), 4);
    args.set.push("num.partitions=5".to_owned());
    assert_eq!(partitions(&args, &variable), 5);
}

#[cfg(unix)]
#[test]
fn what_is_not_text_in_the_environment_is_no_business_of_ours_unless_it_is_a_key() {
    use std::os::unix::ffi::OsStringExt;
    let gathered = |name: &[u8], value: &[u8]| {
        let variable = (
            OsString::from_vec(name.to_vec()),
            OsString::from_vec(value.to_vec()),
        );
        let read = |_: &str| Ok(String::new());
        gather(&Serve::default(), [variable].into_iter(), read)
    };
    gathered(b"PATH", b"/opt/\xe9").expect("another's value");
    gathered(b"OTHER\xff", b"x").expect("another's name");
    for name in ["FLOTILLA_NUM_PARTITIONS", "FLOTILLA_CONFIG"] {
        let refused = gathered(name.as_bytes(), b"\xff").expect_err("a value of ours");
        let told = refused.to_string();
        assert!(told.starts_with(&format!("environment {name}: ")), "{told}");
    }
}

#[test]
fn the_file_may_be_named_by_the_environment() {
    let settings = gather_from(
        &Serve::default(),
        &[("FLOTILLA_CONFIG", "a.yaml")],
        "node.id: 8",
    );
    assert_eq!(settings.expect("valid").node.0, 8);
}

#[test]
fn short_flags_are_keys() {
    let args = Serve {
        node_id: Some("2".to_owned()),
        data_dir: Some("/data".to_owned()),
        rack: Some("r1".to_owned()),
        kafka: Some("0.0.0.0:1234".to_owned()),
        advertise: Some("example.org:19092".to_owned()),
        http: Some("127.0.0.1:0".to_owned()),
        peers: Some("1@a:1,2@b:2,3@c:3".to_owned()),
        ..Serve::default()
    };
    let settings = gather_from(&args, &[], "").expect("valid");
    assert_eq!((settings.node.0, settings.data_dir.as_str()), (2, "/data"));
    assert_eq!(settings.rack.as_deref(), Some("r1"));
    let listener = &settings.listeners[0];
    assert_eq!(listener.bind.to_string(), "0.0.0.0:1234");
    assert_eq!(
        listener.advertised.as_ref().expect("given").to_string(),
        "example.org:19092"
    );
    assert_eq!(
        settings.peer_listener.expect("its own place").to_string(),
        "b:2"
    );
    assert_eq!(settings.peers.len(), 3);
}

#[test]
fn what_is_wrong_is_named_with_its_place_value_bounds_and_nearest_name() {
    let unknown = refused(&set(&["num.partition=3"]), &[], "");
    assert!(
        unknown.starts_with("--set: num.partition = '3': unknown key"),
        "{unknown}"
    );
    assert!(unknown.contains("'num.partitions'"), "{unknown}");
    let range = refused(&with_file("a.yaml"), &[], "num:\n  partitions: 0\n");
    assert!(
        range.starts_with("file a.yaml: num.partitions = '0'"),
        "{range}"
    );
    assert!(range.contains("[1,"), "{range}");
    let variable = refused(&Serve::default(), &[("FLOTILLA_NODE_ID", "x")], "");
    assert!(
        variable.starts_with("environment FLOTILLA_NODE_ID: node.id = 'x'"),
        "{variable}"
    );
    let flag = Serve {
        kafka: Some("nonsense".to_owned()),
        ..Serve::default()
    };
    assert!(
        refused(&flag, &[], "").starts_with("--kafka: listeners"),
        "{flag:?}"
    );
    assert!(refused(&set(&["num.partitions"]), &[], "").contains("not KEY=VALUE"));
    let join = Serve {
        join: Some("a:1,b".to_owned()),
        ..Serve::default()
    };
    assert!(
        refused(&join, &[], "").starts_with("--join: join"),
        "no port"
    );
}

#[test]
fn a_kafka_file_as_it_is_starts_a_node_and_names_what_has_no_meaning() {
    let file = "
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL
num.network.threads=3
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
log.retention.hours=168
";
    let settings = gather_from(&with_file("server.properties"), &[], file).expect("as it is");
    assert_eq!(settings.listeners.len(), 1);
    assert_eq!(settings.data_dir, "/tmp/kraft-combined-logs");
    for key in [
        "process.roles",
        "num.network.threads",
        "inter.broker.listener.name",
    ] {
        let named = settings.warnings.iter().filter(|w| w.contains(key)).count();
        assert_eq!(named, 1, "{key}: {:?}", settings.warnings);
    }
}
