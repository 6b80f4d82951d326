// A disk that fills: release after release on a small one, rollback without a registry, pressure, and what is cleaned up.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type OwnEngine, startOwnEngine } from "./own-engine.ts";
import { mountSmallDisk, type SmallDisk } from "./small-disk.ts";
import {
  agentFile,
  desired,
  docker,
  freePort,
  makeBoxImage,
  makeBundle,
  makeWorld,
  SERVER_JS,
  until,
  untilStatus,
  type World,
} from "./world.ts";

const MIB = 1024 * 1024;
const TUNING = { heartbeatMs: 300, diskLookMs: 300, diskRetryMs: 1_000, imageUnusedMinMs: 500 };
let disk: SmallDisk;
let world: World;
const told = (kind: string) => world.peer.notices().filter((notice) => notice.kind === kind);

describe("images, on an Engine whose disk is small", () => {
  const RELEASES = 24;
  let engine: OwnEngine;
  let registry: ChildProcess;
  let registryDir: string;
  let host: string;

  beforeAll(async () => {
    disk = await mountSmallDisk(128);
    registryDir = mkdtempSync(join(tmpdir(), "berth-registry-"));
    host = `127.0.0.1:${await freePort()}`;
    const config = join(registryDir, "config.yml");
    const storage = `storage: {filesystem: {rootdirectory: ${registryDir}/data}}`;
    writeFileSync(config, `version: 0.1\nlog: {level: error}\n${storage}\nhttp: {addr: "${host}"}\n`);
    registry = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
    await until("the registry", () =>
      fetch(`http://${host}/v2/`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    engine = await startOwnEngine({ dataRoot: join(disk.folder, "docker") });
    world = await makeWorld("docker", TUNING, true, engine.environment);
  }, 120_000);
  afterEach(() => expect(world.peer.faults).toEqual([]));
  afterAll(async () => {
    await world.close();
    await engine.close();
    registry.kill("SIGKILL");
    rmSync(registryDir, { recursive: true, force: true });
    await disk.close();
  });

  /** Pushed from the other Engine, so that this one has only what its agent pulled. */
  async function push(version: number): Promise<string> {
    const reference = `${host}/app:${version}`;
    await makeBoxImage(
      reference,
      randomBytes(4 * MIB)
        .toString("hex")
        .slice(0, 4 * MIB),
    );
    const pushed = await docker.getImage(reference).push({ authconfig: { username: "", password: "" } });
    await new Promise((resolve) => docker.modem.followProgress(pushed, resolve));
    await docker.getImage(reference).remove({ force: true });
    return reference;
  }

  test("release after release keeps the disk under 80 %, and the rollback release needs no registry", async () => {
    const { peer } = world;
    let before: { reference: string; digest: string } | null = null;
    let fullest = 0;
    let pushed = push(1);
    for (let version = 1; version <= RELEASES; version += 1) {
      const reference = await pushed;
      // The next one is made on the other Engine while this one comes into service.
      if (version < RELEASES) pushed = push(version + 1);
      const source = { kind: "image", reference, digest: null };
      const wanted = desired({ source, stopGraceMs: 0, ...(before === null ? {} : { keepImages: [before.digest] }) });
      peer.publish([wanted]);
      const { digest } = await untilStatus(world, wanted.instance, "ready");
      fullest = Math.max(fullest, disk.percent());
      if (version < RELEASES) before = { reference, digest: digest! };
      if (version === RELEASES)
        await until("the running one is told to be here", () => peer.beats.at(-1)!.request.images.includes(digest!));
    }
    expect(fullest).toBeLessThan(80);
    expect(told("images_removed").length).toBeGreaterThan(0);
    expect(peer.conditions()).toEqual([]);
    expect((await engine.docker.listImages()).length).toBeLessThan(RELEASES);
    registry.kill("SIGKILL");
    const back = desired({ source: { kind: "image", ...before! }, stopGraceMs: 0 });
    peer.publish([back]);
    await untilStatus(world, back.instance, "ready");
  }, 400_000);

  test("above 85 % nothing is pulled and what runs runs on; below it the start that waited succeeds", async () => {
    const { peer } = world;
    const [runs] = peer.document.instances;
    // One that others brought here is not ours to remove, and nothing else is left that could go.
    await makeBoxImage("others/image:1", "not ours", engine.docker);
    // Whatever is unused goes first, so it is filled again until nothing is left that could.
    let fillers = 0;
    await until("the condition", async () => {
      if (disk.percent() < 88) await disk.fill(`filler-${(fillers += 1)}`, (128 * MIB * (92 - disk.percent())) / 100);
      return peer.conditions().includes("disk_pressure");
    });
    const message = peer.beats.at(-1)!.request.conditions[0]!.message;
    expect(message).toMatch(/is [89]\d % full/);
    const waits = desired({ source: { kind: "image", reference: `${host}/unseen:1`, digest: null }, stopGraceMs: 0 });
    const local = desired({ source: { kind: "image", reference: "others/image:1", digest: null }, stopGraceMs: 0 });
    peer.publish([runs!, waits, local]);
    const { status } = await untilStatus(world, waits.instance, "backoff");
    expect(status).toMatchObject({ failure: { code: "disk_pressure", message: expect.stringContaining("% full") } });
    // What is here already needs no pull.
    await untilStatus(world, local.instance, "ready");
    expect(peer.observed(runs!.instance)).toMatchObject({ restarts: 0, status: { kind: "ready" } });
    for (let filler = 1; filler <= fillers; filler += 1) rmSync(join(disk.folder, `filler-${filler}`));
    await until("the condition ends", () => peer.conditions().length === 0);
    // The pull is tried again, and fails of what it would have failed of: the registry is gone.
    await until("another reason", () =>
      JSON.stringify(peer.observed(waits.instance)?.status).includes("image_pull_failed"),
    );
  });
});

describe("bundles and logs, in an agent's folder whose disk is small", () => {
  beforeAll(async () => {
    await agentFile();
    disk = await mountSmallDisk(96);
    process.env.TMPDIR = disk.folder;
    world = await makeWorld("process", TUNING);
    delete process.env.TMPDIR;
  });
  afterEach(() => expect(world.peer.faults).toEqual([]));
  afterAll(async () => {
    await world.close();
    await disk.close();
  });

  test("unused bundles and the logs of instances that are gone make room, the protected one stays", async () => {
    const { peer } = world;
    const make = async () => {
      const bundle = await makeBundle({ "index.js": SERVER_JS, blob: randomBytes(3 * MIB).toString("hex") });
      peer.bundles.set(bundle.hash, bundle.bytes);
      return bundle.hash;
    };
    const left = join(world.dir, "logs", desired().instance);
    mkdirSync(left, { recursive: true });
    writeFileSync(join(left, "current.ndjson"), "x".repeat(2 * MIB));
    const first = await make();
    let fullest = 0;
    for (let version = 1; version <= 8; version += 1) {
      const hash = version === 1 ? first : await make();
      const wanted = desired({ source: { kind: "bundle", hash }, stopGraceMs: 0, keepImages: [first] });
      peer.publish([wanted]);
      await untilStatus(world, wanted.instance, "ready");
      // Its end takes its folder along.
      await until("one folder is left", () => readdirSync(join(world.dir, "instances")).length === 1);
      await new Promise((resolve) => setTimeout(resolve, 600));
      fullest = Math.max(fullest, disk.percent());
    }
    expect(fullest).toBeLessThan(85);
    await until("it is told", () => told("images_removed").length > 0 && told("logs_removed").length > 0);
    expect(existsSync(left)).toBe(false);
    const kept = readdirSync(join(world.dir, "bundles"));
    expect(kept).toContain(first.slice(7));
    expect(kept.length).toBeLessThan(8);
    const running = peer.document.instances[0]!.instance;
    expect(readFileSync(join(world.dir, "logs", running, "current.ndjson"), "utf8")).toContain("listening");
  }, 120_000);
});
