// From the DNS change to served visitors: a real zone, resolvers that keep a record for its TTL, and `berth dr ingress` that changes it.
import { mkdtempSync } from "node:fs";
import { Resolver } from "node:dns/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startDnsServer } from "../../dev/dns/server.ts";
import { Zone } from "../../dev/dns/zone.ts";
import { runBerth } from "../../test/cli/run-berth.ts";

const TTL_SECONDS = 3;
const VISITORS = 40;
const EVERY_MS = 100;
const TOKEN = "bench-token";
/** Where nobody answers, as the edge does not. */
const AWAY = "127.0.0.99";

/** servedAfterMs: of each visitor, from the end of the command. commandMs: what the command itself took. */
export interface DnsChange {
  readonly ttlSeconds: number;
  readonly commandMs: number;
  readonly servedAfterMs: readonly number[];
}

export async function changeDns(port: number, base: string, hostname: string): Promise<DnsChange> {
  const zone = new Zone(base);
  zone.set(`*.${base}`, "A", [AWAY], TTL_SECONDS);
  const dns = await startDnsServer([zone], 0, TOKEN);
  const ending = new AbortController();
  const servedAtMs: Promise<number>[] = [];
  try {
    for (let n = 0; n < VISITORS; n += 1) {
      // They did not all ask their resolvers at the same moment.
      await sleep((TTL_SECONDS * 1_000) / VISITORS);
      servedAtMs.push(visitor(dns.address, port, hostname, ending.signal));
    }
    const provider = ["--dns", "powerdns", "--dns-url", dns.apiUrl, "--dns-token", TOKEN, "--ttl", String(TTL_SECONDS)];
    const startedMs = performance.now();
    const ran = await runBerth(["dr", "ingress", "--address", "127.0.0.1", "--plain-port", String(port), ...provider], {
      cwd: mkdtempSync(join(tmpdir(), "berth-bench-dr-")),
    });
    if (ran.exitCode !== 0) throw new Error(ran.stderr);
    const changedMs = performance.now();
    const served = await Promise.all(servedAtMs);
    return {
      ttlSeconds: TTL_SECONDS,
      commandMs: Math.round(changedMs - startedMs),
      servedAfterMs: served.map((atMs) => Math.round(atMs - changedMs)),
    };
  } finally {
    ending.abort();
    await dns.close();
  }
}

/** Resolves with when it was first served. */
async function visitor(dnsAddress: string, port: number, hostname: string, signal: AbortSignal): Promise<number> {
  const resolver = new Resolver();
  resolver.setServers([dnsAddress]);
  let [address, untilMs] = ["", 0];
  while (!signal.aborted) {
    if (performance.now() >= untilMs) {
      const [found] = await resolver.resolve4(hostname, { ttl: true });
      if (found === undefined) throw new Error(`${hostname} has no address`);
      [address, untilMs] = [found.address, performance.now() + found.ttl * 1_000];
    }
    if (await isServed(address, port, hostname)) return performance.now();
    await sleep(EVERY_MS);
  }
  throw new Error("the measurement ended before this visitor was served");
}

function isServed(host: string, port: number, hostname: string): Promise<boolean> {
  return new Promise((resolve) => {
    const sent = request({ host, port, agent: false, headers: { host: hostname }, timeout: 1_000 }, (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode === 200));
    });
    sent.on("timeout", () => sent.destroy());
    sent.on("error", () => resolve(false)).end();
  });
}
