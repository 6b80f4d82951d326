// What goes wrong with one instance on a real Engine: it is started again or goes elsewhere, its event has the cause, and its
// neighbours on the same nodes serve on.
import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasFailed, type Seen } from "../../dev/load/visitors.ts";
import { choosePort } from "../../dev/ports.ts";
import { command, deployed, nodesAre, nodesOf, readyOf, servingOf, storyOf, visitorsOf } from "./nodes-support.ts";
import { SMALL, createWorld, eventually, versionServer, writeApp, type World } from "./support.ts";

/** Fewer crashes than on a server, and faster after each other; and what leaves need not serve on for long. */
const AGENT_TUNING = { restartBackoffMinMs: 100 };
const TUNING = { restartBudget: 3, drainMs: 1_500 };
/**
 * What is started again and again here is started on enough of a core: a twentieth makes a start take a
 * second and more. Four of them have room on a node of two cores, which is what a drain needs.
 */
const QUICK = SMALL.replace("cpu = 0.05", "cpu = 0.3");
const NEIGHBOUR = "neighbour";
const FRAIL = "frail";

/** Eats memory, hangs or ends when it is asked to by its name; ends at once on the bad node. */
const frailServer = (badNode = ""): string => `
import { createServer } from "node:http";
const { BERTH_INSTANCE: instance, BERTH_NODE: node, PORT } = process.env;
if (node === ${JSON.stringify(badNode)}) {
  console.error("the card that this needs is not in this server");
  process.exit(3);
}
const eaten = [];
const deeds = {
  "/eat": () => setInterval(() => eaten.push(Buffer.alloc(8 * 1024 * 1024, 1)), 5),
  "/hang": () => setImmediate(() => { for (;;); }),
  "/end": () => setImmediate(() => process.exit(9)),
};
createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://app");
  response.end(JSON.stringify({ instance }), () => searchParams.get("of") === instance && deeds[pathname]());
}).listen(Number(PORT));
process.on("SIGTERM", () => process.exit(0));
`;

let world: World;
beforeAll(async () => {
  world = await createWorld({ agentTuning: AGENT_TUNING, tuning: TUNING });
  await nodesAre(world, "ready");
  await deployed(world, NEIGHBOUR, "replicas = 3\n", versionServer(NEIGHBOUR), QUICK);
  const liveness = '[probes.liveness]\npath = "/"\nperiod = "250ms"\ntimeout = "500ms"\nfailures = 2\n';
  await deployed(world, FRAIL, `replicas = 3\n${liveness}`, frailServer(), QUICK);
});
afterAll(async () => await world?.end());

/** Asks this one for a deed, and waits until it has been started again because of it. */
async function undone(path: string, instance: string): Promise<{ node: string }> {
  await eventually(
    async () => JSON.parse((await world.visit(FRAIL, `${path}?of=${instance}`)).body).instance,
    (answered) => answered === instance,
  );
  const isBack = ({ id, phase, restarts }: { id: string; phase: string; restarts: number }): boolean =>
    id === instance && phase === "ready" && restarts > 0;
  const now = await eventually(
    () => readyOf(world, FRAIL),
    (ready) => ready.length === 3 && ready.some(isBack),
  );
  return { node: now.find(isBack)?.nodeName ?? "" };
}

/** What the neighbours' visitors saw meanwhile. */
async function besides(during: () => Promise<void>): Promise<readonly Seen[]> {
  const visitors = visitorsOf(world, NEIGHBOUR, 30);
  await during();
  return visitors.stop();
}

const DEEDS: readonly (readonly [name: string, path: string, cause: RegExp])[] = [
  [
    "eats more memory than it may",
    "/eat",
    /started again: it was killed for using more memory than its limit of 96 MiB/,
  ],
  ["hangs", "/hang", /started again: .*(no answer|time|within)/],
  ["ends by itself", "/end", /started again: it exited with code 9/],
];
for (const [ordinal, [name, path, cause]] of DEEDS.entries()) {
  test(`an instance that ${name} is started again where it was, told with its cause, and nobody else notices`, async () => {
    const seen = await besides(async () => {
      // Another one each time: one that ends three times in a minute is moved instead.
      const frail = await eventually(
        () => readyOf(world, FRAIL),
        (ready) => ready.length === 3,
      );
      const { node } = await undone(path, frail.find((one) => one.ordinal === ordinal)!.id);
      const story = await storyOf(world, ["events", FRAIL], cause);
      expect(story.split("\n").some((line) => line.includes(`on ${node} `) && cause.test(line))).toBe(true);
    });
    expect(seen.filter(hasFailed)).toEqual([]);
    expect((await servingOf(world, NEIGHBOUR)).map(({ restarts }) => restarts)).toEqual([0, 0, 0]);
  });
}

test("what ends again and again on one node only is moved off it with the cause, and its app serves on meanwhile", async () => {
  const bad = (await nodesOf(world)).find((node) => node.name === "node-3");
  await command(world, "nodes", "cordon", "node-3");
  await deployed(world, "picky", "replicas = 2\n", frailServer(bad?.id), QUICK);
  await command(world, "nodes", "uncordon", "node-3");
  const visitors = visitorsOf(world, "picky", 30);
  // What makes room goes to the rack that is empty, where it cannot live: so it ends where there is one of it already.
  const moving = (await servingOf(world, "picky")).find(({ nodeName }) => nodeName === "node-1");
  await command(world, "nodes", "drain", "node-1", "--timeout", "60s");
  expect((await visitors.stop()).filter(hasFailed)).toEqual([]);
  expect((await servingOf(world, "picky")).map(({ nodeName }) => nodeName)).toEqual(["node-2", "node-2"]);
  const which = `v1 #${moving?.ordinal} on node-3`;
  const story = await storyOf(world, ["events", "picky"], new RegExp(`${which} stopped`));
  expect(story).toContain(`v1 #${moving?.ordinal} on node-1 is to move: its node is being drained`);
  expect(story).toContain(`${which} ended and is started again: it exited with code 3`);
  expect(story).toContain(`${which} is to move: it keeps ending there (it exited with code 3)`);
});

test("a host port that something else on the server holds: the deploy fails with the cause; freed, it is reached there", async () => {
  // None that the system gives to outgoing connections: it is to be free again.
  const port = await choosePort([]);
  const stranger = createServer().listen(port, "0.0.0.0");
  await once(stranger, "listening");
  const server = `${frailServer()}\ncreateServer((_, response) => response.end("by its port")).listen(${port});\n`;
  const toml = `replicas = 1\n[placement]\nhost_ports = [${port}]\n`;
  const folder = writeApp(world.home, "ported", { "server.mjs": server }, `${toml}${QUICK}`);
  const failed = await world.berth(["deploy", folder]);
  stranger.close();
  expect(failed, failed.stderr).toMatchObject({ exitCode: 1 });
  expect(failed.stderr).toMatch(
    new RegExp(`v1 failed\\. .*${port}.*(in use|allocated).* \\(start_failed on node-\\d\\)`),
  );
  await command(world, "deploy", folder);
  const answer = async () => (await fetch(`http://127.0.0.1:${port}/`)).text();
  expect(await answer()).toBe("by its port");
  expect((await world.visit("ported")).status).toBe(200);
});
