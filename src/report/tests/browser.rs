//! Hostile text in a real browser, where one is installed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Report, hostile, html, page};

/// Opens everything, then writes the widths where the test can read them.
pub(in crate::report) const MEASURE: &str = "document.querySelectorAll('details').forEach(function (d) { d.open = true; });\
var root = document.documentElement;\
root.setAttribute('data-widths', root.scrollWidth + ' ' + window.innerWidth);";

pub(in crate::report) fn browser() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            Command::new(name)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        })
}

/// The page's elements after it ran; `None` when the browser did not come back.
pub(in crate::report) fn dump(browser: &str, dir: &Path, page: &str, width: u32) -> Option<String> {
    let file = dir.join("page.html");
    let dom = dir.join("dom.html");
    std::fs::write(&file, page).expect("a page");
    let mut child = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--dump-dom",
        ])
        .arg(format!("--window-size={width},900"))
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .stdout(std::fs::File::create(&dom).expect("a file"))
        .stderr(Stdio::null())
        .spawn()
        .expect("the browser starts");
    let start = Instant::now();
    while child.try_wait().expect("a child of ours").is_none() {
        if start.elapsed() > Duration::from_mins(1) {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(std::fs::read_to_string(dom).expect("UTF-8")).filter(|dom| !dom.is_empty())
}

pub(in crate::report) fn root(dom: &str) -> &str {
    let from = dom.find("<html").expect("a root element");
    &dom[from..from + dom[from..].find('>').expect("its end")]
}

/// The page, measured by [`MEASURE`], is no wider than the window.
pub(in crate::report) fn assert_fits(dom: &str) {
    let widths = root(dom).split("data-widths=\"").nth(1).expect("measured");
    let widths: Vec<u32> = widths
        .trim_end_matches('"')
        .split([' ', '"'])
        .filter_map(|number| number.parse().ok())
        .collect();
    assert!(widths[0] <= widths[1], "{widths:?}");
}

#[test]
#[expect(clippy::print_stderr, reason = "says why a test is skipped")]
fn hostile_text_neither_runs_nor_breaks_the_page() {
    let Some(browser) = browser() else {
        eprintln!("skipped: no chromium on the path");
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let report = hostile();
    let hostile_page = page(&report);
    let Some(dom) = dump(browser, dir.path(), &hostile_page, 1280) else {
        eprintln!("skipped: {browser} does not work here");
        return;
    };
    assert!(
        !root(&dom).contains("data-pwned"),
        "a script from the data ran: {}",
        root(&dom)
    );
    assert!(
        !dom.contains("</pwned-element>"),
        "an element came from the data"
    );
    assert!(dom.contains("<title>prefclean: "), "the title changed");
    // our own script did run: it shows the search
    assert!(
        dom.contains("<div id=\"tools\">"),
        "the search is not there"
    );
    assert_eq!(
        dom.matches("<section").count(),
        hostile_page.matches("<section").count()
    );
    for report in [Report::example(), report] {
        for width in [1280, 500] {
            let measured = html::shell::with_script(&page(&report), MEASURE);
            let dom = dump(browser, dir.path(), &measured, width).expect("it worked before");
            assert_fits(&dom);
        }
    }
    // the policy stops what is not ours, even if it got in
    let mut injected = hostile_page;
    injected.insert_str(
        injected.find("<main").expect("a main part"),
        "<script>document.documentElement.setAttribute('data-pwned','5')</script><img src=x onerror=\"document.documentElement.setAttribute('data-pwned','6')\">",
    );
    let dom = dump(browser, dir.path(), &injected, 1280).expect("it worked before");
    assert!(
        !root(&dom).contains("data-pwned"),
        "the policy let a script run"
    );
}
