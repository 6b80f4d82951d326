// `npm run bench:edge`: the edge Worker against a bare pass-through Worker in the same workerd, and the gateway alone against
// HAProxy, nginx and Caddy as reverse proxies of the same upstream, one core each; interleaved rounds, medians and spread.
import { request } from "node:http";
import { cpuUsOf, workerdPid } from "./edge/cpu.ts";
import { ANSWER, startCaddy, startHaproxy, startNginx, startUpstream, type Server } from "./edge/peers.ts";
import { load, type LoadResult } from "./edge/wrk.ts";
import { servingRoute, startEdge } from "./shared/edge-world.ts";
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
import { ticketFor } from "../workers/edge/tickets.ts";

const ROUNDS = Number(process.env.BERTH_BENCH_ROUNDS ?? 7);
const SECONDS = Number(process.env.BERTH_BENCH_SECONDS ?? 3);
const HOST = "hello.localhost";
/** The proxy that is measured has core 0 for itself; upstream and load share core 1. */
const [PROXY_CPU, OTHER_CPU] = [0, 1];
const EDGE_CONNECTIONS = 32;
const PROXY_CONNECTIONS = 64;

interface Contender {
  readonly name: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  /** Of the process that is measured. */
  readonly pid: number;
}
/** perCpuSecond: requests per second of the measured process's own processor time, whatever else the machine does. */
type Rounds = Map<string, (LoadResult & { readonly perCpuSecond: number })[]>;

const key = await signingKey();
const upstream = await startUpstream(OTHER_CPU);
const at = { team: teamId(1), app: appId(1), instance: instanceId(1), generation: 1, node: nodeId(1) };
const instances = [endpointInstance(upstream.port, { instance: at.instance })];
/** What the edge sends: ticket, known route version, and the rest about the visitor. */
const envelope = async (): Promise<string> =>
  `${await ticketFor({ key: key.secret, ...at, use: "app" }, Date.now())} 1 http bench-request-id-of-usual-length - ${HOST}`;

note(`gateway and peers: ${ROUNDS} rounds of ${SECONDS} s each`);
const proxies = await measureProxies().catch(stopUpstream);
note(`edge and bare Worker: ${ROUNDS} rounds of ${SECONDS} s each`);
const workers = await measureWorkers().catch(stopUpstream);
await upstream.stop();

const aim = (name: string, value: number, bound: number): Aim => ({ name, value, op: ">=", bound, unit: "×" });
const aims: Aim[] = [
  aim("requests per core of the gateway over Caddy's", ratioOf(proxies, "perCpuSecond", "gateway", "caddy"), 1),
  aim("requests/s of the edge over the bare Worker's", ratioOf(workers, "requestsPerSecond", "edge", "bare"), 0.9),
];
printReport({
  bench: "edge",
  rounds: ROUNDS,
  aims,
  secondsPerRound: SECONDS,
  proxies: figuresOf(proxies),
  workers: figuresOf(workers),
  edgeOverBarePerCpuSecond: ratioOf(workers, "perCpuSecond", "edge", "bare"),
});

async function stopUpstream(error: unknown): Promise<never> {
  await upstream.stop();
  throw error;
}

async function measureProxies(): Promise<Rounds> {
  const gateway = await startGateway({ node: at.node, key, cpu: PROXY_CPU });
  await gateway.write({ instances, routes: { [at.app]: 1 } });
  const peers: Server[] = [
    await startHaproxy(PROXY_CPU, upstream.port),
    await startNginx(PROXY_CPU, upstream.port),
    await startCaddy(PROXY_CPU, upstream.port),
  ];
  const contenders = async (): Promise<Contender[]> => [
    {
      name: "gateway",
      url: `${gateway.url}/`,
      headers: { "berth-ticket": await envelope() },
      pid: gateway.process.pid as number,
    },
    ...peers.map(({ name, port, pid }) => ({ name, url: `http://127.0.0.1:${port}/`, headers: { Host: HOST }, pid })),
    { name: "upstream alone", url: `http://127.0.0.1:${upstream.port}/`, headers: {}, pid: upstream.pid },
  ];
  try {
    return await interleave(contenders, PROXY_CONNECTIONS, OTHER_CPU);
  } finally {
    await gateway.stop();
    for (const peer of peers) await peer.stop();
  }
}

