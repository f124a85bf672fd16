//! The known key that looks most like a mistyped one.

/// The nearest known key, if any is near: at most a third of the letters differ.
pub fn nearest(name: &str) -> Option<&'static str> {
    let known = super::keys()
        .iter()
        .map(|key| key.name)
        .chain(super::parse::other_names());
    let plain = name.to_ascii_lowercase().replace(['_', '-'], ".");
    let (distance, key) = known.map(|key| (distance(&plain, key), key)).min()?;
    (distance * 3 <= key.len()).then_some(key)
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
/// A mistyped key is short or cut short, so the work is bounded.
fn distance(a: &str, b: &str) -> usize {
    const LETTERS_MAX: usize = 80;
    let a: Vec<char> = a.chars().take(LETTERS_MAX).collect();
    let b: Vec<char> = b.chars().take(LETTERS_MAX).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 0..a.len() {
        let mut row = vec![i + 1];
        for j in 0..b.len() {
            let replaced = last[j] + usize::from(a[i] != b[j]);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}
