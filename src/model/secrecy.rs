//! What must not be shown. Every plan, event, status and file diff that people or programs read goes through here.
//!
//! Hidden is: the value of a variable, label or key whose name says so; every value from an env file; user and password in an
//! address; `name=value` with such a name within a longer text; the word after an option with such a name; password hashes and
//! private keys. The rules follow names and forms, so that a secret in a place that nobody would look for one is shown: what must
//! stay secret belongs in an env file.

use super::{Field, FieldKind};

/// Stands for a value that must not be shown. Not even a digest stands there: a short secret could be guessed from it.
pub const HIDDEN: &str = "‹hidden›";

/// Parts of names whose values are secrets, in capitals.
const NAMES: [&str; 14] = [
    "PASS",
    "PWD",
    "SECRET",
    "TOKEN",
    "KEY",
    "CREDENTIAL",
    "AUTH",
    "PRIVATE",
    "DSN",
    "COOKIE",
    "SALT",
    "WEBHOOK",
    "SIGNATURE",
    "CONNECTION_STRING",
];
/// Beginnings of password hashes as htpasswd and crypt write them; `$` may be doubled.
const HASHES: [&str; 7] = ["$apr1$", "$2y$", "$2a$", "$2b$", "$5$", "$6$", "{SHA}"];

/// Whether a name says that its value is a secret.
pub fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    NAMES.iter().any(|word| name.contains(word))
}

/// The value of a field as it may be shown; `hidden` hides it whatever it is.
pub fn shown(field: &Field, value: &str, hidden: bool) -> String {
    let named = matches!(field.kind, FieldKind::Env | FieldKind::Label) && looks_secret(&field.key);
    if hidden || named {
        return HIDDEN.to_owned();
    }
    match (field.kind, serde_json::from_str::<Vec<String>>(value)) {
        (FieldKind::Command | FieldKind::Entrypoint, Ok(words)) => {
            serde_json::to_string(&masked_words(&words)).unwrap_or_default()
        }
        _ => masked(value),
    }
}

/// A text without the secrets within it.
pub fn masked(text: &str) -> String {
    if text.contains("PRIVATE KEY-----") || HASHES.iter().any(|hash| text.replace("$$", "$").contains(hash)) {
        return HIDDEN.to_owned();
    }
    let separator = |c: char| c.is_whitespace() || matches!(c, ';' | '&' | '?' | ',' | '"' | '\'');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut hide_next = false;
    while !rest.is_empty() {
        let end = rest.find(separator).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let separators = after.find(|c| !separator(c)).unwrap_or(after.len());
        let (between, next) = after.split_at(separators);
        if !word.is_empty() {
            let hides = hide_next && !matches!(word, "Bearer" | "Basic");
            out.push_str(&if hides { HIDDEN.to_owned() } else { masked_word(word) });
            hide_next = names_secret_next(word);
        }
        out.push_str(between);
        rest = next;
    }
    out
}

/// Words of a command, each masked; one that follows an option with a telling name is hidden whole.
fn masked_words(words: &[String]) -> Vec<String> {
    let mut hide = false;
    let one = |word: &String| {
        let text = if hide { HIDDEN.to_owned() } else { masked(word) };
        hide = names_secret_next(word);
        text
    };
    words.iter().map(one).collect()
}

/// Whether the word after this one is a secret: `--password`, `password:`, `password=` before a quote, `Bearer`, curl's `--user`.
fn names_secret_next(word: &str) -> bool {
    let option = word.starts_with('-') && !word.contains('=');
    let key = word.ends_with([':', '=']);
    ((option || key) && looks_secret(word)) || matches!(word, "-u" | "--user" | "Bearer" | "Basic")
}

fn masked_word(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://") {
        let authority = rest.split('/').next().unwrap_or(rest);
        let web = scheme.ends_with("http") || scheme.ends_with("https");
        return match authority.rsplit_once('@') {
            Some((user, host)) if web || user.contains(':') => {
                let path = rest.get(authority.len()..).unwrap_or_default();
                format!("{scheme}://{HIDDEN}@{host}{path}")
            }
            _ => word.to_owned(),
        };
    }
    match word.split_once('=') {
        Some((name, value)) if !value.is_empty() && looks_secret(name) => format!("{name}={HIDDEN}"),
        _ => word.to_owned(),
    }
}

/// The lines of a file as they may be shown, one for each of its own. In an env file all values are hidden; elsewhere those of
/// keys with a telling name, with the indented lines below such a key.
pub fn masked_lines(text: &str, env_file: bool) -> Vec<String> {
    let mut below: Option<usize> = None;
    let one = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        if below.is_some_and(|key| indent > key || line.trim().is_empty()) {
            return format!("{}{HIDDEN}", &line[..indent]);
        }
        below = None;
        let Some((name, kept)) = key_of(line) else { return masked(line) };
        if !env_file && !looks_secret(name) {
            return masked(line);
        }
        let value = line[kept..].trim();
        if value.is_empty() || value.starts_with(['|', '>']) {
            below = (!env_file).then_some(indent);
            return line.to_owned();
        }
        format!("{}{HIDDEN}", &line[..kept])
    };
    text.lines().map(one).collect()
}

