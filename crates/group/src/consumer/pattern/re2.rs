//! RE2's syntax in the words of the `regex` crate, where the two differ: what RE2 refuses is
//! refused here, what means something else is written otherwise. What they share goes through as
//! it is, and what neither knows the crate refuses.
//!
//! The differences: `\Q...\E` and octal escapes; `\d \w \s \b` know ASCII only; an escaped `<` or
//! `>` is that character; in a class `[`, `&`, `-` and `~` are characters; `{` that begins no
//! count is a character; the flags are `i m s U`, no `x`; a repetition of a repetition is refused;
//! counts end at 1,000.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

/// RE2's largest count.
const COUNT_MAX: u32 = 1_000;
/// The names of classes within classes.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];
/// What `\s` is.
const SPACE: &str = r"\t\n\f\r ";

/// The expression in the crate's syntax, or what is wrong with it.
pub(super) fn translate(expression: &str) -> Result<String, String> {
    let mut translator = Translator {
        rest: expression.chars().peekable(),
        out: String::with_capacity(expression.len()),
        repeatable: Last::Nothing,
        depth: 0,
        names: BTreeSet::new(),
    };
    translator.all()?;
    if translator.depth > 0 {
        return Err("missing closing )".to_owned());
    }
    Ok(translator.out)
}

/// What stands before a repetition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Nothing that could be repeated.
    Nothing,
    /// Something that can be repeated.
    Item,
    /// A repetition.
    Repetition,
}

struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    repeatable: Last,
    /// Groups that are open.
    depth: u32,
    names: BTreeSet<String>,
}

