// The ingress as the agent keeps it: started where it is wanted, alive beyond the agent, replaced when it dies, and gone with a purge.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCommand } from "../../../node-agent/agent/options.ts";
import { ProcessId } from "../../../node-agent/agent/state/process-id.ts";
import { freePort, makeWorld, runAgentCommand, until, type World } from "../agent/world.ts";

let world: World;
let ports: [number, number];

const ingressArgs = () => ["--ingress", ports.join(","), "--ingress-host", "127.0.0.1"];
const pid = (): number => ProcessId.parse(JSON.parse(readFileSync(join(world.dir, "ingress.pid"), "utf8"))).pid;
const answers = (): Promise<boolean> =>
  fetch(`http://127.0.0.1:${ports[1]}/.berth/ingress`).then(
    ({ status }) => status === 200,
    () => false,
  );

beforeAll(async () => {
  ports = [await freePort(), await freePort()];
  world = await makeWorld("process", { heartbeatMs: 200, gatewayWatchMs: 50 }, false);
  await world.startAgent({ args: ingressArgs() });
});
afterAll(() => world.close());

describe("a node that is to be an ingress", () => {
  it("has one, which outlives its agent, is found by the next, and is started again when it dies", async () => {
    await until("the ingress", answers);
    const first = pid();
    await world.killAgent("SIGKILL");
    expect(await answers()).toBe(true);
    await world.startAgent({ args: ingressArgs() });
    await until("the agent", () => world.peer.beats.length > 3);
    expect(pid()).toBe(first);
    process.kill(first, "SIGKILL");
    await until("another ingress", async () => pid() !== first && (await answers()));
  });

  it("ends it with everything else of the node", async () => {
    await world.killAgent("SIGTERM");
    expect(await answers()).toBe(true);
    await runAgentCommand("purge", world.dir);
    expect(await answers()).toBe(false);
  });

  it.each(["443", "443,443", "443,70000", "a,b"])("refuses %s for its ports", (wrong) => {
    const line = ["run", "--dir", world.dir, "--control", "http://127.0.0.1:9", "--ingress", wrong];
    expect(() => readCommand(line, {})).toThrow(/--ingress: must be two/);
  });
});
