//! The dashboard's files.

use std::{collections::BTreeSet, fs, path::Path};

use crate::harness::Port;

/// Names of the files that a text loads from `/dashboard/`, or as a module from beside itself.
fn loaded(text: &str) -> impl Iterator<Item = &str> {
    let named = |prefix| text.split(prefix).skip(1).filter_map(|rest| rest.split('"').next());
    named("\"/dashboard/").chain(named("from \"./"))
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere_and_has_nothing_inline() {
    let port = Port::open().await;
    let page = port.get("/").await;
    assert!(page.head.contains("content-type: text/html; charset=utf-8"));
    // What the policy would block must not be there in the first place.
    for inline in ["<style", " style=", "<script>", " onclick=", " onload=", "javascript:"] {
        assert!(!page.body.contains(inline), "{inline}");
    }
    let mut waiting: Vec<String> = loaded(&page.body).map(str::to_owned).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        let file = port.get(&format!("/dashboard/{name}")).await;
        assert_eq!(file.status, 200, "{name}");
        let kind = if name.ends_with(".css") { "text/css" } else { "text/javascript" };
        assert!(file.head.contains(&format!("content-type: {kind}")), "{name}");
        for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!file.body.contains(markup), "{name}: {markup}");
        }
        let foreign = file.body.replace("http://www.w3.org/2000/svg", "");
        let foreign = foreign.replace("http://localhost:8081", "");
        assert!(!foreign.contains("http://") && !foreign.contains("https://"), "{name}");
        if seen.insert(name) {
            waiting.extend(loaded(&file.body).map(str::to_owned));
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/dashboard");
    let there = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let there = there.map(|name| name.into_string().unwrap()).filter(|name| name != "index.html");
    assert_eq!(seen, there.collect::<BTreeSet<_>>(), "every file is served and used");
    port.finish().await;
}
