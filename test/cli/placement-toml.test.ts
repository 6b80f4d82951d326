// [placement] and [run] in berth.toml: what a person writes is what the API takes.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readBerthToml } from "../../cli/berth-toml.ts";
import { releaseSpecOf } from "../../cli/release-input.ts";

let cwd = "";
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "berth-toml-"));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const IMAGE = { kind: "image", reference: "shop/web:1" } as const;
function specFrom(text: string) {
  writeFileSync(join(cwd, "berth.toml"), `app = "web"\n${text}`);
  return releaseSpecOf(readBerthToml(cwd), IMAGE, null);
}
const placementFrom = (text: string) => specFrom(text).placement;
const DEFAULTS = {
  strategy: "pack",
  failureDomains: "preferred",
  nodes: "preferred",
  labels: {},
  awayFrom: [],
  hostPorts: [],
};

describe("[placement] of berth.toml", () => {
  it("becomes the release's policy, every key of it", () => {
    const text = `[placement]
strategy = "spread"
failure_domains = "required"
nodes = "required"
labels = { disk = "nvme", "example.com/gpu" = "a100" }
away_from = ["db"]
host_ports = [443]
singleton = "strict"
`;
    expect(placementFrom(text)).toEqual({
      strategy: "spread",
      failureDomains: "required",
      nodes: "required",
      labels: { disk: "nvme", "example.com/gpu": "a100" },
      awayFrom: ["db"],
      hostPorts: [443],
      singleton: "strict",
    });
  });

  it("may be left out, in part or whole", () => {
    expect(placementFrom("")).toEqual(DEFAULTS);
    expect(placementFrom(`[placement]\nlabels = { disk = "nvme" }\n`)).toEqual({
      ...DEFAULTS,
      labels: { disk: "nvme" },
    });
  });

  it.each([
    ["a strategy that does not exist", `strategy = "tetris"`, "placement.strategy"],
    ["a port that is none", "host_ports = [70000]", "placement.host_ports.0"],
    ["an app's name that is none", `away_from = ["Not A Name"]`, "placement.away_from.0"],
    ["a mistyped key, with the one that was meant", "host_port = [80]", "did you mean host_ports?"],
  ])("is refused by key for %s", (_name, line, told) => {
    expect(() => placementFrom(`[placement]\n${line}\n`)).toThrow(told);
  });
});

describe("[run] of berth.toml", () => {
  it("names the class of runtime, or leaves it to the node", () => {
    expect(specFrom(`[run]\nruntime_class = "runsc"\n`).runtimeClass).toBe("runsc");
    expect(specFrom("").runtimeClass).toBeUndefined();
  });

  it("is refused by key for a class that does not exist, and for a mistyped key", () => {
    expect(() => specFrom(`[run]\nruntime_class = "gvisor"\n`)).toThrow("run.runtime_class");
    expect(() => specFrom(`[run]\nruntime = "kata"\n`)).toThrow("runtime");
  });
});
