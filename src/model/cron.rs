//! Reads cron expressions, stricter than `croner` does.
//!
//! Five or six fields (the first of six is the second), names of months and weekdays, `L`, `W`, `#`, `+` before the
//! weekday (day and weekday must both match), `?` for `*` in the two day fields, and `@yearly` to `@hourly`. `croner`
//! drops what it does not need (`1-5,` is `1-5`, an `L` alone as weekday is nothing, `MON` is 1 in every field); here
//! each such text is a mistake, because it does not do what it seems to say.

use croner::Cron;
use croner::parser::CronParser;
use jiff::civil;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// What is wrong, in one plain sentence without a full stop.
    pub(super) problem: String,
    /// What to write instead.
    pub(super) remedy: String,
}

/// One field of an expression.
struct Field {
    /// What it counts.
    name: &'static str,
    /// Its greatest value; a longer step than this means something else than it says.
    max: u16,
    /// Its values, for people.
    values: &'static str,
    /// Which letters it takes.
    letters: Letters,
}

/// Which letters a field takes.
enum Letters {
    None,
    Day,
    Month,
    Weekday,
}

const FIELDS: [Field; 6] = [
    Field { name: "second", max: 59, values: "0 to 59", letters: Letters::None },
    Field { name: "minute", max: 59, values: "0 to 59", letters: Letters::None },
    Field { name: "hour", max: 23, values: "0 to 23", letters: Letters::None },
    Field { name: "day of month", max: 31, values: "1 to 31, `L`, `15W` or `LW`", letters: Letters::Day },
    Field { name: "month", max: 12, values: "1 to 12 or `JAN` to `DEC`", letters: Letters::Month },
    Field {
        name: "weekday",
        max: 7,
        values: "0 to 7 (0 and 7 are Sunday), `SUN` to `SAT`, `FRI#2` or `FRIL`",
        letters: Letters::Weekday,
    },
];

const NICKNAMES: [&str; 6] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly"];
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The expression with single spaces, and what it means.
pub(super) fn read(text: &str) -> Result<(String, Cron), Mistake> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let fields = match *words.as_slice() {
        [] => return Err(mistake("the cron expression is empty", EXAMPLE)),
        [word] if word.starts_with('@') => return nickname(word),
        [_, _, _, _, _] => &FIELDS[1..],
        [_, _, _, _, _, _] => &FIELDS[..],
        [_, _, _, _, _, _, _] => {
            return Err(mistake(
                format!("`{text}` has seven fields, and years are not supported"),
                "leave the year out; a run at one instant has a start time instead of a cron expression",
            ));
        }
        _ => return Err(mistake(format!("`{text}` has {} fields", words.len()), EXAMPLE)),
    };
    for (field, word) in fields.iter().zip(&words) {
        field.check(word)?;
    }
    let expression = words.join(" ");
    let Ok(cron) = CronParser::new().parse(&expression) else {
        return Err(find_mistake(fields, &words, &expression));
    };
    fires(&expression, cron)
}

const EXAMPLE: &str = "write five fields (minute, hour, day of month, month, weekday) such as `30 2 * * *`, \
                       or six with the second before them";

fn mistake(problem: impl Into<String>, remedy: impl Into<String>) -> Mistake {
    Mistake { problem: problem.into(), remedy: remedy.into() }
}

fn nickname(word: &str) -> Result<(String, Cron), Mistake> {
    let unknown = || mistake(format!("`{word}` is not known"), format!("write one of {}", NICKNAMES.join(", ")));
    let name = word.to_ascii_lowercase();
    if !NICKNAMES.contains(&name.as_str()) {
        return Err(unknown());
    }
    let cron = CronParser::new().parse(&name).map_err(|_| unknown())?;
    Ok((name, cron))
}

/// Refuses what matches no date. The search ends in the year 5000; the calendar repeats itself every 400 years.
fn fires(expression: &str, cron: Cron) -> Result<(String, Cron), Mistake> {
    match cron.find_next_occurrence(&civil::date(2000, 1, 1).at(0, 0, 0, 0), true) {
        Ok(_) => Ok((expression.to_owned(), cron)),
        Err(_) => Err(mistake(
            format!("`{expression}` never fires: no date fits its day, month and weekday"),
            "correct the day or the month; `L` is the last day of each month",
        )),
    }
}

/// `croner` does not say which field it refuses, so each is tried alone.
fn find_mistake(fields: &[Field], words: &[&str], expression: &str) -> Mistake {
    for (position, (field, word)) in fields.iter().zip(words).enumerate() {
        let alone: Vec<&str> = (0..words.len()).map(|other| if other == position { *word } else { "*" }).collect();
        if CronParser::new().parse(&alone.join(" ")).is_err() {
            return field.refuse(word);
        }
    }
    mistake(format!("`{expression}` is not a cron expression"), EXAMPLE)
}

impl Field {
    /// Holds one word against what `croner` takes and does not obey.
    fn check(&self, word: &str) -> Result<(), Mistake> {
        let name = self.name;
        let word = match self.letters {
            Letters::Weekday => word.strip_prefix('+').unwrap_or(word),
            _ => word,
        };
        let mut last_days = 0;
        for item in word.split(',') {
            if item.is_empty() {
                let problem = format!("the list `{word}` ({name}) has an empty item");
                return Err(mistake(problem, "remove the comma, or write the item that is missing"));
            }
            let (range, step) = item.split_once('/').map_or((item, None), |(range, step)| (range, Some(step)));
            if step.is_some_and(|step| step.parse().is_ok_and(|step: u64| step > u64::from(self.max))) {
                let problem = format!("the step of `{item}` is longer than the {name} field");
                let remedy = format!("write a step of at most {}; steps restart in each field", self.max);
                return Err(mistake(problem, remedy));
            }
            if !range.split(['-', '#']).all(|part| self.takes(part)) {
                return Err(self.refuse(word));
            }
            last_days += usize::from(["L", "LW"].contains(&item.to_ascii_uppercase().as_str()));
        }
        if last_days > 1 {
            let problem = format!("`{word}` ({name}) asks for more than one last day");
            return Err(mistake(problem, "write either `L` (the last day) or `LW` (the last weekday)"));
        }
        Ok(())
    }

    /// Whether letters in a part (a bound of a range, say) are those of this field. Numbers are left to `croner`.
    fn takes(&self, part: &str) -> bool {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let part = part.to_ascii_uppercase();
        let names: &[&str] = match self.letters {
            Letters::Day if part.strip_suffix('W').is_some_and(number) => return true,
            Letters::Day => &["L", "LW"],
            Letters::Month => &MONTHS,
            Letters::Weekday => &WEEKDAYS,
            Letters::None => &[],
        };
        let day = match self.letters {
            Letters::Weekday => part.strip_suffix('L').unwrap_or(&part),
            _ => &part,
        };
        number(day) || ["*", "?"].contains(&part.as_str()) || names.contains(&day)
    }

    fn refuse(&self, word: &str) -> Mistake {
        let problem = format!("`{word}` does not fit the {} field", self.name);
        mistake(
            problem,
            format!("write {}, alone, in a list (`1,3`), a range (`1-5`) or with a step (`*/2`)", self.values),
        )
    }
}
