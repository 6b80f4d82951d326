// What a bare server gets with curl: the script with this control plane's facts in it, and the published bytes, and nothing else.
import { beforeAll, describe, expect, it } from "vitest";
import { Installation } from "../../contracts/installation.ts";
import { filledScript, storeInstallation } from "../../workers/control/install/store.ts";
import { agentBytesKey } from "../../workers/control/releases/store.ts";
import { controlEnv, request } from "./control-env.ts";

const SCRIPT = "CONTROL='@CONTROL@'\nAGENT='@AGENT_SHA256@'\nNODE='@NODE_VERSION@'\necho '@UNKNOWN@'\n";

async function uploaded(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  await (controlEnv.BUNDLES as R2Bucket).put(agentBytesKey(sha256), bytes, { sha256 });
  return sha256;
}

let wanted: Installation;
beforeAll(async () => {
  const [agent, launcher, script] = await Promise.all(["agent", "launcher", SCRIPT].map(uploaded));
  const node = { version: "24.1.0", x64: "a".repeat(64), arm64: "b".repeat(64), url: "https://nodejs.org/dist" };
  wanted = Installation.parse({ version: "1.2.3", agent, launcher, script, node });
});

describe("before anything is published", () => {
  it("says which command publishes it", async () => {
    const answer = await request("/install");
    expect(answer.status).toBe(404);
    expect(await answer.text()).toContain("berth nodes installer");
  });
});

describe("what is published", () => {
  it("is refused while bytes that it names are missing", async () => {
    const missing = "c".repeat(64);
    await expect(storeInstallation(controlEnv, { ...wanted, launcher: missing })).rejects.toMatchObject({
      failure: { errors: [{ pointer: "/launcher", rule: "exists" }] },
    });
  });

  it("is the script with the facts filled in, for nobody to keep", async () => {
    await storeInstallation(controlEnv, wanted);
    const answer = await request("/install");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(await answer.text()).toBe(
      `CONTROL='https://control.test'\nAGENT='${wanted.agent}'\nNODE='24.1.0'\necho '@UNKNOWN@'\n`,
    );
  });

  it("is never a host name that could end the quotes it stands in", async () => {
    await storeInstallation(controlEnv, wanted);
    await expect(filledScript(controlEnv, "https://x';reboot;'.test")).rejects.toThrow(/cannot stand in/);
  });

  it("is served under its hash, and no other name is", async () => {
    await storeInstallation(controlEnv, wanted);
    const answer = await request(`/install/agent-${wanted.agent}.mjs`);
    expect(answer.headers.get("cache-control")).toContain("immutable");
    expect(await answer.text()).toBe("agent");
    for (const name of [`agent-${wanted.script}.mjs`, "installation.json", "..%2finstallation.json"]) {
      expect((await request(`/install/${name}`)).status, name).toBe(404);
    }
  });

  it.each(["https://x.test/'$(reboot)'", "ftp://x.test/dist", "https://x.test/dist/", "https://x.test/a b"])(
    "does not take Node from %j",
    (url) => {
      expect(Installation.safeParse({ ...wanted, node: { ...wanted.node, url } }).success).toBe(false);
    },
  );
});

describe("publishing", () => {
  it("is for operators", async () => {
    const answer = await request("/v1/installation", { method: "PUT", body: JSON.stringify(wanted) });
    expect(answer.status).toBe(401);
  });
});
