//! Texts without what does not tell pairs apart: white space, and how letters are composed.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// NFC, with each run of white space made one space, trimmed; borrowed where it stands so.
#[must_use]
pub fn normalise(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    let Some(mut at) = irregular(text.as_bytes(), 0) else {
        return text.into();
    };
    let mut out = String::with_capacity(text.len());
    // everything before is written; a word begins there
    let mut begin = 0;
    loop {
        let bytes = text.as_bytes();
        if bytes[at].is_ascii() {
            push(&text[begin..at], &mut out);
            begin = at;
        } else {
            let regular = &text[begin..at];
            let word = begin + regular.rfind(' ').map_or(0, |space| space + 1);
            let length = bytes[at..].iter().position(|&byte| is_space(byte));
            let end = length.map_or(text.len(), |length| at + length);
            push(&text[begin..word], &mut out);
            for word in text[word..end].split_whitespace() {
                push_word(word, &mut out);
            }
            begin = end;
        }
        let spaces = bytes[begin..].iter().take_while(|&&byte| is_space(byte));
        begin += spaces.count();
        let Some(next) = irregular(bytes, begin) else {
            break;
        };
        at = next;
    }
    push(&text[begin..], &mut out);
    out.truncate(out.trim_end_matches(' ').len());
    out.into()
}

/// White space of one byte; a byte of a longer character is never one of these.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Bytes that are looked at together.
const BLOCK: usize = 32;

/// The first byte at or after `from` that must be looked at: beyond ASCII, white space other
/// than a space, or a space behind another. `from` itself is no space.
fn irregular(bytes: &[u8], from: usize) -> Option<usize> {
    if is_irregular(0, *bytes.get(from)?) {
        return Some(from);
    }
    let mut at = from + 1;
    while let Some(block) = bytes[at - 1..].first_chunk() {
        if any_irregular(block) {
            let (before, block) = block.split_first()?;
            return Some(at + first_irregular(block, *before)?);
        }
        at += BLOCK;
    }
    let mut pairs = bytes[at - 1..].iter().zip(&bytes[at..]);
    Some(at + pairs.position(|(&before, &byte)| is_irregular(before, byte))?)
}

#[expect(
    clippy::needless_bitwise_bool,
    reason = "without branches a block is looked at as vectors"
)]
const fn is_irregular(before: u8, byte: u8) -> bool {
    !byte.is_ascii() | (byte.wrapping_sub(b'\t') < 5) | ((before == b' ') & (byte == b' '))
}

/// Whether any byte but the first, which is only looked back at, is irregular.
// inlined into its loop it becomes branches again: five times as slow
#[inline(never)]
fn any_irregular(block: &[u8; BLOCK + 1]) -> bool {
    let pairs = block.iter().zip(&block[1..]);
    pairs.fold(false, |any, (&before, &byte)| {
        any | is_irregular(before, byte)
    })
}

/// The first irregular byte of a block, eight bytes at a time.
fn first_irregular(block: &[u8], before: u8) -> Option<usize> {
    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    // the highest bit of a byte tells
    let mut carried = if before == b' ' { 0x80 } else { 0 };
    for (word, at) in block.as_chunks::<8>().0.iter().zip((0..).step_by(8)) {
        let word = u64::from_le_bytes(*word);
        let (ascii, beyond) = (word & all(0x7f), word & all(0x80));
        // sums of seven bits stay within their byte
        let breaks = (ascii + all(0x80 - 9)) & !(ascii + all(0x80 - 14));
        let spaces = !((ascii ^ all(b' ')) + all(0x7f)) & !beyond & all(0x80);
        let found = beyond | (breaks & all(0x80)) | (spaces & (spaces << 8 | carried));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        carried = spaces >> 56;
    }
    None
}

/// Adds regular text behind a space.
fn push(text: &str, out: &mut String) {
    if !text.is_empty() {
        if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
        out.push_str(text);
    }
}

