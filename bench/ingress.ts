// `npm run bench:ingress`: the break-glass ingress beside HAProxy, which goes to the app without a gateway and asks for no ticket; and how
// long visitors wait from the DNS change on.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { exportJWK, type CryptoKey } from "jose";
import { nodeId } from "./shared/gateway-world.ts";
import { startHaproxy, startUpstream } from "./edge/peers.ts";
import { figuresOf, interleave, ratioOf, type Contender } from "./edge/rounds.ts";
import { changeDns } from "./ingress/dns-change.ts";
import { note, printReport, type Aim } from "./shared/report.ts";
import { endpoint, Region, release, routeOf } from "../test/node-agent/ingress/region.ts";

const ROUNDS = Number(process.env.BERTH_BENCH_ROUNDS ?? 5);
const SECONDS = Number(process.env.BERTH_BENCH_SECONDS ?? 3);
const CONNECTIONS = 64;
const HOST = "shop.apps.test";
const [PROXY_CPU, OTHER_CPU] = [0, 1];
/** After the record's TTL. */
const SERVED_WITHIN_MS = 5_000;

const upstream = await startUpstream(OTHER_CPU);
const haproxy = await startHaproxy(PROXY_CPU, upstream.port);
const region = await Region.start(2);
await region.place(1, [[1, upstream.port]]);
await region.place(2, [[2, upstream.port]]);
const releases = [release(1, 100, [endpoint(1, 1), endpoint(2, 2)])];
await region.publish([{ hostnames: [HOST], route: routeOf({ kind: "serving", releases }) }]);
const ingress = await startIngress(region.member(1).gateway.dir, region.member(1).key);

try {
  note("throughput, beside HAProxy");
  const url = (port: number): string => `http://127.0.0.1:${port}/`;
  const contenders: Contender[] = [
    { name: "ingress", url: url(ingress.port), headers: { Host: HOST }, pid: ingress.pid },
    { name: "haproxy", url: url(haproxy.port), headers: { Host: HOST }, pid: haproxy.pid },
  ];
  const load = { connections: CONNECTIONS, rounds: ROUNDS, seconds: SECONDS, cpu: OTHER_CPU };
  const rounds = await interleave({ ...load, contenders: () => Promise.resolve(contenders) });
  note("from the DNS change to served visitors");
  const change = await changeDns(ingress.port, "apps.test", HOST);
  const last = Math.max(...change.servedAfterMs);
  const bound = change.ttlSeconds * 1_000 + SERVED_WITHIN_MS;
  const throughput = ratioOf(rounds, "requestsPerSecond", "ingress", "haproxy");
  const perCore = ratioOf(rounds, "perCpuSecond", "ingress", "haproxy");
  const aims: Aim[] = [
    { name: "the last visitor served after the DNS change", value: last, op: "<=", bound, unit: "ms" },
  ];
  printReport({
    bench: "ingress",
    rounds: ROUNDS,
    aims,
    ...{ connections: CONNECTIONS, hops: { ingress: "ingress, gateway, app", haproxy: "haproxy, app" } },
    figures: figuresOf(rounds),
    ratioToHaproxy: throughput,
    ratioToHaproxyByProcessorTime: perCore,
    dnsChange: change,
  });
} finally {
  ingress.stop();
  await region.close();
  for (const server of [haproxy, upstream]) await server.stop();
}

async function startIngress(dir: string, signKey: CryptoKey) {
  const entry = new URL("./ingress/ingress-process.ts", import.meta.url).pathname;
  const wish = JSON.stringify({ dir, node: nodeId(1), key: await exportJWK(signKey) });
  const child = spawn("taskset", ["-c", String(PROXY_CPU), process.execPath, entry, wish], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return { port: Number(line.toString().trim()), pid: child.pid as number, stop: () => child.kill("SIGTERM") };
}
