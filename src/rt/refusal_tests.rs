use super::*;

const FIFO: RtPolicy = RtPolicy::Fifo { priority: 80 };
const DEADLINE: RtPolicy = RtPolicy::Deadline {
    runtime: Duration::from_micros(200),
    deadline: Duration::from_millis(1),
    period: Duration::from_millis(1),
};

fn free() -> Facts {
    Facts {
        sys_nice: true,
        ipc_lock: true,
        rtprio: Some(0),
        memlock: Some(65_536),
        mapped: Some(1 << 20),
        online: vec![0, 1, 2, 3],
        allowed: vec![0, 1, 2, 3],
        ..Facts::default()
    }
}

#[test]
fn fifo_names_the_capability_and_the_limit_it_lacks() {
    let facts = Facts { sys_nice: false, ..free() };
    let refused = policy_refused(FIFO, Errno::PERM, &facts);
    assert_eq!(refused.setting, "fifo 80");
    assert_eq!(refused.reason, "CAP_SYS_NICE is missing and the limit on real-time priority is 0");
    assert!(refused.remedy.contains("rtprio=80"));
    let inside = policy_refused(FIFO, Errno::PERM, &Facts { user_namespace: true, ..free() });
    assert!(inside.reason.starts_with("CAP_SYS_NICE of a user namespace does not count"));
}

#[test]
fn fifo_in_a_cgroup_without_time_names_the_file() {
    let group = RtGroup { file: "/sys/fs/cgroup/cpu/docker/cpu.rt_runtime_us".into(), runtime: Some(Duration::ZERO) };
    for errno in [Errno::PERM, Errno::INVAL] {
        let refused = policy_refused(FIFO, errno, &Facts { group: Some(group.clone()), ..free() });
        assert!(refused.remedy.contains("/sys/fs/cgroup/cpu/docker/cpu.rt_runtime_us"), "{refused}");
    }
    let rich = RtGroup { runtime: Some(Duration::from_millis(950)), ..group };
    let refused = policy_refused(FIFO, Errno::PERM, &Facts { group: Some(rich), ..free() });
    assert!(refused.reason.contains("the kernel answered"), "a group with time is not the cause: {refused}");
}

#[test]
fn a_rtprio_limit_that_suffices_is_not_blamed() {
    let facts = Facts { sys_nice: false, rtprio: Some(80), ..free() };
    assert!(!policy_refused(FIFO, Errno::PERM, &facts).reason.contains("limit"));
    let unlimited = Facts { sys_nice: false, rtprio: None, ..free() };
    assert!(!policy_refused(FIFO, Errno::PERM, &unlimited).reason.contains("limit"));
}

#[test]
fn deadline_tells_rights_affinity_bandwidth_and_numbers_apart() {
    let reason = |errno, facts: &Facts| policy_refused(DEADLINE, errno, facts).reason;
    assert!(reason(Errno::PERM, &Facts { sys_nice: false, ..free() }).contains("CAP_SYS_NICE"));
    let narrowed = Facts { allowed: vec![1], ..free() };
    assert_eq!(
        reason(Errno::PERM, &narrowed),
        "such a thread must be allowed on all CPUs that share its bandwidth (0-3), this one may use 1"
    );
    assert!(reason(Errno::BUSY, &free()).contains("share"));
    assert!(reason(Errno::INVAL, &free()).contains("do not fit"));
    assert!(reason(Errno::PERM, &free()).contains("the kernel answered"));
}

#[test]
fn a_cpu_is_offline_or_outside_the_cpuset_or_not_for_deadline() {
    assert_eq!(cpu_refused(7, FIFO, Errno::INVAL, &free()).remedy, "ask for one of 0-3");
    assert!(cpu_refused(3, FIFO, Errno::INVAL, &free()).reason.contains("cpuset"));
    assert!(cpu_refused(3, DEADLINE, Errno::BUSY, &free()).remedy.contains("leave `cpu` out"));
}

#[test]
fn memory_names_its_limit_or_the_lack_of_memory() {
    let poor = memory_refused(Errno::NOMEM, &Facts { ipc_lock: false, ..free() });
    assert!(poor.reason.contains("65536 bytes, while 1048576 bytes are mapped"), "{poor}");
    assert!(memory_refused(Errno::NOMEM, &free()).remedy.contains("more memory"));
}

#[test]
fn the_kernels_texts_are_read() {
    assert_eq!(cpu_list("0-3,8\n"), [0, 1, 2, 3, 8]);
    assert_eq!(cpu_list(""), [] as [u32; 0]);
    assert_eq!(cpu_text(&[0, 1, 2, 3, 8]), "0-3,8");
    assert_eq!(kibibytes("VmPeak:\t 9 kB\nVmSize:\t  12 kB\n", "VmSize:"), Some(12_288));
    assert!(!is_own_user_namespace("         0          0 4294967295\n"));
    assert!(is_own_user_namespace("         0       1000          1\n"));
}

#[test]
fn the_facts_of_this_machine_are_there() {
    let facts = Facts::read(None);
    assert!(!facts.online.is_empty() && !facts.allowed.is_empty());
    assert!(facts.mapped.is_some_and(|bytes| bytes > 0));
}