/// The key with which a line of YAML, KDL or an env file begins, and how much of the line stands before its value.
fn key_of(line: &str) -> Option<(&str, usize)> {
    if line.trim_start().starts_with(['#', '/']) {
        return None;
    }
    let start = line.find(|c: char| c.is_alphanumeric() || c == '_')?;
    let name = line[start..].split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))).next()?;
    let end = start + name.len();
    let gap = line[end..].find(|c: char| !matches!(c, ':' | '=' | ' ' | '\t' | '"' | '\''))?;
    let between = &line[end..end + gap];
    (!between.is_empty()).then_some((name, end + gap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env(name: &str, value: &str) -> String {
        shown(&Field::of(FieldKind::Env, name), value, false)
    }

    #[test]
    fn a_telling_name_hides_the_whole_value() {
        for name in
            ["API_TOKEN", "MYSQL_PWD", "db_password", "SESSION_COOKIE", "SLACK_WEBHOOK", "SENTRY_DSN", "HASH-SALT"]
        {
            assert_eq!(env(name, "abc123"), HIDDEN, "{name}");
        }
        for name in ["LOG_LEVEL", "DATABASE_URL", "PORT", "QUEUE"] {
            assert_eq!(env(name, "abc123"), "abc123", "{name}");
        }
        assert_eq!(shown(&Field::of(FieldKind::Volume, "/etc/keys"), "volume keys", false), "volume keys");
    }

    #[test]
    fn credentials_in_addresses_and_connection_strings_are_hidden_and_the_rest_is_not() {
        let cases = [
            ("postgres://u:pw1@h/db", "postgres://‹hidden›@h/db"),
            ("https://ghp_abcdef@github.com/a.git?x=1", "https://‹hidden›@github.com/a.git?x=1"),
            ("ssh://git@host/a.git", "ssh://git@host/a.git"),
            ("amqp://a:b@one,amqp://c:d@two", "amqp://‹hidden›@one,amqp://‹hidden›@two"),
            ("Server=db;Password=x y;Timeout=3", "Server=db;Password=‹hidden› y;Timeout=3"),
            ("host=db password=pw1 dbname=shop", "host=db password=‹hidden› dbname=shop"),
            ("Authorization: Bearer abc.def", "Authorization: Bearer ‹hidden›"),
            ("admin:$$apr1$$x$$y", "‹hidden›"),
            ("plain text, with: punctuation", "plain text, with: punctuation"),
        ];
        for (value, wanted) in cases {
            assert_eq!(env("VALUE", value), wanted);
        }
    }

    #[test]
    fn words_after_telling_options_are_hidden() {
        let command = |words: &str| shown(&Field::one(FieldKind::Command), words, false);
        assert_eq!(
            command(r#"["app","--password","pw 1","--port","80"]"#),
            r#"["app","--password","‹hidden›","--port","80"]"#
        );
        assert_eq!(command(r#"["app","--api-key=pw1"]"#), r#"["app","--api-key=‹hidden›"]"#);
        assert_eq!(
            command(r#"["sh","-c","app --token pw1 --level info"]"#),
            r#"["sh","-c","app --token ‹hidden› --level info"]"#
        );
        let check = shown(&Field::one(FieldKind::Healthcheck), "curl -u me:pw1 http://h/", false);
        assert_eq!(check, "curl -u ‹hidden› http://h/");
        let logging = shown(&Field::one(FieldKind::Logging), "splunk splunk-token=pw1 splunk-url=https://h", false);
        assert_eq!(logging, "splunk splunk-token=‹hidden› splunk-url=https://h");
    }

    #[test]
    fn what_came_from_an_env_file_is_hidden_whatever_it_is() {
        assert_eq!(shown(&Field::of(FieldKind::Env, "LOG_LEVEL"), "debug", true), HIDDEN);
    }

    #[test]
    fn files_are_shown_without_their_secrets() {
        let yaml = "env:\n  API_TOKEN: tok-1\n  LEVEL: info\n  - DB_PASSWORD=pw1\n  PRIVATE: |\n    line1\n    line2\n  URL: http://u:p@h/\n";
        let wanted = "env:\n  API_TOKEN: ‹hidden›\n  LEVEL: info\n  - DB_PASSWORD=‹hidden›\n  PRIVATE: |\n    ‹hidden›\n    ‹hidden›\n  URL: http://‹hidden›@h/";
        assert_eq!(masked_lines(yaml, false).join("\n"), wanted);
        assert_eq!(
            masked_lines("# note\nLEVEL=info\n\nTOKEN=\"x\"\n", true),
            ["# note", "LEVEL=‹hidden›", "", "TOKEN=\"‹hidden›"]
        );
        assert_eq!(
            masked_lines("api-token \"tok-1\"\nimage \"api:1\"\n", false),
            ["api-token \"‹hidden›", "image \"api:1\""]
        );
    }

    #[test]
    fn keys_within_a_line_are_seen_as_well() {
        let inline = "env: {LEVEL: info, API_TOKEN: tok-1}\nenv LEVEL=\"info\" API_TOKEN=\"tok-1\"\n";
        let wanted = ["env: {LEVEL: info, API_TOKEN: ‹hidden›", "env LEVEL=\"info\" API_TOKEN=\"‹hidden›\""];
        assert_eq!(masked_lines(inline, false), wanted);
    }

    proptest! {
        #[test]
        fn masking_is_total_and_keeps_lines(text in "(?s).{0,200}", env_file: bool) {
            prop_assert_eq!(masked_lines(&text, env_file).len(), text.lines().count());
            let once = masked(&text);
            prop_assert!(!once.is_empty() || text.is_empty());
        }

        #[test]
        fn a_password_in_an_address_is_never_shown(password in "[a-z0-9]{6,12}", before in "[ -~]{0,10}") {
            let text = format!("{before} postgres://user:{password}@host/db");
            prop_assert!(!masked(&text).contains(&password), "{}", masked(&text));
        }
    }
}
