//! The workflows of `examples/ci` and the action at the top of the repository: what they may do, that
//! their commands exist, and their scripts against a forge that is a folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use clap::error::ErrorKind;
use serde_json::{Value as Json, json};

use crate::support::{Run, World};

const WORKFLOWS: [&str; 4] = ["yubin-plan.yml", "yubin-comment.yml", "yubin-apply.yml", "yubin-drift.yml"];
const GITLAB: &str = "examples/ci/gitlab/.gitlab-ci.yml";
const ACTION: &str = "action.yml";

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn parsed(path: &str) -> Json {
    serde_yaml::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn workflow(name: &str) -> Json {
    parsed(&format!("examples/ci/github/.github/workflows/{name}"))
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Jobs of a GitHub workflow by their names.
fn jobs(workflow: &Json) -> impl Iterator<Item = (&String, &Json)> {
    workflow["jobs"].as_object().unwrap().iter()
}

/// Steps of all workflows and of the action, with where they stand.
fn steps() -> Vec<(String, Json)> {
    let mut steps = Vec::new();
    for name in WORKFLOWS {
        for (job, body) in jobs(&workflow(name)) {
            steps.extend(list(&body["steps"]).iter().map(|step| (format!("{name}: {job}"), step.clone())));
        }
    }
    steps.extend(list(&parsed(ACTION)["runs"]["steps"]).iter().map(|step| (ACTION.to_owned(), step.clone())));
    steps
}

/// Scripts of GitHub's jobs and of GitLab's, with where they stand.
fn scripts() -> Vec<(String, String)> {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let github = steps().into_iter().filter(|(_, step)| step["run"].is_string());
    let mut scripts: Vec<(String, String)> = github.map(|(place, step)| (place, text(&step["run"]))).collect();
    for (job, body) in parsed(GITLAB).as_object().unwrap() {
        scripts.extend(list(&body["script"]).iter().map(|script| (format!("GitLab: {job}"), text(script))));
    }
    scripts
}

/// The script of a step of a workflow.
fn step(name: &str, job: &str, step: &str) -> String {
    let workflow = workflow(name);
    let steps = list(&workflow["jobs"][job]["steps"]);
    let found = steps.iter().find(|one| one["name"] == step).unwrap_or_else(|| panic!("{name}: {job}: {step}"));
    found["run"].as_str().unwrap().to_owned()
}

/// The words of the commands of a script that begin with `yubin`.
fn commands(script: &str) -> Vec<Vec<String>> {
    let joined = script.replace("\\\n", " ");
    joined.lines().map(words).filter(|words| words.first().is_some_and(|word| word == "yubin")).collect()
}

/// The words of a command up to where another begins or its output goes.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut open) = (Vec::new(), String::new(), false);
    for c in line.trim().chars() {
        match c {
            '"' => open = !open,
            ' ' if !open => words.push(std::mem::take(&mut word)),
            '>' | '|' | ';' if !open => break,
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn words_of_a_command_are_found() {
    let found = commands("x\n  yubin -C \"a/$B\" plan \\\n    --k \"$(cat c)\" >d || code=$?\nyubins\n");
    assert_eq!(found, [["yubin", "-C", "a/$B", "plan", "--k", "$(cat c)"]]);
}

#[test]
fn every_command_is_one_of_yubins() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (place, script) in scripts() {
        for command in commands(&script) {
            seen += 1;
            // An array of arguments that may be empty.
            let given = command.iter().flat_map(|word| match word.as_str() {
                "${ack[@]}" | "$@" => vec!["--ack", A],
                word => vec![word],
            });
            match yubin::commands::Cli::try_parse_from(given) {
                Ok(_) => {}
                // What a variable holds is not known here.
                Err(error) if error.kind() == ErrorKind::ValueValidation => {}
                Err(error) => wrong.push(format!("{place}: {}\n{error}", command.join(" "))),
            }
        }
    }
    assert!(seen >= 10, "only {seen} commands are found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_script_is_one() {
    for (place, script) in scripts() {
        // GitLab takes the shell of the image.
        let shell = if place.starts_with("GitLab") { "sh" } else { "bash" };
        let output = Command::new(shell).args(["-n", "-c", &script]).output().unwrap();
        assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What a pull request says would become part of a script; scripts take it from variables.
#[test]
fn no_expression_stands_in_a_script() {
    for (place, script) in scripts() {
        assert!(!script.contains("${{"), "{place}");
    }
}

#[test]
fn every_action_is_pinned() {
    for (place, step) in steps() {
        let Some(uses) = step["uses"].as_str() else { continue };
        let (name, commit) = uses.split_once('@').unwrap_or_else(|| panic!("{place}: {uses}"));
        assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{place}: {uses}");
        let known = ["actions/checkout", "actions/upload-artifact", "actions/download-artifact", "actions/cache"];
        assert!(known.contains(&name) || name == "your-org/yubin", "{place}: {uses}");
        if name == "actions/checkout" {
            assert_eq!(step["with"]["persist-credentials"], false, "{place}");
        }
    }
}

#[test]
fn permissions_are_the_least() {
    for name in WORKFLOWS {
        let workflow = workflow(name);
        let all = &workflow["permissions"];
        assert!(all.is_object(), "{name}: no permissions");
        for (job, body) in jobs(&workflow) {
            let own = if body["permissions"].is_null() { all } else { &body["permissions"] };
            let mut writes = Vec::new();
            for (what, how) in own.as_object().unwrap_or_else(|| panic!("{name}: {job}")) {
                match how.as_str().unwrap() {
                    "read" => {}
                    "write" => writes.push(what.as_str()),
                    how => panic!("{name}: {job}: {what}: {how}"),
                }
            }
            let expected: &[&str] = match (name, job.as_str()) {
                ("yubin-comment.yml", "comment") => &["pull-requests"],
                ("yubin-drift.yml", "tell") => &["issues"],
                _ => &[],
            };
            assert_eq!(writes, expected, "{name}: {job}");
            // Who may write has no files of others, and runs no program but the forge's.
            if !writes.is_empty() {
                for step in list(&body["steps"]) {
                    let uses = step["uses"].as_str().unwrap_or_default();
                    assert!(uses.is_empty() || uses.starts_with("actions/download-artifact@"), "{name}: {uses}");
                    assert!(commands(step["run"].as_str().unwrap_or_default()).is_empty(), "{name}: {job}");
                }
                assert_eq!(body["runs-on"], "ubuntu-latest");
            }
        }
    }
}

#[test]
fn what_handles_a_proposal_has_nothing_to_lose() {
    for name in WORKFLOWS {
        let text = read(&format!("examples/ci/github/.github/workflows/{name}"));
        assert!(!text.contains("pull_request_target"), "{name}");
        let workflow = workflow(name);
        let on = &workflow["on"];
        for (job, body) in jobs(&workflow) {
            let body_text = body.to_string();
            // Secrets are for the job that applies, behind its environment.
            assert_eq!(body_text.contains("secrets."), body["environment"] == "mail", "{name}: {job}");
            if !on["pull_request"].is_null() || !on["workflow_run"].is_null() {
                assert_eq!(body["runs-on"], "ubuntu-latest", "{name}: {job}");
            }
            if !on["pull_request"].is_null() {
                let installs = list(&body["steps"])
                    .iter()
                    .find(|step| step["uses"].as_str().is_some_and(|uses| uses.starts_with("your-org/yubin@")));
                assert_eq!(installs.unwrap()["with"]["cache"], "false", "a run could prepare what the next one finds");
            }
        }
    }
    let gitlab = parsed(GITLAB);
    for (job, body) in gitlab.as_object().unwrap() {
        let text = body.to_string();
        // The token is in the jobs of its environment alone; of those, on proposals, none has the files.
        let has_token = text.contains("YUBIN_NOTE_TOKEN");
        assert_eq!(has_token, body["environment"]["name"] == "yubin-note", "{job}");
        if has_token && body["extends"] != ".merged" {
            assert_eq!(body["variables"]["GIT_STRATEGY"], "none", "{job}");
        }
    }
    assert_eq!(gitlab["apply"]["resource_group"], "yubin");
}

#[test]
fn a_plan_of_a_proposal_trusts_the_base_and_needs_no_secret() {
    let plans: Vec<Vec<String>> = scripts()
        .iter()
        .flat_map(|(_, script)| commands(script))
        .filter(|command| command.iter().any(|word| word == "plan"))
        .collect();
    assert_eq!(plans.len(), 4);
    for plan in plans {
        assert!(plan.contains(&"--secrets=skip".to_owned()), "{plan:?}");
        let trusted = plan.iter().position(|word| word == "--trusted-config").unwrap();
        assert!(plan[trusted + 1].contains("base/$PROJECT/yubin.yaml"), "{plan:?}");
        let proposed = plan.contains(&"--against".to_owned());
        assert_eq!(proposed, plan.contains(&"--signed-by".to_owned()));
        assert_ne!(proposed, plan.contains(&"--out".to_owned()));
    }
}

/// A forge that is a folder: `gh` and `curl` answer from files, and keep what is posted.
struct Forge {
    world: World,
    variables: Vec<(&'static str, String)>,
}

/// Both stubs end up here: METHOD and PATH, the body in a file. What is written is the bot's.
const ANSWER: &str = r#"
answer() { # method path body-file
  printf '%s %s\n' "$1" "$2" >>"$FAKE/calls"
  file=$FAKE/$(printf %s "${2%%\?*}" | tr / _).json
  page=$(printf %s "$2" | sed -n 's/.*[?&]page=\([0-9]*\).*/\1/p')
  case $1 in
    GET)
      ref=$(printf %s "$2" | sed -n 's/.*[?&]ref=//p')
      [ -z "$ref" ] || file=${file%.json}@$ref.json
      [ -e "$file" ] || { echo "404 $2" >&2; exit 1; }
      if [ "${page:-1}" -gt 1 ]; then echo '[]'; else cat "$file"; fi
      ;;
    POST)
      [ -e "$file" ] || echo '[]' >"$file"
      jq --slurpfile new "$3" --argjson bot "$BOT" \
        '. + [$bot + {id: (100 + length), iid: (100 + length), number: (100 + length), state: "open"} + $new[0]]' \
        "$file" >"$file.new"
      mv "$file.new" "$file"
      ;;
    PATCH | PUT)
      list=${file%_*}.json
      [ -e "$list" ] || list=$FAKE/$COMMENTS.json
      id=$(basename "$file" .json)
      jq --slurpfile new "$3" --argjson id "${id##*_}" \
        'map(if .id == $id then . + $new[0] else . end)' "$list" >"$list.new"
      mv "$list.new" "$list"
      ;;
  esac
}
"#;

const GH: &str = r#"
[ "$1" = api ] && shift
method=GET path='' input=/dev/null fields='{}'
while [ $# -gt 0 ]; do
  case $1 in
    --method) method=$2; shift 2 ;;
    -f) fields=$(jq -c --arg k "${2%%=*}" --arg v "${2#*=}" '. + {($k): $v}' <<<"$fields"); shift 2 ;;
    --input) input=$2; shift 2 ;;
    --paginate) shift ;;
    *) path=$1; shift ;;
  esac
