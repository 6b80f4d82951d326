// What the agent sees of an Engine's images: placement and the clean-up of a full disk go by it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { typeid } from "typeid-js";
import { afterEach, expect, test } from "vitest";
import { DiskGate } from "../../../node-agent/agent/disk/disk-gate.ts";
import { ImageLedger } from "../../../node-agent/agent/runtime/docker/image-ledger.ts";
import { RegistryDoor } from "../../../node-agent/agent/outbound/registry-door.ts";
import { Images } from "../../../node-agent/agent/runtime/docker/images.ts";
import { docker, makeBoxImage } from "./world.ts";

const left: string[] = [];
afterEach(async () => {
  for (const name of left.splice(0)) await docker.getImage(name).remove();
});

test("an image that lost its tag is listed by its id, and hides none of the others", async () => {
  const tag = `berth-test/${typeid("img").toString()}:1`;
  await makeBoxImage(tag, "the first\n");
  const { Id: first } = await docker.getImage(tag).inspect();
  await makeBoxImage(tag, "the second\n");
  const { Id: second } = await docker.getImage(tag).inspect();
  left.push(first, tag);

  const dir = await mkdtemp(join(tmpdir(), "berth-images-"));
  const parts = { gate: new DiskGate(), ledger: new ImageLedger(dir), door: new RegistryDoor({ exceptions: [] }) };
  const ports = { platform: "linux/amd64", stallMs: 1_000, ...parts };
  const images = await new Images(docker, ports).list();
  await rm(dir, { recursive: true });

  expect(images.find(({ digests }) => digests.includes(first))?.names).toEqual([first]);
  expect(images.find(({ digests }) => digests.includes(second))?.names).toEqual([tag, second]);
});
