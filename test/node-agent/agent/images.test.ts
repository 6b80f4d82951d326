// Images and bundles on a real Engine: pinned, pulled from a real registry, refused with the reason.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { BUNDLE_IMAGE } from "../../../node-agent/agent/runtime/docker/bundle-image.ts";
import {
  desired,
  docker,
  ensureBoxImage,
  freePort,
  makeBoxImage,
  makeBundle,
  makeWorld,
  networkAnswer,
  SERVER_JS,
  until,
  untilStatus,
  type World,
} from "./world.ts";

let world: World;
let registry: ChildProcess;
let registryHost: string;
let registryDir: string;

beforeAll(async () => {
  await ensureBoxImage();
  registryDir = mkdtempSync(join(tmpdir(), "berth-registry-"));
  registryHost = `127.0.0.1:${await freePort()}`;
  const config = join(registryDir, "config.yml");
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${registryDir}/data}}\nhttp: {addr: "${registryHost}"}\n`,
  );
  registry = spawn("docker-registry", ["serve", config], { stdio: "ignore" });
  await until("the registry", () =>
    fetch(`http://${registryHost}/v2/`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  world = await makeWorld("docker", { heartbeatMs: 300, heartbeatJitterMs: 0 });
});
afterEach(() => expect(world.peer.faults).toEqual([]));
afterAll(async () => {
  await world.close();
  for (const { Id, RepoTags } of await docker.listImages()) {
    const made = RepoTags?.some((tag) => tag.endsWith(`:${process.pid}`) || tag.startsWith(registryHost));
    if (made) await docker.getImage(Id).remove({ force: true });
  }
  registry.kill("SIGKILL");
  await rm(registryDir, { recursive: true, force: true });
});

const image = (reference: string, digest: string | null = null) =>
  desired({ source: { kind: "image", reference, digest } });

async function push(tag: string, page: string): Promise<string> {
  const name = `${registryHost}/box`;
  await makeBoxImage(`${name}:${tag}`, page);
  const stream = await docker.getImage(`${name}:${tag}`).push({ authconfig: { username: "", password: "" } });
  let digest = "";
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(
      stream,
      (error: Error | null) => (error === null ? resolve() : reject(error)),
      (event: { aux?: { Digest?: string } }) => (digest = event.aux?.Digest ?? digest),
    );
  });
  await docker.getImage(`${name}:${tag}`).remove({ force: true });
  return digest;
}

