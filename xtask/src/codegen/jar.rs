//! Finds the message definitions in a `kafka-clients` jar.

use super::definition::Message;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Every request, response and header that the jar defines.
pub fn messages(path: &Path) -> Result<Vec<Message>, String> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let file = File::open(path).map_err(|e| named(&e))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|e| named(&e))?;
    let mut messages = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|e| named(&e))?;
        if !entry.name().starts_with("common/message/") || !entry.name().ends_with(".json") {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).map_err(|e| named(&e))?;
        messages.extend(Message::parse(&text).map_err(|e| named(&e))?);
    }
    Ok(messages)
}
