//! What an engine does not grant, test by test.

use super::Kind;
use std::io::Write as _;

/// A test that has nothing to test on an engine.
struct Without {
    engine: Kind,
    /// `module::test`, or `module::` for all of them.
    test: &'static str,
    why: &'static str,
}

const fn without(engine: Kind, test: &'static str, why: &'static str) -> Without {
    Without { engine, test, why }
}

/// What a `dockerd` of its own does not grant, with the proxy and without.
const INIT: &str = "its own init starts in place of a program that is not there, and ends after it";
const LONG: &str = "its log driver `local` loses the end of a line beyond 16 KiB";
const COUNTS: &str = "it counts steps, of which some fail there and are done again";
const SOONER: &str = "a step that fails there ends before the stop that the test sends";

const WITHOUT: &[Without] = &[
    without(Kind::Hostile, "create::a_container_that_cannot_start_does_not_keep_the_name", INIT),
    without(Kind::Proxy, "create::a_container_that_cannot_start_does_not_keep_the_name", INIT),
    without(Kind::Hostile, "replace::whatever_fails_the_old_one_comes_back", INIT),
    without(Kind::Proxy, "replace::whatever_fails_the_old_one_comes_back", INIT),
    without(Kind::Hostile, "events::a_long_line_stays_one_line", LONG),
    without(Kind::Proxy, "events::a_long_line_stays_one_line", LONG),
    without(Kind::Proxy, "asked::a_running_daemon_is_asked_for_another_try", COUNTS),
    without(Kind::Proxy, "asked::what_is_approved_at_the_prompt_is_asked_of_the_daemon", COUNTS),
    without(Kind::Proxy, "failure::a_daemon_leaves_what_failed_alone_until_git_changes_it", COUNTS),
    without(Kind::Proxy, "failure::one_by_one_or_several_at_once", COUNTS),
    without(Kind::Proxy, "failure::the_old_version_serves_on", COUNTS),
    without(Kind::Proxy, "crash::a_terminated_daemon_ends_the_step_in_hand_and_the_next_goes_on", SOONER),
];

/// Tests that hold on Podman; `docs/engines.md` lists what does not work there.
const ON_PODMAN: &[&str] = &[
    "create::a_former_try_of_the_same_launch_is_taken_over",
    "create::a_guard_that_does_not_hold_stops_the_step",
    "create::an_instance_that_exits_fails_its_gate_at_once_and_says_why",
    "create::several_networks_and_config_files_are_there_before_the_start",
    "create::stop_and_remove_can_be_done_again",
    "daemon::a_reviewed_plan_is_applied_or_nothing_is",
    "daemon::one_applies_at_a_time",
    "gate::a_job_is_done_when_it_ends_with_0",
    "gate::a_window_without_a_check_is_waited_out",
    "gate::paused_stopped_and_killed_containers_come_back",
    "lifecycle::a_removal_beyond_the_budget_waits_for_a_word",
    "network::a_foreign_network_or_volume_is_not_taken_over",
    "replace::a_failing_new_version_leaves_the_old_one_serving",
    "replace::a_renamed_old_container_is_replaced_under_the_right_name",
    "replace::a_replaced_job_completes",
    "replace::an_interrupted_replacement_can_be_done_again",
    "replace::an_interruption_ends_the_wait_and_puts_the_old_one_back",
    "replace::an_old_container_under_the_name_of_a_new_one_is_not_lost",
    "replace::leftovers_are_discarded_or_restored",
    "replace::one_host_port_goes_from_the_old_to_the_new",
    "replace::without_rollback_the_new_one_takes_the_place_all_the_same",
];

/// Why a test has nothing to test on this engine; said on standard error.
pub fn reason(engine: Kind, test: &str) -> Option<&'static str> {
    let applies = |one: &&Without| {
        one.engine == engine && (one.test == test || one.test.ends_with("::") && test.starts_with(one.test))
    };
    let elsewhere = engine == Kind::Podman && !ON_PODMAN.contains(&test);
    let why = WITHOUT.iter().find(applies).map(|one| one.why).or(elsewhere.then_some("not known to hold there"))?;
    // Past the capture of the test runner, which would keep it from everybody as long as nothing fails.
    let _ = writeln!(std::io::stderr(), "skipped on {engine:?}: {test}: {why}");
    Some(why)
}
