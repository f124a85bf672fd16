//! From Kafka's names to Rust's.

/// `TopicData` and `timeoutMs` become `topic_data` and `timeout_ms`.
pub fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            let after_small = !chars[i - 1].is_ascii_uppercase();
            let before_small = chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
            if after_small || before_small {
                out.push('_');
            }
        }
        out.push(c.to_ascii_lowercase());
    }
    if matches!(
        out.as_str(),
        "type" | "match" | "ref" | "move" | "in" | "where"
    ) {
        out.push('_');
    }
    out
}
