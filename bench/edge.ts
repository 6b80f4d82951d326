// `npm run bench:edge`: the edge Worker against a bare pass-through Worker in the same workerd, which has core 0 for itself; upstream,
// gateway and load have core 1. The edge alone goes straight to the upstream, as the bare Worker does, so that the two Workers are all
// that differs; edge and gateway together are held against that same bare Worker. The gateway alone: `npm run bench:gateway`.
import { pin, workerdPid } from "./edge/cpu.ts";
import { startUpstream, type Server } from "./edge/peers.ts";
import { check, type Contender } from "./edge/rounds.ts";
import { inSlices, type Slice, type Slices } from "./edge/slices.ts";
import { servingRoute, startEdge, type EdgeWorld } from "./shared/edge-world.ts";
import {
  appId,
  endpointInstance,
  instanceId,
  nodeId,
  releaseId,
  signingKey,
  startGateway,
  teamId,
} from "./shared/gateway-world.ts";
import { median, note, printReport, rounded, spreadOf, type Aim } from "./shared/report.ts";

const ROUNDS = Number(process.env.BERTH_BENCH_ROUNDS ?? 200);
const SLICE_MS = Number(process.env.BERTH_BENCH_SLICE_MS ?? 100);
const [WORKERD_CPU, OTHER_CPU] = [0, 1];
const CONNECTIONS = 32;
const BARE = "bare";
const NODE = nodeId(1);
const TEAM = teamId(1);

/**
 * An app for each: where its instances are, and the weights of its releases, one instance each. by: the edge alone is measured by
 * workerd's processor time, edge and gateway together by requests/s, since each has a core.
 */
const APPS = [
  { name: "edge, one release", at: "upstream", weights: [100], by: "cpu", aim: 0.9 },
  { name: "edge, split 90/10", at: "upstream", weights: [90, 10], by: "cpu", aim: 0.9 },
  { name: "edge and gateway, one release", at: "gateway", weights: [100], by: "wall", aim: 0.8 },
  { name: "edge and gateway, split 90/10", at: "gateway", weights: [90, 10], by: "wall", aim: 0.8 },
] as const;

const key = await signingKey();
const gateway = await startGateway({ node: NODE, key, cpu: OTHER_CPU });
/** An upstream for each instance behind the gateway: no two have one address. The first is everybody else's too. */
const behind = APPS.flatMap(({ at, weights }, app) => (at === "gateway" ? weights.map((_, of) => ({ app, of })) : []));
const upstreams: Server[] = [];
for (const _ of behind) upstreams.push(await startUpstream(OTHER_CPU));
const origins = { upstream: `http://127.0.0.1:${upstreams[0]!.port}`, gateway: gateway.url };
const edge = await startEdge(key, { upstreams: { bare: origins.upstream } });
try {
  await gateway.write({ instances: behind.map(rowOf), routes: routesOf() });
  for (const at of APPS.keys()) await publish(edge, at);
  report(await measure());
} finally {
  await edge.stop();
  await gateway.stop();
  for (const upstream of upstreams) await upstream.stop();
}

function rowOf({ app, of }: (typeof behind)[number], at: number) {
  const owner = { app: appId(app + 1), team: TEAM };
  return endpointInstance(upstreams[at]!.port, { ...owner, instance: idOf(app, of), release: releaseId(of + 1) });
}

function idOf(app: number, of: number) {
  return instanceId(10 * (app + 1) + of);
}

function routesOf(): Record<string, number> {
  return Object.fromEntries(APPS.map((_app, at) => [appId(at + 1), 1]));
}

function hostOf(at: number): string {
  return `app${at + 1}.localhost`;
}

async function publish(world: EdgeWorld, at: number): Promise<void> {
  const owner = { app: appId(at + 1), team: TEAM };
  await world.setHost(hostOf(at), owner);
  const { weights, at: where } = APPS[at]!;
  const releases = weights.map((weight, index) => {
    const endpoint = { instance: idOf(at, index), generation: 1, node: NODE, gatewayUrl: origins[where] };
    return { release: releaseId(index + 1), version: index + 1, weight, endpoints: [endpoint] };
  });
  await world.setRoute(servingRoute({ ...owner, version: 1 }, releases));
}

async function measure(): Promise<Slices> {
  const pid = workerdPid();
  pin(pid, WORKERD_CPU);
  pin(process.pid, OTHER_CPU);
  const bareUrl = `http://127.0.0.1:${edge.barePorts.bare}/`;
  const contenders: Contender[] = [
    { name: BARE, pid, url: bareUrl, headers: { Host: hostOf(0) } },
    ...APPS.map(({ name }, at) => ({ name, pid, url: `${edge.url}/`, headers: { Host: hostOf(at) } })),
  ];
  for (const contender of contenders) await check(contender);
  note(`the bare Worker and ${APPS.length} contenders: ${ROUNDS} slices of ${SLICE_MS} ms each, in turn`);
  return inSlices({ contenders, connections: CONNECTIONS, rounds: ROUNDS, sliceMs: SLICE_MS });
}

/** Each slice against the bare Worker's beside it: requests/s, or requests for the same processor time of workerd. */
function ofBare(slices: Slices, name: string, figure: "wall" | "cpu"): number[] {
  const bare = slices.get(BARE) as readonly Slice[];
  return (slices.get(name) as readonly Slice[]).map((slice, at) => {
    const beside = bare[at] as Slice;
    if (figure === "wall") return slice.requestsPerSecond / beside.requestsPerSecond;
    return beside.cpuUsPerRequest / slice.cpuUsPerRequest;
  });
}

function report(slices: Slices): void {
  const aims = APPS.map(({ name, by, aim: bound }): Aim => {
    const what = by === "cpu" ? "requests per processor second of workerd" : "requests/s";
    const value = rounded(median(ofBare(slices, name, by)));
    return { name: `${what}: ${name}, over the bare Worker`, value, op: ">=", bound, unit: "×" };
  });
  const figures = [...slices].map(([name, list]) => [
    name,
    {
      requestsPerSecond: spreadOf(list.map(({ requestsPerSecond }) => requestsPerSecond)),
      cpuUsPerRequest: spreadOf(list.map(({ cpuUsPerRequest }) => cpuUsPerRequest)),
      ofBare: spreadOf(ofBare(slices, name, "wall")),
      ofBareByCpu: spreadOf(ofBare(slices, name, "cpu")),
    },
  ]);
  printReport({ bench: "edge", rounds: ROUNDS, sliceMs: SLICE_MS, aims, contenders: Object.fromEntries(figures) });
}