/** bare: to the same gateway, with a ticket from the load generator, so that only the Workers differ. direct: to the upstream. */
async function measureWorkers(): Promise<Rounds> {
  const gateway = await startGateway({ node: at.node, key });
  await gateway.write({ instances, routes: { [at.app]: 1 } });
  const edge = await startEdge(key, { upstreams: { bare: gateway.url, direct: `http://127.0.0.1:${upstream.port}` } });
  await edge.setHost(HOST, at);
  const endpoints = [{ ...at, gatewayUrl: gateway.url }];
  await edge.setRoute(
    servingRoute({ ...at, version: 1 }, [{ release: releaseId(1), version: 1, weight: 100, endpoints }]),
  );
  const pid = workerdPid();
  const contenders = async (): Promise<Contender[]> => [
    { name: "edge", pid, url: `${edge.url}/`, headers: { Host: HOST } },
    {
      name: "bare",
      pid,
      url: `http://127.0.0.1:${edge.barePorts.bare}/`,
      headers: { Host: HOST, "berth-ticket": await envelope() },
    },
    { name: "bare, to the upstream", pid, url: `http://127.0.0.1:${edge.barePorts.direct}/`, headers: { Host: HOST } },
  ];
  try {
    return await interleave(contenders, EDGE_CONNECTIONS, null);
  } finally {
    await edge.stop();
    await gateway.stop();
  }
}

/** Who answers by itself, instead of passing the upstream's answer on, is not measured. */
async function check({ name, url, headers }: Contender): Promise<void> {
  const { hostname, port } = new URL(url);
  const body = await new Promise<string>((resolve, reject) => {
    const asked = request({ host: hostname, port, headers, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => resolve(text));
    });
    asked.on("error", reject).end();
  });
  if (body !== ANSWER) throw new Error(`${name} does not pass the upstream's answer on, but: ${body}`);
}

/** One short unmeasured round first; then each contender in turn, round after round, so that all share the machine's moods. */
async function interleave(
  contenders: () => Promise<Contender[]>,
  connections: number,
  cpu: number | null,
): Promise<Rounds> {
  const rounds: Rounds = new Map();
  for (const contender of await contenders()) await check(contender);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { name, url, headers, pid } of await contenders()) {
      const beforeUs = cpuUsOf(pid);
      const seconds = round === 0 ? 1 : SECONDS;
      const result = await load({ url, headers, connections, seconds, ...(cpu === null ? {} : { cpu }) });
      if (result.failed > 0) throw new Error(`${name}: ${result.failed} requests failed; this is no measurement`);
      const perCpuSecond = (result.requests * 1e6) / (cpuUsOf(pid) - beforeUs);
      if (round > 0) rounds.set(name, [...(rounds.get(name) ?? []), { ...result, perCpuSecond }]);
    }
  }
  return rounds;
}

function figuresOf(rounds: Rounds): Record<string, object> {
  return Object.fromEntries(
    [...rounds].map(([name, results]) => {
      const rates = results.map(({ requestsPerSecond }) => requestsPerSecond);
      return [
        name,
        {
          requestsPerSecond: spreadOf(rates),
          p99Ms: spreadOf(results.map(({ p99Ms }) => p99Ms)),
          requestsPerCpuSecond: spreadOf(results.map((result) => result.perCpuSecond)),
        },
      ];
    }),
  );
}

type Figure = "requestsPerSecond" | "perCpuSecond";

/** The median of the rounds' ratios: both were measured within seconds of each other. */
function ratioOf(rounds: Rounds, figure: Figure, one: string, other: string): number {
  const [ours, theirs] = [rounds.get(one) ?? [], rounds.get(other) ?? []];
  return rounded(median(ours.map((result, index) => result[figure] / (theirs[index]?.[figure] ?? Number.NaN))));
}