/** An image whose configuration names another CPU, in the Engine's archive format. */
async function loadForeignImage(tag: string): Promise<void> {
  const layerTar = pack();
  layerTar.entry({ name: "file" }, "x");
  layerTar.finalize();
  const layer = await buffer(layerTar);
  const config = JSON.stringify({
    architecture: process.arch === "arm64" ? "amd64" : "arm64",
    os: "linux",
    config: { Cmd: ["/file"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${createHash("sha256").update(layer).digest("hex")}`] },
  });
  const archive = pack();
  archive.entry({ name: "layer.tar" }, layer);
  archive.entry({ name: "config.json" }, config);
  archive.entry(
    { name: "manifest.json" },
    JSON.stringify([{ Config: "config.json", RepoTags: [tag], Layers: ["layer.tar"] }]),
  );
  archive.finalize();
  const answer = await docker.loadImage(Readable.from([await buffer(archive)]));
  await new Promise((resolve) => docker.modem.followProgress(answer, resolve));
}

async function answers(instance: string): Promise<string> {
  const found = await docker.listContainers({ filters: { label: [`berth.instance=${instance}`] } });
  const networks = Object.values(found[0]!.NetworkSettings.Networks);
  return networkAnswer(networks[0]!.IPAddress, 8080, "/");
}

test("a local image is pinned by its id, and a release pinned to it outlives a tag that moves", async () => {
  const { peer } = world;
  const tag = `berth-test/moving:${process.pid}`;
  await makeBoxImage(tag, "one");
  const first = image(tag);
  peer.publish([first]);
  const digest = (await untilStatus(world, first.instance, "ready")).digest!;
  expect(digest).toBe((await docker.getImage(tag).inspect()).Id);
  await makeBoxImage(tag, "two");
  const second = image(tag, digest);
  const moved = image(tag);
  peer.publish([second, moved]);
  await untilStatus(world, second.instance, "ready");
  await untilStatus(world, moved.instance, "ready");
  expect(await answers(second.instance)).toBe("one");
  expect(await answers(moved.instance)).toBe("two");
  expect(peer.observed(second.instance)?.digest).toBe(digest);
});

test("a tag is resolved at its registry, pulled by digest with its progress, and followed when it moves", async () => {
  const { peer } = world;
  const digest = await push("v1", `one ${"x".repeat(3_000_000)}`);
  const first = image(`${registryHost}/box:v1`);
  peer.publish([first]);
  expect((await untilStatus(world, first.instance, "ready")).digest).toBe(digest);
  expect(peer.history(first.instance)).toContain("pulling");
  const pulling = peer.beats.flatMap(({ request }) =>
    request.observed.flatMap(({ status }) => (status.kind === "pulling" ? [status] : [])),
  );
  expect(pulling.at(-1)!.totalBytes).toBeGreaterThan(0);
  const later = await push("v1", "two");
  const [pinned, moved] = [image(`${registryHost}/box:v1`, digest), image(`${registryHost}/box:v1`)];
  peer.publish([pinned, moved]);
  expect((await untilStatus(world, pinned.instance, "ready")).digest).toBe(digest);
  expect((await untilStatus(world, moved.instance, "ready")).digest).toBe(later);
  expect(await answers(moved.instance)).toBe("two");
});

test("what a registry does not have is image_not_found at once; a registry out of reach is tried again", async () => {
  const { peer } = world;
  const missing = image(`${registryHost}/nothing:v9`);
  const pinned = image(`${registryHost}/box:v1`, `sha256:${"1".repeat(64)}`);
  const away = image(`127.0.0.1:${await freePort()}/box:v1`);
  peer.publish([missing, pinned, away]);
  for (const { instance } of [missing, pinned]) {
    const { status } = await untilStatus(world, instance, "failed");
    expect(status).toMatchObject({ failure: { code: "image_not_found" } });
  }
  const { status } = await untilStatus(world, away.instance, "backoff");
  expect(status).toMatchObject({
    failure: { code: "image_pull_failed", message: expect.stringContaining("connection refused") },
  });
  await until("another try", () => (peer.observed(away.instance)?.restarts ?? 0) >= 2);
});

test("an image for another CPU is refused by name", async () => {
  const tag = `berth-test/foreign:${process.pid}`;
  await loadForeignImage(tag);
  const wanted = image(tag);
  world.peer.publish([wanted]);
  const { status } = await untilStatus(world, wanted.instance, "failed");
  expect(status).toMatchObject({
    failure: { code: "image_wrong_platform", message: expect.stringMatching(/is for linux\/a.*this node is linux\/a/) },
  });
  await docker.getImage(tag).remove({ force: true });
});

test("a bundle runs in a container on the agent's own Node, hardened as any other", async () => {
  const { peer } = world;
  const bundle = await makeBundle({
    "package.json": '{"main":"lib/start.js"}',
    "lib/start.js": SERVER_JS,
    "lib/deep/data.txt": "data",
  });
  peer.bundles.set(bundle.hash, bundle.bytes);
  const wanted = desired({
    source: { kind: "bundle", hash: bundle.hash },
    resources: { cpuMilli: 1_000, memoryBytes: 128 * 1024 * 1024, diskBytes: 1024 * 1024, pids: 64 },
  });
  peer.publish([wanted]);
  expect((await untilStatus(world, wanted.instance, "ready", 60_000)).digest).toBe(bundle.hash);
  expect(await answers(wanted.instance)).toBe("hello from a bundle 1");
  const [container] = await docker.listContainers({ filters: { label: [`berth.instance=${wanted.instance}`] } });
  const info = await docker.getContainer(container!.Id).inspect();
  expect(info.Config).toMatchObject({ Image: BUNDLE_IMAGE, WorkingDir: "/app" });
  expect(info.HostConfig.CapDrop).toEqual(["ALL"]);
});

test("a bundle whose root is read-only has its files where it cannot write, and nothing of that is left after it", async () => {
  const { peer } = world;
  const writes = `const { existsSync, writeFileSync } = require("node:fs");
    for (const path of ["/app/new", "/new", "/tmp/new"])
      try { writeFileSync(path, "x"); } catch {}
    console.log("wrote", ["/app/new", "/new", "/tmp/new"].filter((path) => existsSync(path)).join());`;
  const bundle = await makeBundle({ "index.js": `${writes}\n${SERVER_JS}` });
  peer.bundles.set(bundle.hash, bundle.bytes);
  const wanted = desired({
    source: { kind: "bundle", hash: bundle.hash },
    readOnlyRoot: true,
    resources: { cpuMilli: 1_000, memoryBytes: 128 * 1024 * 1024, diskBytes: 1024 * 1024, pids: 64 },
  });
  peer.publish([wanted]);
  await untilStatus(world, wanted.instance, "ready", 60_000);
  expect(await answers(wanted.instance)).toBe("hello from a bundle 1");
  const label = [`berth.node=${peer.node}`];
  const all = await docker.listContainers({ all: true, filters: { label } });
  const [ours, ...others] = all.filter(
    ({ Labels }) => (Labels["berth.instance"] ?? wanted.instance) === wanted.instance,
  );
  expect(others).toEqual([]);
  const output = await docker.getContainer(ours!.Id).logs({ stdout: true, stderr: true });
  expect(output.toString("utf8")).toContain("wrote /tmp/new\n");
  const { Mounts } = await docker.getContainer(ours!.Id).inspect();
  const names = Mounts.flatMap(({ Type, Name }) => (Type === "volume" && Name !== undefined ? [Name] : []));
  const left = async () => (await docker.listVolumes()).Volumes.filter(({ Name }) => names.includes(Name)).length;
  expect([names.length, await left()]).toEqual([1, 1]);
  peer.publish([]);
  await untilStatus(world, wanted.instance, "stopped");
  await until("the volume is gone", async () => (await left()) === 0);
});
