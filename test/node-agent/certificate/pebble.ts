// Debian's pebble, a real ACME server, whose challenges are looked up in a zone of our own.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, until } from "../agent/world.ts";
import { makeAuthority } from "../pki.ts";

export interface Pebble {
  readonly directoryUrl: string;
  /** PEM of whom agents must trust to talk to it; for NODE_EXTRA_CA_CERTS. */
  readonly caFile: string;
  /** PEM of the root that its certificates lead to. */
  readonly root: string;
  /** What it has written: which orders it has seen. */
  log(): string;
  stop(): Promise<void>;
}

export async function startPebble({
  dnsAddress,
  validitySeconds,
  names = [],
}: {
  readonly dnsAddress: string;
  readonly validitySeconds: number;
  /** Under which it is asked, beside this host's own. */
  readonly names?: readonly string[];
}): Promise<Pebble> {
  const dir = mkdtempSync(join(tmpdir(), "berth-pebble-"));
  const authority = await makeAuthority();
  const own = await authority.issue({ names: ["localhost", "127.0.0.1", ...names] });
  const path = (name: string, text: string): string => {
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };
  const [port, managementPort] = [await freePort(), await freePort()];
  const config = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate: path("cert.pem", own.cert),
    privateKey: path("key.pem", own.key),
    httpPort: 5002,
    tlsPort: 5001,
    certificateValidityPeriod: validitySeconds,
  };
  const args = ["-config", path("config.json", JSON.stringify({ pebble: config })), "-dnsserver", dnsAddress];
  const child = spawn("pebble", args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PEBBLE_VA_NOSLEEP: "1", PEBBLE_AUTHZREUSE: "0" },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (log += chunk.toString()));
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const root = await until(
    () => `pebble answers\n${log}`,
    () => fetchText(`https://127.0.0.1:${managementPort}/roots/0`, authority.ca).catch(() => null),
  );
  return {
    directoryUrl: `https://localhost:${port}/dir`,
    caFile: path("ca.pem", authority.ca),
    root,
    log: () => log,
    async stop() {
      child.kill("SIGKILL");
      await exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function fetchText(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: new Agent({ ca }) }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(text))));
    }).on("error", reject);
  });
}
