//! Attempts in flight, and which of them an end notice means.

use crate::model::TaskId;
use crate::schedule::Attempt;
use crate::wire::EndNotice;
use std::collections::BTreeMap;
use std::net::IpAddr;
use tokio_util::sync::CancellationToken;

/// An attempt in flight.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) attempt: Attempt,
    pub(super) task: TaskId,
    /// Its task server.
    pub(super) link: usize,
    /// What the task server calls it, when that is not its id.
    pub(super) alias: Option<String>,
    /// Its task server was busy when it was last asked to start it: what ends there now is something else.
    pub(super) refused: bool,
    /// Cancelled when the start is not wanted any more.
    pub(super) withdrawn: CancellationToken,
}

/// Everything in flight.
#[derive(Debug, Default)]
pub(super) struct Flights {
    run: String,
    list: Vec<Flight>,
    /// Where each task server is, when that is known.
    hosts: Vec<Option<IpAddr>>,
    /// Task servers by the name that they have told an end under.
    names: BTreeMap<String, usize>,
}

impl Flights {
    /// Nothing in flight yet of a run whose task servers are at `hosts`.
    pub(super) fn new(run: String, hosts: Vec<Option<IpAddr>>) -> Self {
        Self { run, hosts, ..Self::default() }
    }

    /// The id of the run.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) fn add(&mut self, flight: Flight) {
        self.list.retain(|other| other.attempt.task != flight.attempt.task);
        self.list.push(flight);
    }

    /// Notes what a task server calls an attempt.
    pub(super) fn alias(&mut self, attempt: Attempt, name: &str) {
        if let Some(flight) = self.list.iter_mut().find(|flight| flight.attempt == attempt)
            && !name.is_empty()
            && name != flight.task.as_str()
        {
            flight.alias = Some(name.to_owned());
        }
    }

    /// Notes whether the task server was busy when it was last asked to start an attempt.
    pub(super) fn refused(&mut self, attempt: Attempt, refused: bool) {
        if let Some(flight) = self.list.iter_mut().find(|flight| flight.attempt == attempt) {
            flight.refused = refused;
        }
    }

    /// The start of an attempt is not wanted any more: one that is not out yet stays.
    pub(super) fn withdraw(&self, attempt: Attempt) {
        if let Some(flight) = self.list.iter().find(|flight| flight.attempt == attempt) {
            flight.withdrawn.cancel();
        }
    }

    pub(super) fn remove(&mut self, attempt: Attempt) {
        self.list.retain(|flight| flight.attempt != attempt);
    }

    /// The attempts that a notice names, each with whether the notice comes from its host. Our own runner says which one.
    /// Others say the task's id; or the name of their kind of work (older ones do that whatever they were asked to start),
    /// and then it is one whose start was acknowledged under that name.
    pub(super) fn named(&self, notice: &EndNotice) -> Vec<(Flight, bool)> {
        let name = notice.task_id.as_str();
        if !notice.run_id.is_empty() {
            let own = |flight: &&Flight| {
                notice.run_id == self.run
                    && flight.task.as_str() == name
                    && (flight.attempt.occurrence, flight.attempt.number) == (notice.occurrence, notice.attempt)
            };
            return self.list.iter().find(own).map(|flight| (flight.clone(), true)).into_iter().collect();
        }
        let begun = || self.list.iter().filter(|flight| !flight.refused);
        let by_alias: Vec<&Flight> = begun().filter(|flight| flight.alias.as_deref() == Some(name)).collect();
        let found = if by_alias.is_empty() {
            begun().filter(|flight| flight.alias.is_none() && flight.task.as_str() == name).collect()
        } else {
            by_alias
        };
        found.into_iter().map(|flight| (flight.clone(), self.is_near(flight, notice))).collect()
    }

    /// The attempt that a notice under an unknown name must mean: the one in flight at the server that has used that name
    /// before or that the notice comes from, else the only one there is.
    pub(super) fn guess(&self, notice: &EndNotice) -> Vec<(Flight, bool)> {
        if !notice.run_id.is_empty() {
            return Vec::new();
        }
        let known = self.names.get(notice.task_id.as_str()).copied();
        let begun = || self.list.iter().filter(|flight| !flight.refused);
        let flight = only(begun().filter(|flight| Some(flight.link) == known))
            .or_else(|| only(begun().filter(|flight| self.is_near(flight, notice))))
            .or_else(|| only(begun()));
        flight.map(|flight| (flight.clone(), self.is_near(flight, notice))).into_iter().collect()
    }

    /// Whether a notice comes from the host of an attempt's task server.
    fn is_near(&self, flight: &Flight, notice: &EndNotice) -> bool {
        let host = self.hosts.get(flight.link).copied().flatten();
        host.is_some() && host == notice.from.map(|from| from.ip())
    }

    /// Remembers the name that a task server goes by.
    pub(super) fn learn(&mut self, name: &str, flight: &Flight) {
        self.names.insert(name.to_owned(), flight.link);
    }
}