impl Translator<'_> {
    fn all(&mut self) -> Result<(), String> {
        while let Some(c) = self.rest.next() {
            match c {
                '\\' => self.escape()?,
                '[' => {
                    self.class()?;
                    self.repeatable = Last::Item;
                }
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.out.push('|');
                    self.repeatable = Last::Nothing;
                }
                '*' | '+' | '?' => self.repeat(&c.to_string())?,
                '{' => match self.count()? {
                    Some(count) => self.repeat(&count)?,
                    None => self.literal('{'),
                },
                '}' | ']' => self.literal(c),
                // Left as they are: `.`, `^`, `$`, characters.
                _ => {
                    self.out.push(c);
                    self.repeatable = Last::Item;
                }
            }
        }
        Ok(())
    }

    fn literal(&mut self, c: char) {
        literal(&mut self.out, c);
        self.repeatable = Last::Item;
    }

    fn repeat(&mut self, operator: &str) -> Result<(), String> {
        match self.repeatable {
            Last::Nothing => return Err(format!("missing argument to repetition `{operator}`")),
            Last::Repetition => return Err(format!("bad repetition `{operator}`")),
            Last::Item => {}
        }
        self.out.push_str(operator);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        self.repeatable = Last::Repetition;
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}`; the opening brace is read already. Anything else is no count and
    /// leaves the rest as it was.
    fn count(&mut self) -> Result<Option<String>, String> {
        let mut ahead = self.rest.clone();
        let Some(from) = number(&mut ahead) else {
            return Ok(None);
        };
        let mut to = Some(from);
        let mut text = format!("{{{from}");
        if ahead.next_if_eq(&',').is_some() {
            text.push(',');
            to = number(&mut ahead);
            if let Some(to) = to {
                text.push_str(&to.to_string());
            }
        }
        if ahead.next() != Some('}') {
            return Ok(None);
        }
        self.rest = ahead;
        text.push('}');
        if from > COUNT_MAX || to.is_some_and(|to| to > COUNT_MAX || to < from) {
            return Err(format!("invalid repeat count `{text}`"));
        }
        Ok(Some(text))
    }

    /// A group or flags; the crate knows flags and a syntax that RE2 doesn't.
    fn open(&mut self) -> Result<(), String> {
        self.repeatable = Last::Nothing;
        if self.rest.next_if_eq(&'?').is_none() {
            self.out.push('(');
            self.depth += 1;
            return Ok(());
        }
        let mut flags = String::new();
        while let Some(c) = self.rest.next() {
            match c {
                'P' | '<' if flags.is_empty() => return self.name(c),
                'i' | 'm' | 's' | 'U' => flags.push(c),
                '-' if !flags.contains('-') => flags.push(c),
                ':' | ')' => return self.flags(&flags, c),
                _ => break,
            }
        }
        Err("invalid or unsupported group syntax".to_owned())
    }

    /// Flags for the group that begins, or for what follows.
    fn flags(&mut self, flags: &str, end: char) -> Result<(), String> {
        if flags.ends_with('-') {
            return Err("invalid or unsupported group syntax".to_owned());
        }
        match (flags, end) {
            ("", ')') => {}
            _ => self.out.push_str(&format!("(?{flags}{end}")),
        }
        self.depth += u32::from(end == ':');
        Ok(())
    }

    /// `(?P<name>` or `(?<name>`; up to `P` or `<` it is read. Nobody asks for what a group
    /// captures, so the name isn't passed on.
    fn name(&mut self, first: char) -> Result<(), String> {
        if first == 'P' && self.rest.next_if_eq(&'<').is_none() {
            return Err("invalid named capture".to_owned());
        }
        let mut name = String::new();
        while let Some(c) = self
            .rest
            .next_if(|c| c.is_ascii_alphanumeric() || *c == '_')
        {
            name.push(c);
        }
        if name.is_empty() || self.rest.next() != Some('>') {
            return Err("invalid named capture".to_owned());
        }
        if !self.names.insert(name) {
            return Err("duplicate capture group name".to_owned());
        }
        self.out.push('(');
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let left = self.depth.checked_sub(1);
        self.depth = left.ok_or("missing opening (")?;
        self.out.push(')');
        self.repeatable = Last::Item;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(c) = self.rest.next() else {
            return Err("trailing backslash at end of expression".to_owned());
        };
        match c {
            'Q' => self.quoted(),
            'd' => self.out.push_str("[0-9]"),
            'D' => self.out.push_str("[^0-9]"),
            'w' => self.out.push_str("[0-9A-Za-z_]"),
            'W' => self.out.push_str("[^0-9A-Za-z_]"),
            's' => self.out.push_str(&format!("[{SPACE}]")),
            'S' => self.out.push_str(&format!("[^{SPACE}]")),
            'b' => self.out.push_str(r"(?-u:\b)"),
            'B' => self.out.push_str(r"(?-u:\B)"),
            'A' | 'z' => {
                self.out.push('\\');
                self.out.push(c);
            }
            _ => self.character(c)?,
        }
        if c != 'Q' {
            self.repeatable = Last::Item;
        }
        Ok(())
    }

    /// Up to `\E` or the end every character is itself.
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    /// An escape that stands for a character or a Unicode class, also within a class.
    fn character(&mut self, c: char) -> Result<(), String> {
        match c {
            'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'x' => self.hex()?,
            'p' | 'P' => self.unicode(c)?,
            '0' => self.octal(0)?,
            // A single digit would be a reference back, which neither knows.
            '1'..='7' if self.rest.peek().is_some_and(|c| ('0'..='7').contains(c)) => {
                self.octal(c.to_digit(8).unwrap_or_default())?;
            }
            c if !c.is_ascii_alphanumeric() => literal(&mut self.out, c),
            _ => return Err(format!("invalid escape sequence `\\{c}`")),
        }
        Ok(())
    }

    /// A Unicode class by its short or long name; `^` before the name turns it around.
    fn unicode(&mut self, sign: char) -> Result<(), String> {
        let name = match self.braced()? {
            Some(name) => name,
            None => self.rest.next().map(String::from).unwrap_or_default(),
        };
        let (turned, plain) = match name.strip_prefix('^') {
            Some(plain) => (true, plain),
            None => (false, name.as_str()),
        };
        let known = plain.starts_with(|c: char| c.is_ascii_uppercase())
            && plain.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !plain.starts_with("Is");
        if !known {
            return Err(format!(
                "invalid character class range `\\{sign}{{{name}}}`"
            ));
        }
        let sign = if (sign == 'P') != turned { 'P' } else { 'p' };
        self.out.push_str(&format!("\\{sign}{{{plain}}}"));
        Ok(())
    }

    /// What is in the braces that follow, if any do: no count.
    fn braced(&mut self) -> Result<Option<String>, String> {
        if self.rest.next_if_eq(&'{').is_none() {
            return Ok(None);
        }
        let mut inside = String::new();
        while let Some(c) = self.rest.next_if(|c| *c != '}') {
            inside.push(c);
        }
        match self.rest.next() {
            Some(_) => Ok(Some(inside)),
            None => Err("missing closing }".to_owned()),
        }
    }

    fn hex(&mut self) -> Result<(), String> {
        let (digits, enough) = match self.braced()? {
            Some(digits) => (digits, 1),
            None => (
                (0..2).filter_map(|_| self.rest.next()).collect::<String>(),
                2,
            ),
        };
        let whole = digits.len() >= enough && digits.chars().all(|c| c.is_ascii_hexdigit());
        let code = u32::from_str_radix(&digits, 16).ok().filter(|_| whole);
        let c = code.and_then(char::from_u32);
        literal(&mut self.out, c.ok_or("invalid escape sequence")?);
        Ok(())
    }

    fn octal(&mut self, mut code: u32) -> Result<(), String> {
        for _ in 0..2 {
            let Some(digit) = self.rest.next_if(|c| ('0'..='7').contains(c)) else {
                break;
            };
            code = code * 8 + digit.to_digit(8).unwrap_or_default();
        }
        let c = char::from_u32(code).ok_or("invalid escape sequence")?;
        literal(&mut self.out, c);
        Ok(())
    }

    /// A class; the opening bracket is read already.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        // RE2 has `-` for itself at the ends of a class only, and otherwise between two
        // characters; `low` is one that may begin a range.
        while let Some(c) = self.rest.next() {
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if self.rest.peek() == Some(&':') => self.posix()?,
                '\\' => self.class_escape()?,
                '-' => self.dash(first),
                _ => literal(&mut self.out, c),
            }
            first = false;
        }
        Err("missing closing ]".to_owned())
    }

    /// `-` makes a range unless it stands at one of the ends.
    fn dash(&mut self, first: bool) {
        if first || self.rest.peek() == Some(&']') {
            self.out.push_str(r"\-");
        } else {
            self.out.push('-');
        }
    }

    fn class_escape(&mut self) -> Result<(), String> {
        let Some(c) = self.rest.next() else {
            return Err("trailing backslash at end of expression".to_owned());
        };
        match c {
            'd' => self.out.push_str("0-9"),
            'w' => self.out.push_str("0-9A-Za-z_"),
            's' => self.out.push_str(SPACE),
            'D' => self.out.push_str("[^0-9]"),
            'W' => self.out.push_str("[^0-9A-Za-z_]"),
            'S' => self.out.push_str(&format!("[^{SPACE}]")),
            _ => self.character(c)?,
        }
        Ok(())
    }

    /// `[:name:]` within a class; if no `:]` follows, `[` is a character.
    fn posix(&mut self) -> Result<(), String> {
        let rest: String = self.rest.clone().skip(1).collect();
        let Some((name, _)) = rest.split_once(":]") else {
            literal(&mut self.out, '[');
            return Ok(());
        };
        if !POSIX.contains(&name.trim_start_matches('^')) {
            return Err(format!("invalid character class range `[:{name}:]`"));
        }
        self.out.push_str(&format!("[:{name}:]"));
        let read = name.chars().count() + ":".len() + ":]".len();
        for _ in 0..read {
            self.rest.next();
        }
        Ok(())
    }
}

/// The character itself, whatever it means to the crate, in a class or not.
fn literal(out: &mut String, c: char) {
    if c.is_ascii() && !c.is_ascii_alphanumeric() {
        out.push_str(&format!(r"\x{:02x}", c as u32));
    } else {
        out.push(c);
    }
}

/// A number without leading zeros.
fn number(rest: &mut Peekable<Chars<'_>>) -> Option<u32> {
    let mut value: Option<u32> = None;
    while let Some(digit) = rest.peek().copied().filter(char::is_ascii_digit) {
        if value == Some(0) {
            return None;
        }
        rest.next();
        let digit = digit.to_digit(10)?;
        value = Some(value.unwrap_or(0).saturating_mul(10).saturating_add(digit));
    }
    value
}
