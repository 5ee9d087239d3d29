//! What one top-level folder looks like inside: which file uses which, and how long files and functions are.

use super::paths::{Path, Source};
use std::collections::{BTreeMap, BTreeSet};

/// A file by the modules that lead to it: `plan/render/words.rs` is `plan`, `render`, `words`.
type Module = Vec<String>;

fn module_of(file: &str) -> Module {
    let path = file.trim_end_matches(".rs");
    path.strip_suffix("/mod").unwrap_or(path).split('/').map(str::to_owned).collect()
}

/// The arrows between files of one top-level module. An item that a `mod.rs` only hands on counts as of the file that has it, and
/// handing it on is no use of that file.
fn arrows(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let files: BTreeMap<Module, &Source> =
        sources.iter().filter(|source| !source.is_test).map(|source| (module_of(&source.file), source)).collect();
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, source) in &files {
        for path in source.paths.iter().filter(|path| !path.in_test && !path.handed_on) {
            let Some(used) = resolve(&files, module, &path.segments, 0) else { continue };
            if used.first() == module.first() && used != *module && used.len() > 1 {
                arrows.entry(source.file.clone()).or_default().insert(files[&used].file.clone());
            }
        }
    }
    arrows
}

/// The file that a path in `module` leads to.
fn resolve(files: &BTreeMap<Module, &Source>, module: &Module, segments: &[String], depth: usize) -> Option<Module> {
    let mut at: Module = module.clone();
    let mut rest = segments;
    match segments.first()?.as_str() {
        "crate" => (at, rest) = (Vec::new(), &segments[1..]),
        "self" => rest = &segments[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                at.pop()?;
                rest = &rest[1..];
            }
        }
        child => {
            at.push(child.to_owned());
            files.contains_key(&at).then_some(())?;
            rest = &segments[1..];
        }
    }
    while let Some(next) = rest.first() {
        at.push(next.clone());
        if !files.contains_key(&at) {
            at.pop();
            break;
        }
        rest = &rest[1..];
    }
    let (Some(item), Some(source)) = (rest.first(), files.get(&at)) else {
        return files.contains_key(&at).then_some(at);
    };
    let hands_on = |path: &&Path| path.handed_on && path.segments.last() == Some(item);
    match source.paths.iter().find(hands_on) {
        Some(path) if depth < 8 => resolve(files, &at, &path.segments, depth + 1).or(Some(at)),
        _ => Some(at),
    }
}

/// Files of one top-level module that use each other in a circle, each circle once.
pub(crate) fn circles(sources: &[Source]) -> BTreeSet<BTreeSet<String>> {
    let arrows = arrows(sources);
    let reach = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            for used in arrows.get(file).into_iter().flatten() {
                if seen.insert(used.clone()) {
                    next.push(used);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = arrows.keys().map(|file| (file, reach(file))).collect();
    let mutual = |file: &String| -> BTreeSet<String> {
        reached[file].iter().filter(|used| reached.get(used).is_some_and(|back| back.contains(file))).cloned().collect()
    };
    arrows.keys().map(mutual).filter(|circle| circle.len() > 1).collect()
}
