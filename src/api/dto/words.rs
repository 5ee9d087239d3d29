//! Closed sets of words.

/// A set of words that stands for an inner one with the same variants; in JSON in kebab-case.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident = $inner:ident::$kind:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[expect(missing_docs, reason = "each is the word that stands in the JSON")]
        pub enum $name {
            $($variant),+
        }

        impl From<$inner::$kind> for $name {
            fn from(word: $inner::$kind) -> Self {
                match word {
                    $($inner::$kind::$variant => Self::$variant),+
                }
            }
        }
    };
}

pub(super) use words;