done
[ "$input" != - ] || { cat >"$FAKE/input"; input=$FAKE/input; }
if [ "$method" != GET ] && [ "$input" = /dev/null ]; then echo "$fields" >"$FAKE/input"; input=$FAKE/input; fi
[ "$fields" = '{}' ] || echo "$fields" >>"$FAKE/fields"
answer "$method" "$path" "$input"
"#;

const CURL: &str = r#"
method=GET path='' input=/dev/null output=/dev/stdout
while [ $# -gt 0 ]; do
  case $1 in
    --fail | --silent | --show-error | --location) shift ;;
    --request) method=$2; shift 2 ;;
    --header) printf '%s\n' "$2" >>"$FAKE/headers"; shift 2 ;;
    --data) input=${2#@}; shift 2 ;;
    --output) output=$2; shift 2 ;;
    *) path=${1#https://forge/}; shift ;;
  esac
done
if [ "$output" = /dev/stdout ]; then answer "$method" "$path" "$input"; else answer "$method" "$path" "$input" >"$output"; fi
"#;

impl Forge {
    fn new(bot: &Json, comments: &str) -> Forge {
        let world = World::new();
        for (name, rest) in [("gh", GH), ("curl", CURL)] {
            world.write(&format!("bin/{name}"), format!("#!/usr/bin/env bash\nset -euo pipefail\n{ANSWER}{rest}"));
            executable(&world.file(&format!("bin/{name}")));
        }
        world.write("forge/calls", "");
        let path = format!("{}:{}", world.file("bin").display(), std::env::var("PATH").unwrap());
        let variables = vec![
            ("PATH", path),
            ("HOME", world.path().display().to_string()),
            ("TMPDIR", world.path().display().to_string()),
            ("FAKE", world.file("forge").display().to_string()),
            ("BOT", bot.to_string()),
            ("COMMENTS", comments.replace('/', "_")),
            ("GITHUB_REPOSITORY", "o/r".to_owned()),
            ("GITHUB_STEP_SUMMARY", world.file("summary").display().to_string()),
            ("GITHUB_OUTPUT", world.file("output").display().to_string()),
        ];
        Forge { world, variables }
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.variables.retain(|(one, _)| *one != name);
        self.variables.push((name, value.to_owned()));
    }

    fn says(&self, path: &str, json: &Json) {
        self.world.write(&format!("forge/{}.json", path.replace('/', "_")), json.to_string());
    }

    fn has(&self, path: &str) -> Json {
        let path = self.world.file(&format!("forge/{}.json", path.replace('/', "_")));
        std::fs::read_to_string(path).map_or(json!([]), |text| serde_json::from_str(&text).unwrap())
    }

    fn calls(&self) -> String {
        std::fs::read_to_string(self.world.file("forge/calls")).unwrap()
    }

    fn run_with(&self, shell: &[&str], script: &str) -> Run {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg(script).current_dir(self.world.path()).env_clear();
        Run::of(command.envs(self.variables.iter().map(|(name, value)| (name, value))).output().unwrap())
    }

    /// As GitHub runs a step.
    #[track_caller]
    fn github(&self, code: i32, script: &str) -> Run {
        let run = self.run_with(&["bash", "-e", "-c"], script);
        assert_eq!(run.code, code, "{}\n{}\n{}", run.stdout, run.stderr, self.calls());
        run
    }

    #[track_caller]
    fn gitlab(&self, code: i32, script: &str) -> Run {
        let run = self.run_with(&["sh", "-c"], script);
        assert_eq!(run.code, code, "{}\n{}\n{}", run.stdout, run.stderr, self.calls());
        run
    }
}

#[cfg(unix)]
fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

const PLAN: &str = ".github/workflows/yubin-plan.yml";
const HEAD: &str = "1111111111111111111111111111111111111111";

/// A pull request 7 of a fork, whose plan has been made.
fn pull_request() -> Forge {
    let mut forge = Forge::new(&json!({ "user": { "login": "github-actions[bot]" } }), "repos/o/r/issues/7/comments");
    forge.set("BRANCH", "main");
    forge.set("WORKFLOW", PLAN);
    forge.set("RUN_WORKFLOW", PLAN);
    forge.set("RUN_URL", "https://forge/run");
    forge.set("HEAD_SHA", HEAD);
    forge.set("HEAD_OWNER", "stranger");
    forge.set("HEAD_BRANCH", "x\"; touch evil; `touch evil` $(touch evil)");
    forge.says(
        "repos/o/r/pulls",
        &json!([{ "number": 6, "head": { "sha": "0" } }, { "number": 7, "head": { "sha": HEAD } }]),
    );
    for commit in [HEAD, "main"] {
        forge.says(&format!("repos/o/r/contents/{PLAN}@{commit}"), &json!({ "sha": "same" }));
    }
    let others = json!([
        { "id": 1, "user": { "login": "stranger" }, "body": format!("<!-- yubin plan {HEAD} {B} -->") },
        { "id": 2, "user": { "login": "github-actions[bot]" }, "body": "of another workflow" },
    ]);
    forge.says("repos/o/r/issues/7/comments", &others);
    forge.world.write("plan/comment.md", "### 1 to add\n\n\"quoted\" `$(touch evil)`\n");
    forge.world.write("plan/plan.json", json!({ "digest": A }).to_string());
    forge
}

fn comment(forge: &Forge) -> Vec<String> {
    forge.github(0, &step("yubin-comment.yml", "comment", "The comment"));
    let comments = forge.has("repos/o/r/issues/7/comments");
    assert!(!forge.world.file("evil").exists());
    list(&comments)[2..].iter().map(|one| one["body"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn one_comment_is_edited_in_place() {
    let forge = pull_request();
    let first = comment(&forge);
    assert_eq!(first, [format!("<!-- yubin plan {HEAD} {A} -->\n\n### 1 to add\n\n\"quoted\" `$(touch evil)`\n")]);
    forge.world.write("plan/comment.md", "### Nothing to change\n");
    forge.world.write("plan/plan.json", json!({ "digest": B }).to_string());
    assert_eq!(comment(&forge), [format!("<!-- yubin plan {HEAD} {B} -->\n\n### Nothing to change\n")]);
    let fields = std::fs::read_to_string(forge.world.file("forge/fields")).unwrap();
    let asked: Json = serde_json::from_str(fields.lines().next().unwrap()).unwrap();
    assert_eq!(asked["head"], "stranger:x\"; touch evil; `touch evil` $(touch evil)");
    assert_eq!(asked["base"], "main");
}

#[test]
fn the_text_of_a_changed_workflow_is_not_shown() {
    let forge = pull_request();
    forge.says(&format!("repos/o/r/contents/{PLAN}@{HEAD}"), &json!({ "sha": "other" }));
    let said = comment(&forge);
    assert!(said[0].starts_with(&format!("<!-- yubin plan {HEAD} none -->\n\n### No plan is shown\n")), "{}", said[0]);
    assert!(!said[0].contains("to add"));
    // Nor one that the proposal has removed.
    forge.world.remove(&format!("forge/{}@{HEAD}.json", format!("repos/o/r/contents/{PLAN}").replace('/', "_")));
    assert!(comment(&forge)[0].contains("### No plan is shown"));
}

#[test]
fn a_run_of_something_else_says_nothing() {
    let mut forge = pull_request();
    forge.set("RUN_WORKFLOW", ".github/workflows/evil.yml");
    assert!(comment(&forge).is_empty());
    let mut forge = pull_request();
    forge.set("HEAD_SHA", "2222222222222222222222222222222222222222");
    assert!(comment(&forge).is_empty(), "an older commit of the pull request");
}

#[test]
fn a_plan_that_is_missing_or_odd_is_said_to_be() {
    let forge = pull_request();
    let no_plan = format!(
        "<!-- yubin plan {HEAD} none -->\n\n### No plan could be made\n\n[The run](https://forge/run) says why.\n"
    );
    forge.world.write("plan/comment.md", "x".repeat(65_001));
    assert_eq!(comment(&forge), [no_plan.as_str()]);
    forge.world.remove("plan/comment.md");
    assert_eq!(comment(&forge), [no_plan.as_str()]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/etc/hostname", forge.world.file("plan/comment.md")).unwrap();
        assert_eq!(comment(&forge), [no_plan]);
        forge.world.remove("plan/comment.md");
    }
    forge.world.write("plan/comment.md", "### The input is invalid\n");
    forge.world.write("plan/plan.json", json!({ "diagnostics": [] }).to_string());
    assert_eq!(comment(&forge), [format!("<!-- yubin plan {HEAD} none -->\n\n### The input is invalid\n")]);
    forge.world.write("plan/plan.json", json!({ "digest": format!("{A} --> x") }).to_string());
    assert!(comment(&forge)[0].starts_with(&format!("<!-- yubin plan {HEAD} none -->")));
}

#[test]
fn the_state_is_that_of_main() {
    let mut forge = Forge::new(&json!({}), "");
    forge.set("BRANCH", "main");
    let artifact = |run: u32, at: &str, branch: &str, of: u32| {
        json!({ "expired": false, "created_at": at,
            "workflow_run": { "id": run, "head_branch": branch, "repository_id": 1, "head_repository_id": of } })
    };
    let mut expired = artifact(9, "2026-11-09T00:00:00Z", "main", 1);
    expired["expired"] = json!(true);
    let artifacts = json!({ "artifacts": [
        artifact(1, "2026-11-01T00:00:00Z", "main", 1),
        artifact(2, "2026-11-02T00:00:00Z", "main", 1),
        artifact(3, "2026-11-03T00:00:00Z", "proposal", 1),
        artifact(4, "2026-11-04T00:00:00Z", "main", 2),
        expired,
    ] });
    forge.says("repos/o/r/actions/artifacts", &artifacts);
    let script = step("yubin-plan.yml", "plan", "Where the state is");
    forge.github(0, &script);
    assert_eq!(std::fs::read_to_string(forge.world.file("output")).unwrap(), "run=2\n");
    forge.says("repos/o/r/actions/artifacts", &json!({ "artifacts": [] }));
    assert!(forge.github(1, &script).stdout.starts_with("::error title=yubin::no state is published yet"));
}

const MERGED: &str = "3333333333333333333333333333333333333333";

/// A git repository in `folder` whose last commit has this message.
fn repository(forge: &Forge, folder: &str, message: &str) {
    let path = forge.world.file(folder);
    std::fs::create_dir_all(&path).unwrap();
    for arguments in [&["init", "-q"][..], &["commit", "-q", "--allow-empty", "-m", message]] {
        let status = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.jp"])
            .args(arguments)
            .current_dir(&path)
            .env("HOME", forge.world.path())
            .status();
        assert!(status.unwrap().success());
    }
}

/// The plan A of what was merged as pull request 7, whose comment says what is given.
fn merged(login: &str, line: &str) -> Forge {
    let mut forge = Forge::new(&json!({}), "");
    forge.set("BRANCH", "main");
    forge.set("GITHUB_SHA", MERGED);
    forge.set("ASKED", "");
    repository(&forge, "merged", "Merge pull request #7");
    forge.world.write("out/plan.json", json!({ "digest": A }).to_string());
    let pull = |number: u32, merged: &str, base: &str| {
        json!({ "number": number, "merged_at": "2026-11-22T00:00:00Z", "merge_commit_sha": merged,
            "base": { "ref": base }, "head": { "sha": HEAD } })
    };
    forge.says(
        &format!("repos/o/r/commits/{MERGED}/pulls"),
        &json!([pull(5, MERGED, "other"), pull(6, "0", "main"), pull(7, MERGED, "main")]),
    );
    forge.says("repos/o/r/issues/7/comments", &json!([{ "id": 1, "user": { "login": login }, "body": line }]));
    forge
}

fn approval() -> String {
    step("yubin-apply.yml", "plan", "Approved")
}

#[test]
fn a_plan_is_applied_if_its_pull_request_showed_it() {
    let bot = "github-actions[bot]";
    let forge = merged(bot, &format!("<!-- yubin plan {HEAD} {A} -->\n\n### 1 to add"));
    forge.github(0, &approval());
    assert_eq!(std::fs::read_to_string(forge.world.file("output")).unwrap(), format!("digest={A}\n"));
    assert_eq!(std::fs::read_to_string(forge.world.file("summary")).unwrap(), "Approved in #7.\n");
    for (login, line) in [
        ("stranger", format!("<!-- yubin plan {HEAD} {A} -->")),
        (bot, format!("<!-- yubin plan {HEAD} {B} -->")),
        (bot, format!("<!-- yubin plan 2222222222222222222222222222222222222222 {A} -->")),
        (bot, format!("> <!-- yubin plan {HEAD} {A} -->")),
        (bot, format!("<!-- yubin plan {HEAD} none -->")),
    ] {
        let forge = merged(login, &line);
        let run = forge.github(1, &approval());
        assert!(run.stdout.contains(&format!("nobody has approved the plan {A}")), "{}", run.stdout);
        assert!(!forge.world.file("output").exists(), "{login}: {line}");
    }
}

#[test]
fn a_plan_is_applied_if_somebody_asks_for_its_digest() {
    let mut forge = merged("stranger", "");
    forge.set("ASKED", B);
    forge.github(1, &approval());
    forge.set("ASKED", A);
    forge.github(0, &approval());
    let forge = merged("stranger", "");
    repository(&forge, "merged", &format!("x\n\nYubin-Ack: {B}"));
    forge.github(1, &approval());
    repository(&forge, "merged", &format!("x\r\n\r\nYubin-Ack: {A}\r\n"));
    forge.github(0, &approval());
}

#[test]
fn drift_is_one_issue() {
    let mut forge = Forge::new(&json!({ "user": { "login": "github-actions[bot]" } }), "");
    let script = step("yubin-drift.yml", "tell", "The issue");
    let issues = "repos/o/r/issues";
    forge.says(issues, &json!([{ "id": 1, "number": 1, "user": { "login": "x" }, "body": "<!-- yubin drift -->" }]));
    forge.set("CODE", "0");
    forge.world.write("out/drift.txt", "");
    forge.github(0, &script);
    assert_eq!(list(&forge.has(issues)).len(), 1);
    forge.set("CODE", "2");
    for text in ["account/info\n```\n@all\n", "account/jimu\n"] {
        forge.world.write("out/drift.txt", text);
        forge.github(0, &script);
        let all = forge.has(issues);
        assert_eq!(list(&all).len(), 2);
        let body = all[1]["body"].as_str().unwrap();
        assert!(body.starts_with("<!-- yubin drift -->\n"));
        assert!(text.lines().all(|line| body.contains(&format!("\n    {line}"))), "{body}");
    }
    forge.set("CODE", "0");
    forge.github(0, &script);
    assert_eq!(forge.has(issues)[1]["state"], "closed");
    assert_eq!(forge.has(issues)[0]["state"], Json::Null);
}

impl Forge {
    /// The program, as scripts find it.
    fn with_yubin(&mut self) {
        let script = format!("#!/bin/sh\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_yubin"));
        self.world.write("bin/yubin", script);
        executable(&self.world.file("bin/yubin"));
        let workspace = self.world.path().display().to_string();
        let store = format!("sqlite:{workspace}/store/mail.db");
        self.world.write("store/.keep", "");
        self.set("GITHUB_WORKSPACE", &workspace);
        self.set("CI_PROJECT_DIR", &format!("{workspace}/merged"));
        self.set("PROJECT", "mail");
        self.set("STORE", &store);
        self.set("GITHUB_SERVER_URL", "https://forge");
    }

    /// A command in the checkout.
    #[track_caller]
    fn git(&self, arguments: &str) -> String {
        let identity = "-c user.name=a -c user.email=a@example.jp -c init.defaultBranch=main";
        self.github(0, &format!("git -C merged {identity} {arguments}")).stdout.trim_end().to_owned()
    }
}

/// A project whose first version is applied and committed to main, and a pull request 7 with one more account:
/// `merged` is what both make together.
fn proposal() -> (Forge, String) {
    let mut forge = pull_request();
    forge.with_yubin();
    forge.world.write("merged/mail/yubin.yaml", "version: 1\nname: head-office\npolicy: { undeclared: delete }\n");
    let first = "accounts:\n  info: { password: { env: INFO_PASSWORD }, comment: 代表 }\n";
    forge.world.write("merged/mail/accounts.yaml", first);
    let yubin = "YUBIN_STORE=$STORE INFO_PASSWORD=kD8vwq2LmZ yubin -C merged/mail";
    let taken = "snapshot --redacted --out \"$GITHUB_WORKSPACE/state/state.json\"";
    forge.world.write("state/.keep", "");
    let run = forge.github(0, &format!("{yubin} apply --yes && {yubin} {taken}"));
    let signer = run.stderr.lines().find_map(|line| line.strip_prefix("signed by ")).unwrap();
    forge.world.write("merged/.github/yubin-signer", format!("{signer}\n"));
    forge.git("init -q");
    forge.git("add -A");
    forge.git("commit -q -m first");
    forge.git("checkout -q -b proposal");
    forge.world.write("merged/mail/accounts.yaml", format!("{first}  jimu: {{ comment: 事務 }}\n"));
    forge.git("commit -q -a -m proposed");
    let head = forge.git("rev-parse HEAD");
    forge.git("checkout -q main");
    forge.git("merge -q --no-ff -m merge proposal");
    (forge, head)
}

/// What a pull request shows is what is applied after the merge, and nothing else is.
#[test]
fn a_proposal_goes_all_the_way() {
    let (mut forge, head) = proposal();
    forge.github(0, &step("yubin-plan.yml", "plan", "The base branch alone"));
    forge.github(0, &step("yubin-plan.yml", "plan", "Plan"));
    assert_eq!(output(&forge, "output"), "code=0\n");
    assert!(!forge.world.file("merged/mail/yubin.db").exists());

    forge.set("HEAD_SHA", &head);
    forge.says("repos/o/r/pulls", &json!([{ "number": 7, "head": { "sha": head } }]));
    forge.says(&format!("repos/o/r/contents/{PLAN}@{head}"), &json!({ "sha": "same" }));
    forge.github(0, "rm -rf plan && mv out plan");
    let shown = comment(&forge);
    assert!(shown[0].contains("### 1 to add, 1 to overwrite"), "{}", shown[0]);

    let merged = forge.git("rev-parse HEAD");
    forge.set("GITHUB_SHA", &merged);
    forge.set("ASKED", "");
    let store = forge.variables.iter().find(|(name, _)| *name == "STORE").unwrap().1.clone();
    forge.set("YUBIN_STORE", &store);
    forge.says(
        &format!("repos/o/r/commits/{merged}/pulls"),
        &json!([{ "number": 7, "merged_at": "2026-11-22T00:00:00Z", "merge_commit_sha": merged,
            "base": { "ref": "main" }, "head": { "sha": head } }]),
    );
    let plan = || {
        forge.github(0, &step("yubin-apply.yml", "plan", "What was there before"));
        forge.github(0, &step("yubin-apply.yml", "plan", "Plan"));
    };
    // Anything else that comes with the merge is not what was shown.
    forge.world.write("merged/mail/more.yaml", "accounts: { more: {} }\n");
    plan();
    forge.github(1, &approval());
    forge.world.remove("merged/mail/more.yaml");
    plan();
    forge.world.write("output", "");
    forge.github(0, &approval());
    let digest = output(&forge, "output").trim_end().strip_prefix("digest=").unwrap().to_owned();

    forge.github(0, "mkdir approved && mv out/plan.json approved");
    forge.set("DIGEST", &digest);
    forge.set("YUBIN_ACTOR", "merger");
    let apply = step("yubin-apply.yml", "apply", "Apply");
    forge.github(3, &apply); // without its secrets
    forge.set("INFO_PASSWORD", "kD8vwq2LmZ");
    forge.github(0, &apply);
    forge.github(0, &step("yubin-apply.yml", "apply", "The state without secrets"));
    assert!(forge.world.file("state.json").exists());
    forge.github(0, "yubin -C merged/mail plan --exit-code");
    let log: Json = serde_json::from_str(&forge.github(0, "yubin -C merged/mail log --format json").stdout).unwrap();
    assert_eq!(log["revisions"][0]["actor"], "merger");
    assert_eq!(log["revisions"][0]["note"], format!("https://forge/o/r/commit/{merged}"));
    forge.github(5, &apply);
}

/// The same on GitLab, in the order of its jobs.
#[test]
fn a_merge_request_goes_all_the_way() {
    let (mut forge, head) = proposal();
    for (name, value) in merge_request().variables {
        if name.starts_with("CI_") || name == "YUBIN_NOTE_TOKEN" {
            forge.set(name, &value);
        }
    }
    forge.set("BOT", &json!({ "author": { "id": 5 } }).to_string());
    forge.says("user", &json!({ "id": 5 }));
    let job = |forge: &Forge, code: i32, name: &str, nth: usize| {
        forge.gitlab(code, &format!("cd merged\n{}", gitlab_script(name, nth)))
    };
    // Main is still what it was, and a pipeline of the merged result runs.
    forge.git("init -q --bare ../origin");
    forge.git("remote add origin ../origin");
    forge.git("push -q origin HEAD^1:refs/heads/main");
    forge.github(0, "cp state/state.json forge/projects_1_jobs_artifacts_main_raw_state.json.json");
    let signer = std::fs::read_to_string(forge.world.file("merged/.github/yubin-signer")).unwrap();
    forge.set("YUBIN_SIGNER", signer.trim_end());
    forge.set("CI_JOB_TOKEN", "j0b");
    forge.set("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", &head);
    job(&forge, 0, "plan", 0);
    forge.says("projects/1/merge_requests/7/notes", &json!([]));
    job(&forge, 0, "note", 0);
    let notes = forge.has("projects/1/merge_requests/7/notes");
    assert!(notes[0]["body"].as_str().unwrap().contains("### 1 to add, 1 to overwrite"), "{notes}");

    let merged = forge.git("rev-parse HEAD");
    forge.set("CI_COMMIT_SHA", &merged);
    forge.set("CI_PROJECT_URL", "https://forge/p");
    forge.set("GITLAB_USER_LOGIN", "merger");
    let store = forge.variables.iter().find(|(name, _)| *name == "STORE").unwrap().1.clone();
    forge.set("YUBIN_STORE", &store);
    forge.says(
        &format!("projects/1/repository/commits/{merged}/merge_requests"),
        &json!([{ "iid": 7, "state": "merged", "target_branch": "main", "merge_commit_sha": merged, "sha": head }]),
    );
    job(&forge, 0, "merged", 0);
    job(&forge, 0, "merged", 1);
    forge.set("INFO_PASSWORD", "kD8vwq2LmZ");
    job(&forge, 0, "apply", 0);
    job(&forge, 5, "apply", 0); // a plan applies once
    job(&forge, 0, "state", 0);
    assert!(forge.world.file("merged/state.json").exists());
    job(&forge, 0, "drift", 0);
    forge.github(0, "yubin -C merged/mail plan --exit-code");
}

fn gitlab_script(job: &str, nth: usize) -> String {
    parsed(GITLAB)[job]["script"][nth].as_str().unwrap().to_owned()
}

fn merge_request() -> Forge {
    let mut forge = Forge::new(&json!({ "author": { "id": 5 } }), "projects/1/merge_requests/7/notes");
    for (name, value) in [
        ("CI_API_V4_URL", "https://forge"),
        ("CI_PROJECT_ID", "1"),
        ("CI_MERGE_REQUEST_IID", "7"),
        ("CI_PIPELINE_URL", "https://forge/pipeline"),
        ("CI_DEFAULT_BRANCH", "main"),
        ("YUBIN_NOTE_TOKEN", "t0ken"),
    ] {
        forge.set(name, value);
    }
    forge.set("CI_COMMIT_SHA", HEAD);
    forge.says("user", &json!({ "id": 5 }));
    forge
}

#[test]
fn one_note_is_edited_in_place() {
    let mut forge = merge_request();
    let notes = "projects/1/merge_requests/7/notes";
    forge.says(notes, &json!([{ "id": 1, "author": { "id": 9 }, "body": format!("<!-- yubin plan {HEAD} {B} -->") }]));
    let script = gitlab_script("note", 0);
    let note = |forge: &Forge| {
        forge.gitlab(0, &script);
        let notes = forge.has(notes);
        assert_eq!(list(&notes).len(), 2);
        notes[1]["body"].as_str().unwrap().to_owned()
    };
    forge.world.write("out/comment.md", "### 1 to add\n\n\"quoted\" `$(touch evil)`\n");
    forge.world.write("out/plan.json", json!({ "digest": A }).to_string());
    let first = format!("<!-- yubin plan {HEAD} {A} -->\n\n### 1 to add\n\n\"quoted\" `$(touch evil)`\n");
    assert_eq!(note(&forge), first);
    forge.world.write("out/plan.json", json!({ "digest": B }).to_string());
    assert!(note(&forge).starts_with(&format!("<!-- yubin plan {HEAD} {B} -->")));
    // In a pipeline of the merged result.
    forge.set("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "4444444444444444444444444444444444444444");
    assert!(note(&forge).starts_with("<!-- yubin plan 4444444444444444444444444444444444444444 "));
    forge.world.remove("out/comment.md");
    assert!(note(&forge).ends_with("### No plan could be made\n\n[The pipeline](https://forge/pipeline) says why.\n"));
    assert!(!forge.world.file("evil").exists());
    let headers = std::fs::read_to_string(forge.world.file("forge/headers")).unwrap();
    assert!(headers.lines().all(|line| line == "PRIVATE-TOKEN: t0ken" || line == "Content-Type: application/json"));
}

#[test]
fn a_plan_is_applied_if_its_merge_request_showed_it() {
    let script = gitlab_script("merged", 1);
    let merged = |author: u32, line: &str| {
        let mut forge = merge_request();
        forge.set("CI_COMMIT_SHA", MERGED);
        repository(&forge, ".", "Merge branch");
        forge.world.write("out/plan.json", json!({ "digest": A }).to_string());
        let request = |iid: u32, merged: &str, base: &str| {
            json!({ "iid": iid, "state": "merged", "target_branch": base, "merge_commit_sha": merged,
                "squash_commit_sha": null, "sha": HEAD })
        };
        forge.says(
            &format!("projects/1/repository/commits/{MERGED}/merge_requests"),
            &json!([request(5, MERGED, "other"), request(6, "0", "main"), request(7, MERGED, "main")]),
        );
        forge
            .says("projects/1/merge_requests/7/notes", &json!([{ "id": 1, "author": { "id": author }, "body": line }]));
        forge
    };
    let shown = format!("<!-- yubin plan {HEAD} {A} -->\n\n### 1 to add");
    assert!(merged(5, &shown).gitlab(0, &script).stdout.contains("approved in !7"));
    merged(9, &shown).gitlab(1, &script);
    merged(5, &format!("<!-- yubin plan {HEAD} {B} -->")).gitlab(1, &script);
    merged(5, &format!("<!-- yubin plan {MERGED} {A} -->")).gitlab(1, &script);
    let mut forge = merged(5, &shown);
    forge.set("YUBIN_ACK", B);
    forge.gitlab(1, &script);
    forge.set("YUBIN_ACK", A);
    forge.gitlab(0, &script);
    let forge = merged(9, "");
    repository(&forge, ".", &format!("x\n\nYubin-Ack: {A}"));
    forge.gitlab(0, &script);
}

#[test]
fn drift_is_one_issue_on_gitlab() {
    let forge = merge_request();
    let script = gitlab_script("drift-issue", 0);
    let issues = "projects/1/issues";
    forge.says(issues, &json!([]));
    for (code, count) in [("0\n", 0), ("2\n", 1), ("2\n", 1)] {
        forge.world.write("out/code", code);
        forge.world.write("out/drift.txt", "account/info\n```\n");
        forge.gitlab(0, &script);
        assert_eq!(list(&forge.has(issues)).len(), count);
    }
    assert!(forge.has(issues)[0]["description"].as_str().unwrap().contains("\n    account/info\n    ```\n"));
    forge.world.write("out/code", "0\n");
    // The folder answers a change in the query with nothing: that it is asked for is enough.
    forge.gitlab(0, &script);
    assert!(forge.calls().contains("PUT projects/1/issues/100?state_event=close"), "{}", forge.calls());
    forge.world.write("out/code", "1\n");
    forge.gitlab(1, &script);
}

/// The action with a program that says how it was run.
#[test]
fn the_action_runs_one_command() {
    let mut forge = Forge::new(&json!({}), "");
    forge.world.write("tools/yubin", "#!/bin/sh\nprintf '<%s>' \"$@\" >ran\nexit 4\n");
    executable(&forge.world.file("tools/yubin"));
    let action = parsed(ACTION);
    let script = |id: &str| {
        let steps = list(&action["runs"]["steps"]);
        steps.iter().find(|step| step["id"] == id).unwrap()["run"].as_str().unwrap().to_owned()
    };
    let folder = forge.world.file("temp/yubin-given");
    forge.set("BINARY", "tools/yubin");
    let at = |name: &str| -> String { forge.world.file(name).display().to_string() };
    let (temp, path) = (at("temp"), at("path"));
    forge.set("RUNNER_TEMP", &temp);
    forge.set("GITHUB_PATH", &path);
    forge.github(0, &script("source"));
    assert_eq!(output(&forge, "output"), format!("folder={}\n", folder.display()));
    assert_eq!(output(&forge, "path"), format!("{}/bin\n", folder.display()));
    forge.set("FOLDER", folder.to_str().unwrap());
    forge.set("DIRECTORY", "mail");
    forge.set("ARGS", "--strict\n\n--note=a b $(touch evil)\n");
    for (command, annotated) in [("check", "<--annotate><github>"), ("show", "")] {
        forge.set("COMMAND", command);
        forge.world.write("output", "");
        forge.github(4, &script("run"));
        let expected = format!("<-C><mail><{command}>{annotated}<--strict><--note=a b $(touch evil)>");
        assert_eq!(output(&forge, "ran"), expected);
        assert_eq!(output(&forge, "output"), "exit-code=4\n");
    }
    assert!(!forge.world.file("evil").exists());
    // Built from source, the folder is named after what it is built from.
    forge.set("BINARY", "");
    forge.set("GITHUB_ACTION_PATH", env!("CARGO_MANIFEST_DIR"));
    forge.set("RUNNER_OS", "Linux");
    forge.set("RUNNER_ARCH", "X64");
    forge.world.write("output", "");
    forge.github(0, &script("source"));
    let said = output(&forge, "output");
    let key = said.lines().next().unwrap().strip_prefix("key=yubin-Linux-X64-").unwrap();
    assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{said}");
}

fn output(forge: &Forge, name: &str) -> String {
    let path: PathBuf = forge.world.file(name);
    std::fs::read_to_string(path).unwrap()
}
