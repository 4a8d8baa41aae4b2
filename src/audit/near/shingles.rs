//! Texts as sets of word shingles.
//!
//! A word is a run of letters and digits, in lower case and NFC; all else separates words, so
//! that spelling of spaces, punctuation and case makes no difference. Scripts that do not put
//! spaces between words (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese, Tibetan) give
//! a word a character. A text without letters and digits gives a word for each character that
//! is not white space. A text of fewer words than a shingle is one shingle of all its words;
//! a text without words has no shingle. Shingles never reach from one text into the next.

use unicode_normalization::char::is_combining_mark;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Hashes of shingles, ascending, each once.
pub type ShingleSet = Vec<u64>;

const WORD: u64 = 0xcbf2_9ce4_8422_2325; // offset and prime of FNV-1a
const PRIME: u64 = 0x0000_0100_0000_01b3;
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// Cuts texts into shingles; keeps its buffer from one text to the next.
#[derive(Debug, Clone)]
pub struct Shingler {
    width: usize,
    words: Vec<u64>,
}

impl Shingler {
    /// Shingles of `width` words.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self {
            width: width.max(1),
            words: Vec::new(),
        }
    }

    /// Appends the 64-bit hashes of the shingles of a text, in order, repeats included.
    pub fn extend(&mut self, text: &str, shingles: &mut Vec<u64>) {
        self.words.clear();
        if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
            words_of(text, &mut self.words);
        } else {
            let composed: String = text.nfc().collect();
            words_of(&composed, &mut self.words);
        }
        if self.words.is_empty() {
            let symbols = text.chars().filter(|c| !c.is_whitespace());
            self.words
                .extend(symbols.map(|c| step(WORD, u64::from(u32::from(c)))));
        }
        if self.words.is_empty() {
            return;
        }
        let width = self.width.min(self.words.len());
        shingles.extend(self.words.windows(width).map(|words| {
            let joined = words.iter().fold(MIX, |hash, word| {
                (hash.rotate_left(23) ^ word).wrapping_mul(MIX)
            });
            let joined = (joined ^ (joined >> 32)).wrapping_mul(MIX);
            joined ^ (joined >> 29)
        }));
    }

    /// The set of shingles of several texts together.
    pub fn set<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) -> ShingleSet {
        let mut shingles = Vec::new();
        for text in texts {
            self.extend(text, &mut shingles);
        }
        shingles.sort_unstable();
        shingles.dedup();
        shingles
    }
}

fn step(hash: u64, byte: u64) -> u64 {
    (hash ^ byte).wrapping_mul(PRIME)
}

/// Appends a hash for each word.
fn words_of(text: &str, words: &mut Vec<u64>) {
    let mut hash = WORD;
    let mut end = |hash: &mut u64| {
        if *hash != WORD {
            words.push(*hash);
            *hash = WORD;
        }
    };
    for c in text.chars() {
        if c.is_ascii() {
            let lower = LOWER[c as usize];
            if lower == 0 {
                end(&mut hash);
            } else {
                hash = step(hash, u64::from(lower));
            }
        } else if is_spaceless(c) {
            if c.is_alphanumeric() {
                end(&mut hash);
                hash = step(hash, u64::from(u32::from(c)));
            }
            end(&mut hash);
        } else if c.is_alphanumeric() {
            for lower in c.to_lowercase() {
                hash = step(hash, u64::from(u32::from(lower)));
            }
        } else if !is_combining_mark(c) {
            end(&mut hash);
        }
    }
    end(&mut hash);
}

/// ASCII letters and digits in lower case; 0 for all that separates words.
const LOWER: [u8; 128] = {
    let mut table = [0; 128];
    let mut i = 0;
    while i < 128 {
        #[expect(clippy::cast_possible_truncation, reason = "below 128")]
        let byte = i as u8;
        if byte.is_ascii_alphanumeric() {
            table[i] = byte.to_ascii_lowercase();
        }
        i += 1;
    }
    table
};

/// Whether a character belongs to a script without spaces between words
/// (Korean has them, between units of several words).
fn is_spaceless(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x109f            // Thai, Lao, Tibetan, Burmese
        | 0x1100..=0x11ff          // Hangul letters
        | 0x1780..=0x17ff          // Khmer
        | 0x2e80..=0x2fdf          // radicals
        | 0x3040..=0x318f          // kana, Bopomofo, Hangul letters
        | 0x31a0..=0x31ff
        | 0x3400..=0x4dbf          // Han
        | 0x4e00..=0x9fff
        | 0xac00..=0xd7ff          // Hangul
        | 0xf900..=0xfaff
        | 0xff66..=0xffdc          // half width
        | 0x2_0000..=0x3_ffff)
}

/// Size of the intersection over size of the union of two sets of hashes, 0 to 1;
/// 0 where both are empty.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "sizes of sets in memory")]
pub fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut at_a, mut at_b, mut shared) = (0, 0, 0_usize);
    while at_a < a.len() && at_b < b.len() {
        // without branches: which side is next cannot be predicted
        let (next_a, next_b) = (a[at_a], b[at_b]);
        shared += usize::from(next_a == next_b);
        at_a += usize::from(next_a <= next_b);
        at_b += usize::from(next_b <= next_a);
    }
    let union = a.len() + b.len() - shared;
    if union == 0 {
        0.0
    } else {
        shared as f64 / union as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        Shingler::new(5).set([text]).len()
    }

    fn similarity(a: &str, b: &str) -> f64 {
        let mut shingler = Shingler::new(5);
        jaccard(&shingler.set([a]), &shingler.set([b]))
    }

    #[test]
    fn shingles_of_long_and_short_texts() {
        assert_eq!(count("one two three four five six seven"), 3);
        assert_eq!(count("one two three four five"), 1);
        assert_eq!(count("one"), 1);
        assert_eq!(count(""), 0);
        assert_eq!(count(" \n\t"), 0);
        assert_eq!(count("?!"), 1);
        assert_eq!(count("a a a a a a a a a"), 1);
    }

    #[test]
    fn spelling_of_spaces_case_and_punctuation_makes_no_difference() {
        let a = "Don’t panic, said the GUIDE; it is\n\nmostly harmless.";
        let b = "don't panic said the guide it is mostly harmless";
        assert!((similarity(a, b) - 1.0).abs() < f64::EPSILON);
        // composed and decomposed
        assert!(
            (similarity("caf\u{e9} cr\u{e8}me", "cafe\u{301} cre\u{300}me") - 1.0).abs() < 1e-12
        );
        assert!(similarity("cafe creme", "caf\u{e9} cr\u{e8}me") < 1e-12);
    }

    #[test]
    fn scripts_without_spaces_have_a_word_a_character() {
        assert_eq!(count("今天天气很好我们去公园"), 7);
        assert_eq!(count("안녕하세요 여러분"), 4);
        let (a, b) = (
            "我喜欢在公园里散步，天气很好。",
            "我喜欢在公园里散步。天气很好",
        );
        assert!((similarity(a, b) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn jaccard_of_sets() {
        assert!((jaccard(&[1, 2, 3], &[2, 3, 4]) - 0.5).abs() < f64::EPSILON);
        assert!(jaccard(&[], &[]).abs() < f64::EPSILON);
        assert!(jaccard(&[1], &[]).abs() < f64::EPSILON);
    }
}