/// Adds a word that may have to be composed.
fn push_word(word: &str, out: &mut String) {
    // most words are in NFC as they stand; composing them again costs ten times as much
    let is_composed = word.chars().all(stays) || is_nfc_quick(word.chars()) == IsNormalized::Yes;
    if is_composed {
        push(word, out);
    } else {
        push(&word.nfc().collect::<String>(), out);
    }
}

/// Characters that NFC never changes, whatever stands beside them if that is one of them too.
const STAY: [RangeInclusive<char>; 6] = [
    '\0'..='\u{2ff}',          // Latin
    '\u{400}'..='\u{482}',     // Cyrillic
    '\u{2010}'..='\u{2027}',   // dashes and quotes
    '\u{3001}'..='\u{3029}',   // punctuation of East Asia
    '\u{4e00}'..='\u{9fff}',   // Han
    '\u{1f300}'..='\u{1f64f}', // emoji
];

fn stays(c: char) -> bool {
    STAY.iter().any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests {
    use unicode_normalization::char::canonical_combining_class;

    use super::*;

    fn expected(text: &str) -> String {
        let words: Vec<String> = text
            .split_whitespace()
            .map(|word| word.nfc().collect())
            .collect();
        words.join(" ")
    }

    proptest::proptest! {
        #[test]
        fn normalising_is_what_it_says(text in "[ \\t\\n\u{b}\u{a0}\u{3000}\u{1c}a-c\u{e9}e\u{301}\u{2019}\u{4e2d}]{0,40}") {
            proptest::prop_assert_eq!(normalise(&text), expected(&text));
        }

        #[test]
        fn long_texts_are_normalised_alike(text in "([a-f]{1,9} ){0,12}[ \\n\u{a0}\u{e9}\u{301}]{0,3}([a-f]{1,9} ){0,12}") {
            proptest::prop_assert_eq!(normalise(&text), expected(&text));
        }
    }

    #[test]
    fn the_first_irregular_byte_is_found_at_every_place() {
        for at in 0..80 {
            for (bytes, expected) in [
                ("\n", at),
                ("\r", at),
                ("\t", at),
                ("\u{b}", at),
                ("\u{a0}", at),
                ("\u{e9}", at),
                ("  ", at + 1),
            ] {
                let text = format!("{}{bytes}x\n\u{e9}  {}", "x".repeat(at), "y ".repeat(20));
                let is_space = bytes == "  ";
                if !(is_space && at == 0) {
                    assert_eq!(irregular(text.as_bytes(), 0), Some(expected), "{text:?}");
                }
            }
            let regular = format!("{}\u{8}\u{e}\u{1f} \u{7f}~", "x ".repeat(at));
            assert_eq!(irregular(regular.as_bytes(), 0), None, "{regular:?}");
        }
    }

    #[test]
    fn what_is_normal_is_borrowed() {
        let text = format!(" {} \n", "a few words, ".repeat(9).trim());
        assert!(matches!(normalise(&text), Cow::Borrowed(_)));
        assert!(matches!(normalise(""), Cow::Borrowed("")));
    }

    #[test]
    fn composed_and_decomposed_letters_are_one_text() {
        for text in ["caf\u{e9}  noir", " cafe\u{301}\tnoir\n"] {
            assert_eq!(normalise(text), "caf\u{e9} noir");
        }
        // composition must not reach over a word, nor reorder what is in order
        assert_eq!(normalise("a \u{301}"), "a \u{301}");
        assert_eq!(normalise("\u{1e9b}\u{323}"), "\u{1e9b}\u{323}");
    }

    #[test]
    fn characters_that_stay_are_starters_in_nfc() {
        for c in STAY.into_iter().flatten() {
            assert_eq!(canonical_combining_class(c), 0, "{c:?}");
            assert_eq!(is_nfc_quick(std::iter::once(c)), IsNormalized::Yes, "{c:?}");
        }
    }
}
