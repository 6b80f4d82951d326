// The install script as text: any part of it does nothing, it is plain POSIX sh, and what it is told is checked first.
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { installScript } from "../../../node-agent/build/installer.ts";

const FACTS: Record<string, string> = {
  CONTROL: "http://127.0.0.1:9",
  AGENT_VERSION: "1.0.0",
  AGENT_SHA256: "a".repeat(64),
  LAUNCHER_SHA256: "b".repeat(64),
  NODE_VERSION: "24.1.0",
  NODE_SHA256_X64: "c".repeat(64),
  NODE_SHA256_ARM64: "d".repeat(64),
  NODE_URL: "http://127.0.0.1:9/dist",
};
const bare = installScript();
const filled = bare.replace(/'@([A-Z0-9_]+)@'/g, (whole, name: string) => (FACTS[name] ? `'${FACTS[name]}'` : whole));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-install-"));
  chmodSync(folder, 0o1777);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(script: string, args: readonly string[], options: { uid?: number; tool?: string } = {}) {
  const env = { PATH: process.env.PATH ?? "", TMPDIR: folder, TRACE: join(folder, "trace") };
  const ran = spawnSync("sh", ["-s", "--", ...args], { input: script, encoding: "utf8", env, ...options });
  return { code: ran.status, out: ran.stdout + ran.stderr };
}

test("every fact is filled in, and the unit stands in it whole", () => {
  expect(filled).not.toMatch(/@[A-Z0-9_]+@/);
  expect(filled).toContain("KillMode=process");
  expect(filled.endsWith('\n\nmain "$@"\n')).toBe(true);
});

test("POSIX shells can read it", () => {
  writeFileSync(join(folder, "install.sh"), filled);
  execFileSync("sh", ["-n", join(folder, "install.sh")]);
  // Words of other shells that sh -n lets pass.
  expect(filled).not.toMatch(/\[\[ |\blocal \b|\bfunction \b|<<<|\$'|\bpipefail\b|\bsource \b|&>/);
});

test("cut off after any line it changes nothing: all that is left of it are functions", () => {
  const lines = filled.split("\n");
  const until = lines.indexOf('main "$@"');
  const inFunction = lines.slice(0, until).filter((line) => /^[a-z0-9_]+\(\) \{/.test(line)).length;
  expect(inFunction).toBeGreaterThan(15);
  // What stands at the beginning of a line outside of functions: facts and comments, before main is called.
  let depth = 0;
  let document: string | null = null;
  const loose: string[] = [];
  for (const line of lines.slice(0, until)) {
    if (document !== null) {
      if (line === document) document = null;
      continue;
    }
    document = /<<'?([A-Z]+)'?$/.exec(line)?.[1] ?? null;
    if (depth === 0 && line !== "" && !/^#|^[a-z0-9_]+\(\) \{/.test(line)) loose.push(line);
    if (/^[a-z0-9_]+\(\) \{$/.test(line)) depth = 1;
    else if (line === "}") depth = 0;
  }
  expect(loose.filter((line) => !/^[A-Z0-9_]+=/.test(line))).toEqual([]);
  for (const at of [10, 60, 150, 250, until]) {
    expect(run(lines.slice(0, at).join("\n"), ["--token", "x"]).out, `after ${at} lines`).not.toContain("berth: agent");
  }
  expect(readdirSync(folder)).toEqual(["install.sh"]);
});

test("a copy that no control plane served says where to take it from", () => {
  const { code, out } = run(bare, ["--token", "t"]);
  expect(code).toBe(1);
  expect(out).toContain("curl -fsSL https://<control plane>/install");
});

test.each([
  [["--tokn", "x"], /there is no option --tokn/],
  [["--token"], /--token needs a value/],
  [["x"], /unexpected: x/],
  [["--name", "a b"], /--name is empty or has a character/],
  [["--name", "$(reboot)"], /--name is empty or has a character/],
  [["--name=`reboot`"], /--name is empty or has a character/],
])("%j is refused by name, before anything is looked at", (args, words) => {
  const { code, out } = run(filled, args);
  expect(code).toBe(1);
  expect(out).toMatch(words);
});

test("--help says it all and changes nothing", () => {
  const { code, out } = run(filled, ["--help"]);
  expect(code).toBe(0);
  for (const option of ["--token", "--offline", "--pack", "--uninstall", "--node-url"]) expect(out).toContain(option);
});

test("without root it says what to type", () => {
  const { code, out } = run(filled, ["--token", "t"], process.getuid?.() === 0 ? { uid: 65_534 } : {});
  expect(code).toBe(1);
  expect(out).toContain("root is needed");
  expect(out).toContain("sudo sh -s");
});
