// `npm run release-key` and `npm run build:agent -- --sign`: what an operator types, and what comes out.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { AGENT_PROTOCOL } from "../../../contracts/agent-protocol.ts";
import { ReleaseKey } from "../../../contracts/agent-release.ts";
import { verifyManifest } from "../../../node-agent/agent/upgrade/manifest.ts";

const SCRIPT = fileURLToPath(new URL("../../../node-agent/build/main.ts", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "berth-build-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function run(...args: string[]): Promise<{ exitCode: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, ...args], (error, stdout, stderr) =>
      resolve({ exitCode: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    );
  });
}

test("a key is made once, readable by its owner alone; a signed build trusts it, says its version, and verifies", async () => {
  const path = join(home, "release.jwk");
  expect(await run("release-key", path)).toMatchObject({ exitCode: 0 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const half = JSON.parse(readFileSync(join(home, "release.pub.jwk"), "utf8"));
  expect(half).toEqual(ReleaseKey.parse(half));
  const [again, noVersion, badVersion, noKey, built] = await Promise.all([
    run("release-key", path),
    run("build", "--sign", path),
    run("build", "--sign", path, "--version", "1.2"),
    run("build", "--sign", join(home, "release.pub.jwk"), "--version", "1.2.3"),
    run("build", "--sign", path, "--version", "1.2.3", "--out", join(home, "out")),
  ]);
  expect(again).toMatchObject({ exitCode: 1, output: expect.stringContaining("a key is never written over") });
  expect(noVersion).toMatchObject({ exitCode: 1, output: expect.stringContaining("--sign needs --version") });
  expect(badVersion.output).toContain("--version: must be a version such as 1.2.3");
  expect(noKey).toMatchObject({ exitCode: 1, output: expect.stringMatching(/--sign .*release\.pub\.jwk: d: /) });
  expect(noKey.output).not.toContain(half.x);
  expect(built).toMatchObject({ exitCode: 0 });
  const bytes = readFileSync(join(home, "out/agent.mjs"));
  const signed = readFileSync(join(home, "out/agent.manifest"), "utf8").trim();
  expect(await verifyManifest(signed, [half])).toMatchObject({
    version: "1.2.3",
    sha256: createHash("sha256").update(bytes).digest("hex"),
    bytes: bytes.length,
    protocol: AGENT_PROTOCOL,
  });
  expect(bytes.includes(half.x)).toBe(true);
  expect(readFileSync(join(home, "out/launcher.mjs"), "utf8").length).toBeLessThan(40_000);
});
