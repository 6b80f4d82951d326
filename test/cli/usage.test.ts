// What the command line does before it ever reaches an API.
import { mkdtempSync, writeFileSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runBerth } from "./run-berth.ts";

let cwd = "";
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "berth-cli-"));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

/** A port of this machine on which nothing listens. */
const NOWHERE = "http://127.0.0.1:9";

describe("usage errors", () => {
  test("a mistyped command is answered with the one that was meant, and exit code 2", async () => {
    const ran = await runBerth(["deply"], { cwd });
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).toContain("Did you mean deploy?");
  });

  test("a count that is no number is refused by name", async () => {
    const ran = await runBerth(["scale", "many", "hello"], { cwd });
    expect(ran).toMatchObject({ exitCode: 2 });
    expect(ran.stderr).toContain("whole number");
  });

  test("without an app and without a berth.toml it says how to name one", async () => {
    const ran = await runBerth(["status"], { cwd });
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).toContain("berth apps");
  });

  test("a folder that is not there, or is none, is refused by its path", async () => {
    writeFileSync(join(cwd, "file"), "");
    for (const [name, fault] of [
      ["shop", "does not exist"],
      ["file", "is not a folder"],
    ] as const) {
      const ran = await runBerth(["deploy", name], { cwd });
      expect(ran.exitCode).toBe(2);
      expect(ran.stderr).toContain(`${join(cwd, name)} ${fault}`);
    }
  });

  test("a value without a name is refused without being repeated in full", async () => {
    const secret = `=${"s".repeat(80)}`;
    const ran = await runBerth(["env", "set", "--app", "hello", secret], { cwd });
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).not.toContain(secret);
  });
});

test.each([
  ["quota set ours --memory 4", "--memory 4 is not a size such as 4GB, nor none"],
  ["quota set ours --apps 0x10", "--apps 0x10 is not a whole number, nor none"],
  ["quota set ours --cpu 0.0001", "--cpu 0.0001 is not a number of cores such as 2 or 0.5, nor none"],
  ["quota set ours", "`--plan default` alone takes all of it back"],
  ["images policy set", "`berth images policy clear` allows every image"],
  ["images policy set --scanner https://scan.example/", "An operator sets it: add --installation"],
  ["images policy set --if-away accept", "add --scanner <url>"],
  ["teams require-second-factor maybe", "Allowed choices are on, off"],
  ["teams single-sign-on set --issuer https://idp.example --client-id berth", "No client secret on standard input"],
  ["teams single-sign-on remove", "ends every session that came through the team's provider: give --yes"],
  ["operators add ann@example.com", "gives ann@example.com the whole installation"],
])("berth %s is refused before it is sent, with what is missing", async (line, words) => {
  const ran = await runBerth([...line.split(" "), "--api", NOWHERE], { cwd });
  expect(ran).toMatchObject({ exitCode: 2, stdout: "" });
  expect(ran.stderr).toContain(words);
});

describe("without a terminal", () => {
  test("login names the flag instead of asking", async () => {
    const ran = await runBerth(["login", "--api", NOWHERE], { cwd });
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).toContain("--email");
  });

  test("destroy wants --yes", async () => {
    const ran = await runBerth(["destroy", "hello", "--api", NOWHERE], { cwd });
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).toContain("--yes");
  });
});

test("an API that is not there gives exit code 5 and the command that starts it", async () => {
  const ran = await runBerth(["apps", "--api", NOWHERE], { cwd });
  expect(ran.exitCode).toBe(5);
  expect(ran.stderr).toContain("npm start");
});

test("doctor names the fault and what mends it, as JSON too", async () => {
  const ran = await runBerth(["doctor", "--json", "--api", NOWHERE], { cwd });
  expect(ran.exitCode).toBe(1);
  expect(JSON.parse(ran.stdout)).toEqual([
    { check: "API", ok: false, detail: `nothing answers at ${NOWHERE}`, mend: "npm start" },
  ]);
});

describe("berth.toml", () => {
  test("init writes one that deploy reads", async () => {
    writeFileSync(join(cwd, "server.mjs"), "");
    expect(await runBerth(["init", "shop"], { cwd })).toMatchObject({ exitCode: 0 });
    const text = readFileSync(join(cwd, "berth.toml"), "utf8");
    expect(text).toContain('app = "shop"');
    expect(text).toContain("server.mjs");
    expect((await runBerth(["init", "shop"], { cwd })).exitCode).toBe(2);
    expect((await runBerth(["deploy", "--api", NOWHERE], { cwd })).exitCode).toBe(5);
  });

  test.each([
    ["an unknown key", 'app = "a"\nreplicsa = 2\n', "did you mean replicas?"],
    ["a size without a unit", 'app = "a"\n[resources]\nmemory = "256"\n', "resources.memory"],
    ["a name that is no DNS label", 'app = "Not_A_Label"\n', "DNS label"],
    ["broken TOML", "app = \n", "berth.toml:1:"],
  ])("%s is refused with its place", async (_name, text, expected) => {
    writeFileSync(join(cwd, "berth.toml"), text);
    const ran = await runBerth(["deploy", "--api", NOWHERE], { cwd });
    expect(ran.exitCode).toBe(2);
    expect(ran.stderr).toContain(expected);
  });
});

test.each(["bash", "zsh", "fish"])("completion for %s knows every command", async (shell) => {
  const ran = await runBerth(["completion", shell], { cwd });
  expect(ran.exitCode).toBe(0);
  for (const word of ["deploy", "rollback", "doctor", "token"]) expect(ran.stdout).toContain(word);
});
