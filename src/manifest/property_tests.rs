//! Properties of the whole stage: nothing makes it panic, and the two formats mean the same.

use super::tests::{only, placeless, tree};
use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(yaml in prop::collection::vec(any::<u8>(), 0..200), kdl in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = compile(&tree(&[("deployments/a.yaml", &yaml), ("deployments/b.kdl", &kdl)]));
    }

    /// Parts of real files in any order reach further than random bytes.
    #[test]
    fn no_mixture_of_real_parts_makes_it_panic(
        yaml in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..40),
        kdl in prop::collection::vec(prop::sample::select(KDL_PARTS.to_vec()), 0..40),
    ) {
        let (yaml, kdl) = (yaml.concat(), kdl.concat());
        let result = compile(&tree(&[("deployments/a.yaml", yaml.as_bytes()), ("deployments/b.kdl", kdl.as_bytes())]));
        if let Err(report) = result {
            for style in [true, false] {
                let text = report.render(Style { colour: style, unicode: style, width: 80 });
                prop_assert!(text.contains(&report.summary()));
            }
            prop_assert!(report.diagnostics.iter().all(|mistake| mistake.code != "internal"), "{}", report);
            prop_assert_eq!(report.to_json()["count"].as_u64(), Some(report.len() as u64));
        }
    }
}

const PARTS: [&str; 36] = [
    "deployment:\n",
    "  services:\n",
    "  - id: a\n",
    "    image: nginx\n",
    "    ports: [",
    "\"80:80\"",
    "]\n",
    "{",
    "}",
    ", ",
    "    env: {A: ",
    "no",
    "~",
    "*a",
    "&a ",
    "<<: ",
    "    depends_on: ",
    "a",
    "b",
    "é",
    ": ",
    "\n",
    "  ",
    "- ",
    "\"",
    "'",
    "#",
    "    healthcheck: {http: \":80\"}\n",
    "    restart: always\n",
    "    replicas: 99999999999\n",
    "    volumes: [\"v:/x\"]\n",
    "tasks: [{id: t, port: 1}]\n",
    "orchestrator: {}\n",
    "    resources: {memory: 1}\n",
    "!!str ",
    "|\n",
];
const KDL_PARTS: [&str; 30] = [
    "deployment ",
    "{\n",
    "}\n",
    "service ",
    "\"a\" ",
    "image=",
    "\"nginx\"",
    "\n",
    "port ",
    "80",
    "env ",
    "A=1",
    "#true",
    "#null",
    "- ",
    "depends-on ",
    "network ",
    "é ",
    "/*",
    "*/",
    "//",
    "#\"",
    "\"#",
    "\\",
    "(u8)",
    "/-",
    "healthcheck http=1 ",
    "1.5e3 ",
    ";",
    "volume \"v\" ",
];

/// One service of a generated deployment, written in both formats.
fn twins() -> impl Strategy<Value = (String, String)> {
    let words =
        prop::sample::select(vec!["no", "1.10", "8080", "true", "null", "a b", "ü", "it's", "~", "0x10", "", "- x"]);
    let service = (
        prop::sample::select(vec!["nginx", "postgres:17", "reg.example.org:5000/a/b:c"]),
        prop::collection::btree_map("[A-Z]{1,3}", words, 0..4),
        prop::option::of(prop::sample::select(vec!["no", "always", "on-failure:3"])),
        prop::collection::btree_set(1u16..2000, 0..3),
        prop::option::of(any::<bool>()),
        prop::option::of(6u32..4096),
        prop::option::of(1u32..600),
    );
    prop::collection::vec(service, 1..5).prop_map(|services| {
        let (mut yaml, mut kdl) =
            ("deployment:\n  name: twin\n  services:\n".to_owned(), "deployment \"twin\" {\n".to_owned());
        for (index, (image, env, restart, ports, init, memory, grace)) in services.into_iter().enumerate() {
            yaml.push_str(&format!("    - id: s{index}\n      image: \"{image}\"\n"));
            kdl.push_str(&format!("    service \"s{index}\" image=\"{image}\" {{\n"));
            if !env.is_empty() {
                yaml.push_str("      env:\n");
                kdl.push_str("        env {\n");
                for (name, value) in env {
                    yaml.push_str(&format!("        {name}: \"{value}\"\n"));
                    kdl.push_str(&format!("            {name} \"{value}\"\n"));
                }
                kdl.push_str("        }\n");
            }
            if !ports.is_empty() {
                let list: Vec<String> = ports.iter().map(|port| format!("\"{port}\"")).collect();
                yaml.push_str(&format!("      ports: [{}]\n", list.join(", ")));
                kdl.push_str(&format!("        ports {}\n", list.join(" ")));
            }
            if let Some(restart) = restart {
                yaml.push_str(&format!("      restart: {restart}\n"));
                kdl.push_str(&format!("        restart \"{restart}\"\n"));
            }
            if let Some(init) = init {
                yaml.push_str(&format!("      init: {}\n", if init { "yes" } else { "no" }));
                kdl.push_str(&format!("        init #{init}\n"));
            }
            if let Some(memory) = memory {
                yaml.push_str(&format!("      resources: {{memory: {memory}}}\n"));
                kdl.push_str(&format!("        resources memory={memory}\n"));
            }
            if let Some(grace) = grace {
                yaml.push_str(&format!("      stop_grace_period: {grace}s\n"));
                kdl.push_str(&format!("        stop-grace-period \"{grace}s\"\n"));
            }
            kdl.push_str("    }\n");
        }
        kdl.push_str("}\n");
        (yaml, kdl)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn twins_mean_the_same((yaml, kdl) in twins()) {
        let (one, other) = (only(&[("deployments/a.yaml", &yaml)]), only(&[("deployments/a.kdl", &kdl)]));
        prop_assert_eq!(placeless(one), placeless(other), "{}\n{}", yaml, kdl);
    }
}
