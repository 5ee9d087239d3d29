//! Why an instance is as it is: commit → file:line → field → step → health evidence, from what was recorded.

use crate::event::Fact;
use crate::model::{CommitId, HealthReport, InstanceId, Revision, Timestamp};
use crate::plan::PlanId;
use crate::store::{InstanceRow, Ledger, Recorded, StoreError, Transition};

/// How many events are looked through, and how many changes are shown.
const EVENTS: usize = 400;
const CHANGES: usize = 50;

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// Version of this form.
    pub version: u32,
    /// The instance.
    pub instance: InstanceId,
    /// What it is now; absent when it is not known.
    pub now: Option<InstanceRow>,
    /// The commit that its container was created from, when it was read here.
    pub revision: Option<Revision>,
    /// What keeps it from being tried again.
    pub quarantine: Option<Verdict>,
    /// What was done to it, oldest first.
    pub links: Vec<Link>,
    /// What it was, oldest first.
    pub history: Vec<Transition>,
}

/// A failed gate that is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The commit that failed.
    pub revision: CommitId,
    /// What was seen.
    pub verdict: String,
}

/// One step: from the commit that asked for it to the evidence that it worked or did not.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// When it began.
    pub at: Timestamp,
    /// Id of the plan.
    pub plan: PlanId,
    /// The commit.
    pub revision: Option<CommitId>,
    /// First line of the commit's message, when it was read here.
    pub summary: Option<String>,
    /// What was done.
    pub action: String,
    /// Why.
    pub reason: String,
    /// Fields with old and new value, who made the difference, and the place in the repo that sets them.
    pub changes: Vec<String>,
    /// How it ended.
    pub end: End,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Well.
    Done {
        /// How long it took, in milliseconds.
        millis: u64,
        /// Evidence of health.
        evidence: Option<String>,
    },
    /// Not well.
    Failed {
        /// Why.
        error: String,
        /// What the container said.
        report: Option<HealthReport>,
        /// Whether the old container was put back.
        rolled_back: bool,
    },
    /// It was not carried out.
    Skipped {
        /// Why.
        because: String,
    },
    /// Its end was never recorded: it is under way, or the process died.
    Open,
}

/// Gathers what is recorded about an instance; `None` when nothing is.
///
/// # Errors
/// When the store cannot be read.
pub fn why(ledger: &Ledger, instance: &InstanceId, now: Timestamp) -> Result<Option<Why>, StoreError> {
    let events = ledger.events_about(&instance.to_string(), EVENTS)?;
    let row = ledger.instances()?.into_iter().find(|row| row.instance == *instance);
    if events.is_empty() && row.is_none() {
        return Ok(None);
    }
    let mut links = links(&events);
    for link in &mut links {
        link.revision = ledger.revision_of_plan(&link.plan)?;
        if let Some(commit) = &link.revision {
            link.summary = ledger.find_revision(commit)?.map(|row| row.revision.summary);
        }
    }
    let quarantine = ledger.memory(now)?.quarantine.into_iter().find(|entry| entry.instance == *instance);
    let commit = row.as_ref().and_then(|row| row.revision.clone());
    let revision = match commit {
        Some(commit) => ledger.find_revision(&commit)?.map(|row| row.revision),
        None => None,
    };
    Ok(Some(Why {
        version: 1,
        instance: instance.clone(),
        now: row,
        revision,
        quarantine: quarantine.map(|entry| Verdict { revision: entry.revision, verdict: entry.verdict }),
        links,
        history: ledger.history(instance, CHANGES)?,
    }))
}

/// Joins the beginning and the end of each step.
fn links(events: &[Recorded]) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for recorded in events {
        let (plan, end) = match &recorded.event.fact {
            Fact::StepStarted { plan, action, reason, changes, .. } => {
                links.push(Link {
                    at: recorded.event.at,
                    plan: plan.clone(),
                    revision: None,
                    summary: None,
                    action: action.clone(),
                    reason: reason.clone(),
                    changes: changes.clone(),
                    end: End::Open,
                });
                continue;
            }
            Fact::StepDone { plan, millis, evidence, .. } => {
                (plan, End::Done { millis: *millis, evidence: evidence.clone() })
            }
            Fact::StepFailed { plan, error, report, rolled_back, .. } => {
                (plan, End::Failed { error: error.clone(), report: report.clone(), rolled_back: *rolled_back })
            }
            Fact::StepSkipped { plan, because, .. } => (plan, End::Skipped { because: because.clone() }),
            _ => continue,
        };
        // The same plan may be carried out again: the end belongs to the last beginning.
        let open = links.iter_mut().rev().find(|link| link.plan == *plan && link.end == End::Open);
        match open {
            Some(link) => link.end = end,
            None => links.push(Link {
                at: recorded.event.at,
                plan: plan.clone(),
                revision: None,
                summary: None,
                action: String::new(),
                reason: String::new(),
                changes: Vec::new(),
                end,
            }),
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::testing::revision;
    use crate::event::Event;
    use crate::store::{RevisionOutcome, Store};

    #[test]
    fn the_chain_goes_from_commit_to_evidence() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Store::open(dir.path()).unwrap().ledger("prod");
        let at = Timestamp::UNIX_EPOCH;
        let id: InstanceId = "shop/api/1".parse().unwrap();
        assert_eq!(why(&ledger, &id, at).unwrap(), None);
        ledger.revision(&revision("3f2a91c0"), RevisionOutcome::Accepted, None, None, at).unwrap();
        let subject = || "shop/api/1".to_owned();
        let plan = || "7c1e42ab".to_owned();
        let facts = [
            Fact::PlanMade {
                plan: PlanId::new(plan()),
                revision: CommitId::new("3f2a91c0"),
                verdict: "1 to replace".to_owned(),
            },
            Fact::StepStarted {
                plan: PlanId::new(plan()),
                subject: subject().parse().unwrap(),
                action: "replace".to_owned(),
                reason: "image".to_owned(),
                changes: vec!["image: api:1.4 → api:1.5 (git, deployments/shop.yaml:12)".to_owned()],
            },
            Fact::StepFailed {
                plan: PlanId::new(plan()),
                subject: subject().parse().unwrap(),
                action: "replace".to_owned(),
                error: "exited (1) after 0.4 s".to_owned(),
                report: Some(HealthReport {
                    verdict: "exited (1)".to_owned(),
                    log: vec!["boom".to_owned()],
                    check: None,
                }),
                rolled_back: true,
            },
            Fact::StepStarted {
                plan: PlanId::new(plan()),
                subject: subject().parse().unwrap(),
                action: "replace".to_owned(),
                reason: "image".to_owned(),
                changes: Vec::new(),
            },
        ];
        for fact in facts {
            ledger.record(&Event { at, fact }).unwrap();
        }
        let answer = why(&ledger, &id, at).unwrap().unwrap();
        let [failed, open] = answer.links.as_slice() else { panic!("{:?}", answer.links) };
        assert_eq!(failed.revision.as_ref().map(crate::model::CommitId::as_str), Some("3f2a91c0"));
        assert_eq!(failed.summary.as_deref(), Some("api 1.5"));
        assert!(failed.changes[0].contains("deployments/shop.yaml:12"));
        assert!(matches!(&failed.end, End::Failed { rolled_back: true, report: Some(it), .. } if it.log == ["boom"]));
        assert_eq!(open.end, End::Open);
    }
}
