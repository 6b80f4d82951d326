// The configuration that wrangler gets: the repository's own, with this platform's names in place of the local ones.
import { expect, test } from "vitest";
import { wantedOf } from "../../../cli/setup/wanted.ts";
import { workerConfig, type ConfigInput } from "../../../cli/setup/worker-config.ts";

const ZONE = { id: "zone-id", name: "example.com", accountId: "account-id", accountName: "Acme" };
const CHOICES = { domain: "apps.example.com", name: "acme", apiHost: undefined, region: undefined };
const INPUT: ConfigInput = {
  wanted: wantedOf(CHOICES, ZONE),
  namespaceId: "kv-id",
  note: { build: "b", bypass: [] },
  deployed: null,
  servesCustomDomains: true,
  hasWorkerToken: false,
};
const varsOf = (input: Partial<ConfigInput>) =>
  workerConfig("control", { ...INPUT, ...input }).vars as Record<string, string>;

test("both Workers bind this platform's own namespace, bucket and objects", () => {
  expect(workerConfig("control", INPUT)).toMatchObject({
    name: "acme-control",
    account_id: "account-id",
    workers_dev: false,
    kv_namespaces: [{ binding: "ROUTES", id: "kv-id" }],
    r2_buckets: [{ binding: "BUNDLES", bucket_name: "acme-bundles" }],
    triggers: { crons: ["* * * * *"] },
  });
  const edge = workerConfig("edge", INPUT) as { durable_objects: { bindings: { script_name?: string }[] } };
  expect(edge.durable_objects.bindings.map((one) => one.script_name)).toEqual(["acme-control", "acme-control"]);
});

test("nothing of the local stack stays in the variables", () => {
  expect(JSON.stringify(varsOf({}))).not.toMatch(/localhost|"local"/);
  expect(varsOf({})).toMatchObject({ BASE_DOMAIN: "apps.example.com", EDGE_ORIGIN: "https://apps.example.com" });
});

test("names of nodes are made only where the control plane has a token for it", () => {
  expect(varsOf({})).not.toHaveProperty("NODES_ZONE");
  expect(varsOf({ hasWorkerToken: true })).toMatchObject({
    NODES_ZONE: "nodes.example.com",
    CLOUDFLARE_ZONE_ID: "zone-id",
  });
});

test("a region that was chosen once stays, unless another one is named", () => {
  const deployed = { vars: { DEFAULT_REGION: "eu" }, secrets: [], hasSchedule: true };
  expect(varsOf({}).DEFAULT_REGION).toBe("main");
  expect(varsOf({ deployed }).DEFAULT_REGION).toBe("eu");
  const wanted = wantedOf({ ...CHOICES, region: "us" }, ZONE);
  expect(varsOf({ deployed, wanted }).DEFAULT_REGION).toBe("us");
});
