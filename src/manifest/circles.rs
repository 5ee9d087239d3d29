//! Circles in what waits for what.

use std::collections::BTreeMap;

/// Circles above this number are not reported: they have few causes.
const LIMIT: usize = 20;

/// Members of a circle that are named.
pub(super) const NAMED: usize = 12;

/// `a → b → a`.
pub(super) fn way_round(names: &[String]) -> String {
    let more = if names.len() > NAMED { " → …" } else { "" };
    let named = names.get(..NAMED).unwrap_or(names).join(" → ");
    format!("{named}{more} → {}", names.first().map_or("", String::as_str))
}

/// Circles among `edges`, each as the positions of its edges in order, beginning with the smallest name. Every node is
/// on at most one way that is searched, so a graph with a circle yields at least one of them, and not all.
pub(super) fn circles<'e, E, N: Ord + 'e>(edges: &'e [E], ends: impl Fn(&'e E) -> (&'e N, &'e N)) -> Vec<Vec<usize>> {
    let mut next: BTreeMap<&N, Vec<(usize, &N)>> = BTreeMap::new();
    for (index, edge) in edges.iter().enumerate() {
        let (from, to) = ends(edge);
        next.entry(from).or_default().push((index, to));
    }
    let mut found = Vec::new();
    // `false` is on the way, `true` is done. An explicit stack: a chain may be long.
    let mut done: BTreeMap<&N, bool> = BTreeMap::new();
    let starts: Vec<&N> = next.keys().copied().collect();
    for start in starts {
        if done.contains_key(start) {
            continue;
        }
        done.insert(start, false);
        let mut way: Vec<(&N, usize)> = vec![(start, 0)];
        let mut taken: Vec<usize> = Vec::new();
        while let Some((at, tried)) = way.last_mut() {
            let Some((index, to)) = next.get(*at).and_then(|edges| edges.get(*tried)).copied() else {
                done.insert(at, true);
                way.pop();
                taken.pop();
                continue;
            };
            *tried += 1;
            match done.get(to) {
                None => {
                    done.insert(to, false);
                    way.push((to, 0));
                    taken.push(index);
                }
                Some(false) if found.len() < LIMIT => {
                    let from = way.iter().position(|(node, _)| *node == to).unwrap_or(0);
                    let mut round: Vec<usize> = taken.get(from..).unwrap_or_default().to_vec();
                    round.push(index);
                    // The same first node whatever the search began with.
                    let first = (0..round.len()).min_by_key(|at| ends(&edges[round[*at]]).0).unwrap_or(0);
                    round.rotate_left(first);
                    found.push(round);
                }
                Some(_) => {}
            }
        }
    }
    found
}
