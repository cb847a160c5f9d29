//! Just enough of Rust's lexical structure to look at code without its comments and strings.

/// The code with comments and the inside of string and character literals blanked; lines stay where they are.
pub(crate) fn code_only(text: &str) -> String {
    let source: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < source.len() {
        let end = match (source[at], source.get(at + 1)) {
            ('/', Some('/')) => find(&source, at, |rest| rest.starts_with(&['\n'])),
            ('/', Some('*')) => block_comment(&source, at),
            ('"', _) => string(&source, at + 1),
            ('r', Some('"' | '#')) if !follows_word(&source, at) => raw_string(&source, at).unwrap_or(at),
            ('\'', Some(next)) if *next == '\\' || source.get(at + 2) == Some(&'\'') => {
                // Not a lifetime: those have no closing quote. An escape is skipped with its first character.
                find(&source, at + 3 - usize::from(*next != '\\'), |rest| {
                    rest.starts_with(&['\''])
                }) + 1
            }
            _ => at,
        };
        if end > at {
            let end = end.min(source.len());
            code.extend(
                source[at..end]
                    .iter()
                    .map(|it| if *it == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        } else {
            code.push(source[at]);
            at += 1;
        }
    }
    code
}

fn find(source: &[char], from: usize, at_end: impl Fn(&[char]) -> bool) -> usize {
    (from..source.len())
        .find(|at| at_end(&source[*at..]))
        .unwrap_or(source.len())
}

fn block_comment(source: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at < source.len() {
        match (source[at], source.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) if depth == 1 => return at + 2,
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn string(source: &[char], from: usize) -> usize {
    let mut at = from;
    while at < source.len() {
        match source[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// The end of a raw string that begins here, if one does.
fn raw_string(source: &[char], from: usize) -> Option<usize> {
    let hashes = source[from + 1..].iter().take_while(|it| **it == '#').count();
    if source.get(from + 1 + hashes) != Some(&'"') {
        return None;
    }
    let closing: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    Some(find(source, from + 2 + hashes, |rest| rest.starts_with(&closing)) + closing.len())
}

fn follows_word(source: &[char], at: usize) -> bool {
    // `br"..."` is a raw string as well.
    at > 0 && is_word(source[at - 1]) && source[at - 1] != 'b'
}

fn is_word(it: char) -> bool {
    it.is_alphanumeric() || it == '_'
}

/// True when the word stands in the text on its own.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(is_word);
        let after = text[at + word.len()..].chars().next().is_some_and(is_word);
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_stays() {
        let text = r##"let a = "x // y \" z"; // tail
/* one /* two */ still */ let b = r#"raw " x"#; let c = '"'; let d: &'static str = br"z"; let e = '\''; done"##;
        let code = code_only(text);
        assert_eq!(code.lines().count(), 2);
        for gone in ["x //", "tail", "one", "still", "raw", "z"] {
            assert!(!has_word(&code, gone), "{gone} is left in {code}");
        }
        for kept in ["a", "b", "c", "'static", "d", "e", "done"] {
            assert!(code.contains(kept), "{kept} is missing in {code}");
        }
    }

    #[test]
    fn a_word_is_found_only_whole() {
        assert!(has_word("use diesel::prelude", "diesel"));
        assert!(!has_word("use diesel_async::x", "diesel"));
        assert!(!has_word("biodiesel", "diesel"));
    }
}
