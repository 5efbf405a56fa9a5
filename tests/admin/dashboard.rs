//! The dashboard's files, and a way to look at the page.

use crate::harness::Port;

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere_and_has_nothing_inline() {
    let port = Port::open().await;
    let page = port.get("/").await;
    assert!(page.head.contains("content-type: text/html; charset=utf-8"));
    for file in ["/dashboard.css", "/dashboard.js"] {
        assert!(page.body.contains(&format!("\"{file}\"")), "{file}");
    }
    assert!(port.get("/dashboard.css").await.head.contains("content-type: text/css"));
    let script = port.get("/dashboard.js").await;
    assert!(script.head.contains("content-type: text/javascript"));
    // What the policy would block must not be there in the first place.
    for inline in ["<style", " style=", "<script>", " onclick=", " onload=", "javascript:"] {
        assert!(!page.body.contains(inline), "{inline}");
    }
    for markup in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.body.contains(markup), "{markup}");
    }
    for body in [&page.body, &script.body] {
        let foreign = body.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("http://") && !foreign.contains("https://"));
    }
    port.finish().await;
}
