//! The command as a shell sees it: exit status, what goes to which stream, colours.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn bad() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dts/bad")
}

/// Runs it in dts/bad.
fn bulkhead(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
    command.current_dir(bad()).args(args).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command.envs(environment.iter().copied()).output().unwrap()
}

fn status(out: &Output) -> Option<i32> {
    out.status.code()
}

const REFUSED: [&str; 4] = ["check", "cpu-twice.dts", "--board", "board.dts"];

#[test]
fn the_exit_status_says_whose_fault_it_is() {
    for (args, expected) in [
        (&["--version"][..], 0),
        (&["help", "check"], 0),
        (&REFUSED, 1),
        (&["new", "--board", "board.dts", "--cell", "a:cpus=99,image=x"], 1),
        (&["check", "nowhere.dts", "--board", "board.dts"], 2),
        (&["check", "cpu-twice.dts"], 2),
        (&["check", "cpu-twice.dts", "--board", "board.dts", "--cpus", "8"], 2),
        (&["no-such-command"], 2),
        (&["explain", "BH9999"], 2),
    ] {
        let out = bulkhead(args, &[]);
        assert_eq!(status(&out), Some(expected), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn a_pipe_gets_no_colours_unless_it_asks() {
    let escape = |out: &Output| out.stderr.contains(&0x1b);
    assert!(!escape(&bulkhead(&REFUSED, &[])));
    assert!(escape(&bulkhead(&REFUSED, &[("CLICOLOR_FORCE", "1")])));
    assert!(!escape(&bulkhead(&REFUSED, &[("NO_COLOR", "1")])));
}

#[test]
fn results_and_complaints_go_apart() {
    let out = bulkhead(&REFUSED, &[]);
    assert!(out.stdout.is_empty() && !out.stderr.is_empty());
    let new = ["new", "--board", "board.dts", "--cell", "a:cpus=1,image=x"];
    let out = bulkhead(&new, &[]);
    assert!(out.stdout.starts_with(b"/*") && out.stderr.is_empty());
}

#[test]
fn completions_are_scripts_of_their_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let out = bulkhead(&["completions", shell], &[]);
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(text.contains("zephyr-overlay") && text.contains("explain"), "{shell}");
    }
    let script = bulkhead(&["completions", "bash"], &[]).stdout;
    let file = std::env::temp_dir().join(format!("bulkhead-completions-{}", std::process::id()));
    std::fs::write(&file, script).unwrap();
    let checked = Command::new("bash").arg("-n").arg(&file).status().unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(checked.success());
}
