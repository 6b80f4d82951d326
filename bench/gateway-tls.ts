// What TLS costs at the gateway: its processor time for a request over plain HTTP, beside a certificate, over kept TLS connections,
// and with a handshake each.
import { readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { join } from "node:path";
import autocannon from "autocannon";
import { TLS_FILE } from "../node-agent/endpoint-file.ts";
import { makeAuthority } from "../test/node-agent/pki.ts";
import { Served } from "../test/node-agent/gateway/served.ts";
import { httpApp } from "../test/node-agent/gateway/upstreams.ts";
import { ask } from "./shared/gateway-world.ts";

const SECONDS = 4;
const CONNECTIONS = 50;
const HANDSHAKES = 1_000;

const served = await Served.start();
const { dir, port } = served.gateway;
await served.serve(await httpApp((_asked, response) => response.end("hello")));
const headers = { "berth-ticket": `${await served.pass()} - https req-12345 - shop.test` };

/** User and system time of the gateway's process so far; the kernel counts in hundredths of a second. */
function cpuMs(): number {
  const fields = readFileSync(`/proc/${served.gateway.process.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function measure(scheme: "http" | "https") {
  const beforeMs = cpuMs();
  const { requests, latency, errors, non2xx } = await autocannon({
    ...{
      url: `${scheme}://127.0.0.1:${port}/`,
      servername: "localhost",
      connections: CONNECTIONS,
      duration: SECONDS,
      headers,
    },
    // The load's own check of a certificate is not what is measured.
    tlsOptions: { rejectUnauthorized: false },
  } as Parameters<typeof autocannon>[0]);
  const cpuUs = Math.round(((cpuMs() - beforeMs) * 1_000) / requests.total);
  return { cpuUs, requestsPerS: Math.round(requests.average), p99Ms: latency.p99, failed: errors + non2xx };
}

/** A new connection for each request; sessions are not taken up again. */
async function measureHandshakes() {
  const beforeMs = cpuMs();
  const one = () =>
    new Promise<void>((resolve, reject) => {
      const at = { host: "127.0.0.1", port, servername: "localhost", rejectUnauthorized: false, agent: false as const };
      const asked = request({ ...at, path: "/", headers }, (answer) => void answer.resume().on("end", () => resolve()));
      asked.on("error", reject).end();
    });
  await Promise.all(Array.from({ length: 20 }, async () => { for (let n = 0; n < HANDSHAKES / 20; n += 1) await one(); })); // prettier-ignore
  return { cpuUs: Math.round(((cpuMs() - beforeMs) * 1_000) / HANDSHAKES) };
}

const plain = await measure("http");
const { cert, key } = await (await makeAuthority()).issue({ names: ["localhost"] });
await writeFile(join(dir, "next.pem"), cert + key);
await rename(join(dir, "next.pem"), join(dir, TLS_FILE));
await ask(dir, "POST", "/reload");
const result = {
  connections: CONNECTIONS,
  plain,
  plainBesideCertificate: await measure("http"),
  tlsKept: await measure("https"),
  tlsHandshakeEach: await measureHandshakes(),
  residentBytes: served.residentBytes(),
};
console.log(JSON.stringify(result, null, 2));
await served.stop();
process.exit(0);