/// The item of an iterator that has one.
pub(super) fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::TaskIndex;
    use crate::wire::{Payload, TaskResult};

    fn flight(task: u32, link: usize) -> Flight {
        let attempt = Attempt { task: TaskIndex(task), occurrence: 0, number: 1 };
        let withdrawn = CancellationToken::new();
        Flight { attempt, task: TaskId::new(format!("t{task}")), link, alias: None, refused: false, withdrawn }
    }

    fn notice(name: &str) -> EndNotice {
        EndNotice {
            task_id: name.to_owned(),
            run_id: String::new(),
            occurrence: 0,
            attempt: 0,
            result: TaskResult::Success,
            start: None,
            end: None,
            duration: None,
            error_message: String::new(),
            raw_metrics: Payload::default(),
            raw_output: Payload::default(),
            from: None,
        }
    }

    fn flights(list: &[Flight]) -> Flights {
        let hosts = vec![Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()), Some([10, 0, 0, 2].into())];
        Flights { run: "r1".to_owned(), list: list.to_vec(), hosts, names: BTreeMap::new() }
    }

    /// As an exchange with one run does it.
    fn find(flights: &mut Flights, notice: &EndNotice) -> Option<Flight> {
        let one = |all: Vec<(Flight, bool)>| {
            only(all.iter()).or_else(|| only(all.iter().filter(|(_, near)| *near))).map(|(flight, _)| flight.clone())
        };
        let flight = one(flights.named(notice)).or_else(|| one(flights.guess(notice)))?;
        flights.learn(&notice.task_id, &flight);
        Some(flight)
    }

    fn task(found: Option<Flight>) -> Option<u32> {
        found.map(|flight| flight.attempt.task.0)
    }

    #[test]
    fn our_own_runner_says_which_attempt_it_means() {
        let mut flights = flights(&[flight(1, 0)]);
        let own = |run: &str, attempt| EndNotice { run_id: run.to_owned(), attempt, ..notice("t1") };
        assert_eq!(task(find(&mut flights, &own("r1", 1))), Some(1));
        // An earlier attempt, or another run, is never taken for this one.
        assert_eq!(task(find(&mut flights, &own("r1", 2))), None);
        assert_eq!(task(find(&mut flights, &own("r0", 1))), None);
    }

    #[test]
    fn a_name_is_an_alias_first_and_an_id_then() {
        let mut flights = flights(&[flight(1, 0), flight(2, 1)]);
        assert_eq!(task(find(&mut flights, &notice("t2"))), Some(2));
        flights.alias(flight(1, 0).attempt, "t2");
        assert_eq!(task(find(&mut flights, &notice("t2"))), Some(1));
    }

    #[test]
    fn a_server_that_tells_its_own_name_is_found_by_its_place_and_then_by_that_name() {
        let mut flights = flights(&[flight(1, 0), flight(2, 1)]);
        assert_eq!(task(find(&mut flights, &notice("my_new_task"))), None, "either could be meant");
        let from = |last: u8| EndNotice { from: Some(([10, 0, 0, last], 9).into()), ..notice("my_new_task") };
        assert_eq!(task(find(&mut flights, &from(1))), Some(1));
        // Known now, wherever the next notice seems to come from.
        assert_eq!(task(find(&mut flights, &notice("my_new_task"))), Some(1));
    }

    #[test]
    fn several_servers_on_one_host_are_told_apart_by_what_is_in_flight() {
        let mut flights = flights(&[flight(2, 1), flight(3, 2)]);
        let from = EndNotice { from: Some(([10, 0, 0, 2], 9).into()), ..notice("my_new_task") };
        assert_eq!(task(find(&mut flights, &from)), None);
        flights.remove(flight(3, 2).attempt);
        assert_eq!(task(find(&mut flights, &notice("my_new_task"))), Some(2));
    }

    #[test]
    fn of_two_servers_of_one_name_the_one_that_speaks_is_meant() {
        let mut flights = flights(&[flight(1, 0), flight(2, 1)]);
        for number in [1, 2] {
            flights.alias(flight(number, 0).attempt, "w");
        }
        assert_eq!(task(find(&mut flights, &notice("w"))), None, "it does not say from where");
        let from = |last: u8| EndNotice { from: Some(([10, 0, 0, last], 9).into()), ..notice("w") };
        assert_eq!(task(find(&mut flights, &from(2))), Some(2));
        assert_eq!(task(find(&mut flights, &from(1))), Some(1));
    }

    #[test]
    fn what_ends_at_a_server_that_was_busy_is_not_ours() {
        let mut flights = flights(&[flight(1, 0)]);
        flights.refused(flight(1, 0).attempt, true);
        assert_eq!(task(find(&mut flights, &notice("t1"))), None);
        assert_eq!(task(find(&mut flights, &notice("other"))), None);
        flights.refused(flight(1, 0).attempt, false);
        assert_eq!(task(find(&mut flights, &notice("t1"))), Some(1));
    }
}
