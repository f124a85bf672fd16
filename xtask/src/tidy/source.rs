//! A Rust file as tidy sees it: its code with comments, literals and test modules blanked out,
//! so that a rule about code can't be set off by prose. Not a parser: it knows tokens, braces
//! and nothing else.

/// A file's code; every blanked byte is a space, line breaks stay.
pub struct Source {
    /// Without comments and literals.
    pub code: String,
    /// Without `#[cfg(test)]` modules either.
    pub shipped: String,
}

/// A function and where its body lies.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of `fn`, from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace.
    pub lines: usize,
}

impl Source {
    /// Blanks a file's text.
    pub fn of(text: &str) -> Source {
        let code = blank_prose(text);
        let shipped = blank_test_modules(&code);
        Source { code, shipped }
    }

    /// Every function with a body.
    pub fn functions(&self) -> Vec<Function> {
        let code = self.code.as_bytes();
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let starts_word = at == 0 || !is_word(code[at - 1]);
            let name: String = self.code[at + 3..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if !starts_word || name.is_empty() {
                continue;
            }
            if let Some(end) = body_end(code, at) {
                let line = 1 + newlines(&code[..at]);
                found.push(Function {
                    name,
                    line,
                    lines: 1 + newlines(&code[at..end]),
                });
            }
        }
        found
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| **b == b'\n').count()
}

/// Where the body that begins after `from` ends; none if a semicolon comes first.
fn body_end(code: &[u8], from: usize) -> Option<usize> {
    let mut brackets = 0usize;
    for at in from..code.len() {
        match code[at] {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.saturating_sub(1),
            b';' if brackets == 0 => return None,
            b'{' if brackets == 0 => return block_end(code, at),
            _ => {}
        }
    }
    None
}

/// The position of the brace that closes the one at `open`.
fn block_end(code: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn blank_test_modules(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        if let Some(end) = body_end(code.as_bytes(), at + "#[cfg(test)]".len()) {
            blank(&mut out[at..=end]);
        }
    }
    String::from_utf8(out).expect("blanking keeps whole characters or replaces every byte of them")
}

fn blank(bytes: &mut [u8]) {
    bytes
        .iter_mut()
        .filter(|b| **b != b'\n')
        .for_each(|b| *b = b' ');
}

/// Replaces comments and the insides of string and character literals by spaces.
fn blank_prose(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = prose_end(bytes, at);
        if end > at {
            blank(&mut out[at..end]);
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8(out).expect("prose starts and ends at ASCII characters")
}

/// Where the comment or literal that starts at `at` ends; `at` if none starts there.
fn prose_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment_len(rest);
    }
    if rest[0] == b'"' {
        return at + string_len(rest);
    }
    let inside_word = at > 0 && is_word(bytes[at - 1]);
    if rest[0] == b'r' && (!inside_word || bytes[at - 1] == b'b') {
        return at + raw_string_len(rest);
    }
    if rest[0] == b'\'' {
        return at + character_len(rest);
    }
    at
}

fn block_comment_len(rest: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn string_len(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// The length of `r"..."` or `r##"..."##`; 0 if it is none (`r#type`, a name that starts with r).
fn raw_string_len(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let body = &rest[2 + hashes..];
    let end = body.windows(close.len()).position(|w| w == close);
    end.map_or(rest.len(), |end| 2 + hashes + end + close.len())
}

/// The length of a character literal; 0 if the quote starts a lifetime.
fn character_len(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let close = rest.iter().skip(3).position(|b| *b == b'\'');
        return close.map_or(0, |close| close + 4);
    }
    let width = match rest.get(1) {
        Some(b) if *b >= 0xf0 => 4,
        Some(b) if *b >= 0xe0 => 3,
        Some(b) if *b >= 0xc0 => 2,
        _ => 1,
    };
    if rest.get(1 + width) == Some(&b'\'') {
        width + 2
    } else {
        0
    }
}
