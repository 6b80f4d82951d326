// What an export leaves in its folder: whole bundles, images, and a word for apps of which there is nothing to run.
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createApi } from "../../../cli/client.ts";
import { writeTeam } from "../../../cli/export/write-team.ts";
import type { App } from "../../../contracts/api.ts";
import { ReleaseSpec } from "../../../contracts/release.ts";

const BUNDLE = Buffer.from("a gzipped tar");
const HASH = `sha256:${createHash("sha256").update(BUNDLE).digest("hex")}`;
let dir: string;
let server: Server;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "berth-export-"));
  server = createServer((request, response) => {
    response.end(request.url === `/v1/apps/shop/bundles/${HASH}` ? BUNDLE : "something else");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true, force: true });
});

const appOf = (name: string, source: object | null): App => {
  const spec = source === null ? null : ReleaseSpec.parse({ source, command: ["node", "a.mjs"] });
  const release = { id: "rel_1", version: 2, spec, envNames: [], digest: null };
  const currentRelease = spec === null ? null : release;
  return { name, url: `https://${name}.apps.example`, hostnames: [], replicas: 1, currentRelease } as unknown as App;
};
const write = (folder: string, ...apps: App[]) => {
  const { port } = server.address() as AddressInfo;
  return writeTeam(createApi({ apiUrl: `http://127.0.0.1:${port}`, token: "t" }), apps, join(dir, folder));
};

it("an export has all that runs, with the bundles it was deployed as, and names what does not run", async () => {
  const image = appOf("box", { kind: "image", reference: "registry.example/box:7" });
  const written = await write("whole", appOf("shop", { kind: "bundle", hash: HASH }), image, appOf("idle", null));
  expect(written).toEqual({
    files: ["shop.compose.yaml", "shop.Dockerfile", "shop.tar.gz", "box.compose.yaml", "images.txt"],
    idle: ["idle"],
  });
  expect(readFileSync(join(dir, "whole", "shop.tar.gz"))).toEqual(BUNDLE);
  expect(readFileSync(join(dir, "whole", "images.txt"), "utf8")).toBe("registry.example/box:7\n");
});

it("an export takes no bundle that is not what was deployed", async () => {
  const other = appOf("other", { kind: "bundle", hash: HASH });
  await expect(write("other", other)).rejects.toThrow("other bytes than its hash says");
});
