// What can be wrong when a platform is set up on one's own machine: each says what, where and what to do, and makes nothing.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { BIN } from "../cli/run-berth.ts";
import { createSetupWorld, type SetupWorld } from "./setup-world.ts";

const NOBODY = 65_534;

let world: SetupWorld;
beforeAll(async () => {
  world = await createSetupWorld();
});
afterEach(() => expect(existsSync(world.folder)).toBe(false));
afterAll(async () => await world?.end());

test("Postgres that does not answer is named with the reason", async () => {
  const url = "postgres://owner:secret@127.0.0.1:1/berth";
  const failed = await world.setup([], { BERTH_ADMIN_URL: url });
  expect(failed.exitCode).toBe(5);
  expect(failed.stderr).toMatch(/Postgres at 127\.0\.0\.1 cannot be used: .*ECONNREFUSED 127\.0\.0\.1:1/);
  expect(failed.stderr).toContain("Check BERTH_ADMIN_URL");
  expect(failed.stderr).not.toContain("secret");
});

test("a store whose key lacks a right is told by that right's name", { timeout: 180_000 }, async () => {
  const { refused } = world.store;
  refused.add("DELETE");
  const lacking = await world.setup();
  expect(lacking.exitCode).toBe(1);
  expect(lacking.stderr).toContain("lacks s3:DeleteObject in the bucket berth-bundles (403)");
  expect(lacking.stderr).toContain("s3:ListBucket");
  refused.clear();
});

test("a store that refuses the key, or does not answer, is told with what to check", async () => {
  const { refused } = world.store;
  refused.add("HEAD");
  expect((await world.setup()).stderr).toContain("The S3 store refuses these keys for the bucket berth-bundles (403)");
  refused.clear();
  const nobody = `http://127.0.0.1:${world.port}`;
  const away = await world.setup(["--s3-endpoint", nobody]);
  expect(away.stderr).toContain(`The S3 store at ${nobody} does not answer: `);
  expect(away.stderr).toContain("ECONNREFUSED");
  expect(away.exitCode).toBe(5);
});

test("a port that another program has is named, with what it was to be for", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(world.port + 1, "127.0.0.1", resolve));
  try {
    const failed = await world.setup();
    expect(failed.exitCode).toBe(1);
    expect(failed.stderr).toContain(`Port ${world.port + 1} of 127.0.0.1, for visitors, is taken by another program`);
    expect(failed.stderr).toContain("Give --port");
  } finally {
    other.close();
  }
});

test("a user who may not write there, or not read the keys, is told whose the folder is", async () => {
  const shut = join(world.home, "shut");
  mkdirSync(shut, { mode: 0o555 });
  expect(await setupAsAnother(join(shut, "platform"))).toMatch(/may not write in \S+shut, which belongs to user \d+/);
  const others = join(world.home, "others");
  mkdirSync(others);
  chmodSync(others, 0o777);
  writeFileSync(join(others, "secrets.env"), "SETUP_TOKEN='x'\n", { mode: 0o000 });
  expect(await setupAsAnother(others)).toMatch(/may not read \S+secrets\.env, which belongs to user \d+/);
  expect(readdirSync(others)).toEqual(["secrets.env"]);
});

test("a folder that the platform's own users could not reach is refused", async () => {
  const closed = join(world.home, "closed");
  mkdirSync(closed, { mode: 0o700 });
  const failed = await world.setup(["--self-hosted", join(closed, "platform")]);
  expect(failed.stderr).toContain(`${closed} lets no other users in`);
  expect(failed.stderr).toContain("/opt/berth");
});

/** As nobody where the tests run as root: to root no folder is shut. */
async function setupAsAnother(folder: string): Promise<string> {
  const who = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  const env = { ...process.env, ...world.environment, XDG_CONFIG_HOME: world.home, NO_COLOR: "1" };
  const args = world.argsOf(["--self-hosted", folder]);
  const child = spawn(process.execPath, [BIN, ...args], { cwd: "/", env, ...who, stdio: ["ignore", "ignore", "pipe"] });
  const [stderr] = await Promise.all([text(child.stderr), once(child, "exit")]);
  return stderr;
}
