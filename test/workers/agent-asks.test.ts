// What a node gets of the control plane: its document as soon as it changes, its own instances' secrets, its own bundles.
import { compactDecrypt } from "jose";
import { beforeAll, describe, expect, it } from "vitest";
import { AGENT_PROTOCOL, type EnvironmentResponse } from "../../contracts/agent-protocol.ts";
import type { AppId, InstanceId, ProjectId, RegionName, TeamId } from "../../contracts/ids.ts";
import { ReleaseSpec } from "../../contracts/release.ts";
import { mintId } from "../../db/ids.ts";
import { bundleKey } from "../../workers/control/apps/check-source.ts";
import { seal } from "../../workers/control/secrets/seal.ts";
import { heartbeat, makeNode, type TestNode } from "./agent-node.ts";
import { controlEnv } from "./control-env.ts";

const HASH = `sha256:${"ab".repeat(32)}`;
const asked = { actor: "user:test", idempotencyKey: null };

/** An app with one secret and a bundle, released. */
async function deploy(): Promise<{ app: AppId; team: TeamId }> {
  const app = mintId<AppId>("app");
  const team = mintId<TeamId>("team");
  const facts = { app, team, project: mintId<ProjectId>("proj"), name: `a-${app.slice(-8)}`, replicas: 1 };
  const object = () => controlEnv.APP.getByName(app);
  const hostnames = [`${facts.name}.localhost`];
  await object().create({ ...asked, ...facts, hostnames, regions: ["local" as RegionName] });
  const value = await seal(controlEnv.SECRETS_KEYS, { team, scope: app, name: "TOKEN" }, "s3cret");
  await object().changeEnvironment({ ...asked, set: { TOKEN: value }, unset: [] });
  const spec = ReleaseSpec.parse({ source: { kind: "bundle", hash: HASH }, command: ["node", "server.js"] });
  const released = await object().acceptRelease({ ...asked, spec, privateImage: false });
  if (!released.ok) throw new Error(released.failure.message);
  return { app, team };
}

const poll = (node: TestNode, ackRevision: number) =>
  node.call("POST", "/agent/v1/poll", { protocol: AGENT_PROTOCOL, ackRevision }, "poll");

interface Document {
  revision: number;
  desired: { instances: { instance: InstanceId; generation: number; app: AppId }[] };
}

describe("a node with an instance to run", () => {
  let node: TestNode;
  let app: { app: AppId; team: TeamId };
  let document: Document;
  let instance: { instance: InstanceId; generation: number };

  beforeAll(async () => {
    node = await makeNode();
    expect((await node.call("POST", "/agent/v1/heartbeat", heartbeat(), "heartbeat")).status).toBe(200);
    const { revision } = (await (await poll(node, 0)).json()) as Document;
    const waiting = poll(node, revision);
    app = await deploy();
    document = (await (await waiting).json()) as Document;
    instance = document.desired.instances[0] as typeof instance;
  });

  it("is woken from its poll with the whole document", () => {
    expect(document.revision).toBeGreaterThan(0);
    expect(document.desired.instances.map((each) => each.app)).toEqual([app.app]);
  });

  it("gets the same document again at once while it has not acknowledged it", async () => {
    expect(await (await poll(node, 0)).json()).toMatchObject({ revision: document.revision });
  });

  it("gets its instance's environment, sealed to its own key", async () => {
    const path = `/agent/v1/instances/${instance.instance}/environment`;
    const body = { protocol: AGENT_PROTOCOL, generation: instance.generation };
    const answer = await node.call("POST", path, body, "ask");
    expect(answer.status).toBe(200);
    const text = await answer.text();
    expect(text).not.toContain("s3cret");
    const { environment, pullCredential } = JSON.parse(text) as EnvironmentResponse;
    const { plaintext } = await compactDecrypt(environment, node.sealKey);
    expect(JSON.parse(new TextDecoder().decode(plaintext))).toEqual({ TOKEN: "s3cret" });
    expect(pullCredential).toBeNull();
  });

  it("gets its bundle", async () => {
    await (controlEnv.BUNDLES as R2Bucket).put(bundleKey(app.team, HASH), "a gzipped tar");
    const path = `/agent/v1/bundles/${HASH}?instance=${instance.instance}`;
    const answer = await node.call("GET", path, undefined, "ask");
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe("a gzipped tar");
  });

  it("gets no other bundle for that instance", async () => {
    const path = `/agent/v1/bundles/sha256:${"00".repeat(32)}?instance=${instance.instance}`;
    expect((await node.call("GET", path, undefined, "ask")).status).toBe(404);
  });

  it("gets no environment of another generation", async () => {
    const path = `/agent/v1/instances/${instance.instance}/environment`;
    const body = { protocol: AGENT_PROTOCOL, generation: instance.generation + 1 };
    expect((await node.call("POST", path, body, "ask")).status).toBe(404);
  });

  it("shares neither with another node", async () => {
    const other = await makeNode();
    const path = `/agent/v1/instances/${instance.instance}/environment`;
    const body = { protocol: AGENT_PROTOCOL, generation: instance.generation };
    expect((await other.call("POST", path, body, "ask")).status).toBe(404);
    const bundle = `/agent/v1/bundles/${HASH}?instance=${instance.instance}`;
    expect((await other.call("GET", bundle, undefined, "ask")).status).toBe(404);
  });

  it.each(["nonsense", "ins_1", "app_01m7y7wgfnf209cgb92fnkt0bt"])("that asks for %s is a 400", async (id) => {
    const body = { protocol: AGENT_PROTOCOL, generation: 1 };
    expect((await node.call("POST", `/agent/v1/instances/${id}/environment`, body, "ask")).status).toBe(400);
  });
});

describe("a poll", () => {
  it("ends with 204 when a newer poll of the node takes its place", async () => {
    const node = await makeNode();
    const { revision } = (await (await poll(node, 0)).json()) as Document;
    const first = poll(node, revision);
    await new Promise((resolve) => setTimeout(resolve, 100));
    void poll(node, revision).catch(() => undefined);
    expect((await first).status).toBe(204);
  });
});
