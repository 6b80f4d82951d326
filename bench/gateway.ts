// `npm run bench:gateway`: the gateway against HAProxy, nginx and Caddy as reverse proxies of the same upstream with 1 KB
// answers, one core each: how many requests a core carries, and what a request pays at 2,000 requests/s in an open loop.
import { startCaddy, startHaproxy, startNginx, startUpstream, type Server } from "./edge/peers.ts";
import { figuresOf, interleave, ratioOf, type Contender } from "./edge/rounds.ts";
import { openLoop, type OpenLoopResult } from "./gateway/open-loop.ts";
import {
  appId,
  endpointInstance,
  instanceId,
  nodeId,
  signingKey,
  startGateway,
  teamId,
} from "./shared/gateway-world.ts";
import { median, note, printReport, rounded, spreadOf, type Aim } from "./shared/report.ts";
import { ticketFor } from "../workers/edge/tickets.ts";

const ROUNDS = Number(process.env.BERTH_BENCH_ROUNDS ?? 7);
const SECONDS = Number(process.env.BERTH_BENCH_SECONDS ?? 3);
const HOST = "hello.localhost";
/** The proxy that is measured has core 0 for itself; upstream and load share core 1. */
const [PROXY_CPU, OTHER_CPU] = [0, 1];
const CONNECTIONS = 64;
const RATE_PER_SECOND = 2_000;
const UPSTREAM = "upstream alone";

const key = await signingKey();
const upstream = await startUpstream(OTHER_CPU);
const at = { team: teamId(1), app: appId(1), instance: instanceId(1), generation: 1, node: nodeId(1) };
const gateway = await startGateway({ node: at.node, key, cpu: PROXY_CPU });
const peers: Server[] = [
  await startHaproxy(PROXY_CPU, upstream.port),
  await startNginx(PROXY_CPU, upstream.port),
  await startCaddy(PROXY_CPU, upstream.port),
];

try {
  await gateway.write({
    instances: [endpointInstance(upstream.port, { instance: at.instance })],
    routes: { [at.app]: 1 },
  });
  await measure();
} finally {
  await gateway.stop();
  for (const peer of [...peers, upstream]) await peer.stop();
}

/** What the edge sends: ticket, known route version, and the rest about the visitor. */
async function envelope(): Promise<string> {
  const ticket = await ticketFor({ key: key.secret, ...at, use: "app" }, Date.now());
  return `${ticket} 1 http bench-request-id-of-usual-length - ${HOST}`;
}

async function contenders(): Promise<Contender[]> {
  const [url, pid] = [`${gateway.url}/`, gateway.process.pid as number];
  return [
    { name: "gateway", url, headers: { "berth-ticket": await envelope() }, pid },
    ...peers.map(({ name, port, pid }) => ({ name, url: `http://127.0.0.1:${port}/`, headers: { Host: HOST }, pid })),
    { name: UPSTREAM, url: `http://127.0.0.1:${upstream.port}/`, headers: { Host: HOST }, pid: upstream.pid },
  ];
}

async function measure(): Promise<void> {
  note(`throughput: ${ROUNDS} rounds of ${SECONDS} s each`);
  const throughput = await interleave({
    contenders,
    connections: CONNECTIONS,
    rounds: ROUNDS,
    seconds: SECONDS,
    cpu: OTHER_CPU,
  });
  note(`${RATE_PER_SECOND} requests/s in an open loop: ${ROUNDS} rounds of ${SECONDS} s each`);
  const latency = await measureLatency();
  const failed = [...latency.values()].flat().reduce((sum, round) => sum + round.failed, 0);
  const perCore = ratioOf(throughput, "perCpuSecond", "gateway", "haproxy");
  const aims: Aim[] = [
    { name: "requests per core over HAProxy's", value: perCore, op: ">=", bound: 0.6, unit: "×" },
    { name: "added p50 over HAProxy's", value: addedRatio(latency, "p50Ms"), op: "<=", bound: 1.5, unit: "×" },
    { name: "added p99 over HAProxy's", value: addedRatio(latency, "p99Ms"), op: "<=", bound: 2, unit: "×" },
    { name: "failed requests", value: failed, op: "<=", bound: 0, unit: "requests" },
  ];
  printReport({
    bench: "gateway",
    rounds: ROUNDS,
    aims,
    secondsPerRound: SECONDS,
    throughput: figuresOf(throughput),
    requestsPerSecondOverHaproxy: ratioOf(throughput, "requestsPerSecond", "gateway", "haproxy"),
    ratePerSecond: RATE_PER_SECOND,
    openLoop: Object.fromEntries([...latency].map(([name, rounds]) => [name, latencyFigures(rounds)])),
  });
}

type Latency = ReadonlyMap<string, readonly OpenLoopResult[]>;

async function measureLatency(): Promise<Latency> {
  const measured = new Map<string, OpenLoopResult[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, url, headers } of await contenders()) {
      const wish = { port: Number(new URL(url).port), headers, ratePerSecond: RATE_PER_SECOND, cpu: OTHER_CPU };
      const result = await openLoop({ ...wish, seconds: SECONDS });
      measured.set(name, [...(measured.get(name) ?? []), result]);
    }
  }
  return measured;
}

function latencyFigures(rounds: readonly OpenLoopResult[]): object {
  return {
    p50Ms: spreadOf(rounds.map(({ p50Ms }) => p50Ms)),
    p99Ms: spreadOf(rounds.map(({ p99Ms }) => p99Ms)),
    generatorLateP99Ms: spreadOf(rounds.map(({ lateP99Ms }) => lateP99Ms)),
    answered: rounds.reduce((sum, { answered }) => sum + answered, 0),
    failed: rounds.reduce((sum, { failed }) => sum + failed, 0),
  };
}

/** Added: beyond what the upstream alone takes in the same round. The median over the rounds of each, then their ratio. */
function addedRatio(latency: Latency, figure: "p50Ms" | "p99Ms"): number {
  const added = (name: string): number => {
    const alone = latency.get(UPSTREAM) ?? [];
    return median(
      (latency.get(name) ?? []).map((round, index) => round[figure] - (alone[index]?.[figure] ?? Number.NaN)),
    );
  };
  return rounded(added("gateway") / added("haproxy"));
}
