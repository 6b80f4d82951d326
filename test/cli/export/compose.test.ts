// An app as a compose file: the same image, command, limits and replicas, and no value of its environment.
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { App } from "../../../contracts/api.ts";
import { type Release, ReleaseSpec } from "../../../contracts/release.ts";
import { composeOf } from "../../../cli/export/compose.ts";

const app = {
  name: "shop",
  url: "https://shop.apps.example",
  hostnames: ["shop.example"],
  replicas: 3,
} as unknown as App;
const release = (spec: Record<string, unknown>, digest: string | null = null) =>
  ({ id: "rel_1", version: 7, spec: ReleaseSpec.parse(spec), envNames: ["TOKEN", "A"], digest }) as unknown as Release;
const IMAGE = { kind: "image", reference: "registry.example/shop:7" };

describe("an app as a compose file", () => {
  it("pins the image that ran, and keeps command, limits and replicas", () => {
    const spec = {
      source: IMAGE,
      command: ["serve", "--port=8080"],
      resources: { cpuMilli: 250, memoryBytes: 268_435_456 },
    };
    const { compose, image } = composeOf(app, release(spec, `sha256:${"a".repeat(64)}`));
    expect(image).toBe(`registry.example/shop:7@sha256:${"a".repeat(64)}`);
    expect(parse(compose).services.shop).toMatchObject({
      ...{ image, entrypoint: ["serve", "--port=8080"], command: [], env_file: "shop.env" },
      ...{ environment: { PORT: "8080", BERTH_APP: "shop", BERTH_VERSION: "7" }, cpus: 0.25, mem_limit: 268_435_456 },
      ...{ ports: ["127.0.0.1::8080"], deploy: { replicas: 3 } },
    });
    expect(compose).toContain("# hostnames: shop.apps.example, shop.example");
    expect(compose).toContain("# first: fill in shop.env");
  });

  it("is taken word for word: a compose file would put variables in place of what follows a $", () => {
    const { compose } = composeOf(app, release({ source: IMAGE, command: ["sh", "-c", "echo $HOME $$"] }));
    expect(parse(compose).services.shop.entrypoint).toEqual(["sh", "-c", "echo $$HOME $$$$"]);
  });

  it("may not write to its root where it may not on a node, but to /tmp", () => {
    const service = (readOnlyRoot: boolean) =>
      parse(composeOf(app, release({ source: IMAGE, readOnlyRoot })).compose).services.shop;
    expect(service(true)).toMatchObject({ read_only: true, tmpfs: [expect.stringContaining("/tmp:")] });
    expect(service(false)).not.toHaveProperty("read_only");
  });

  it("runs a singleton once, and gives it its host's ports", () => {
    const { compose } = composeOf(
      app,
      release({ source: IMAGE, placement: { singleton: "strict", hostPorts: [5432] } }),
    );
    expect(parse(compose).services.shop).toMatchObject({
      ports: ["127.0.0.1::8080", "5432:5432"],
      deploy: { replicas: 1 },
    });
  });

  it("of a folder has its image made of the bundle that was deployed", () => {
    const hash = `sha256:${"b".repeat(64)}`;
    const { compose, image, build } = composeOf(
      app,
      release({ source: { kind: "bundle", hash }, command: ["node", "a.mjs"] }),
    );
    expect(image).toBeNull();
    expect(parse(compose).services.shop).toMatchObject({
      ...{ build: { context: ".", dockerfile: "shop.Dockerfile" }, image: "shop:v7", entrypoint: ["node", "a.mjs"] },
    });
    expect(build).toMatchObject({ hash, archive: "shop.tar.gz" });
    expect(build?.dockerfile).toContain("ADD shop.tar.gz /app/\n");
  });

  it("names the environment, and tells no value", () => {
    expect(composeOf(app, release({ source: IMAGE })).environment).toBe("A=\nTOKEN=\n");
  });
});
