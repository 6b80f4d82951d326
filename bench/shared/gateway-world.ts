// Gateway processes for tests and benchmarks: a ticket key, an endpoint file as the agent writes it, and the real process.
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { TicketKey } from "../../contracts/agent-protocol.ts";
import { NAMESPACES_DIR, type NodeNetwork } from "../../dev/network/namespaces.ts";
import { choosePort } from "../../dev/ports.ts";
import { AppId, InstanceId, NodeId, ReleaseId, TeamId } from "../../contracts/ids.ts";
import {
  ENDPOINT_FILE,
  EndpointFile,
  GATEWAY_SOCKET,
  GatewayCounters,
  type EndpointInstance,
} from "../../node-agent/endpoint-file.ts";

/** Ids that differ in their last digits only, so that a failing test names them readably. */
const digits = (number: number): string => `01h${String(number).padStart(23, "0")}`;
export const nodeId = (number: number): NodeId => NodeId.parse(`node_${digits(number)}`);
export const appId = (number: number): AppId => AppId.parse(`app_${digits(number)}`);
export const teamId = (number: number): TeamId => TeamId.parse(`team_${digits(number)}`);
export const instanceId = (number: number): InstanceId => InstanceId.parse(`ins_${digits(number)}`);
export const releaseId = (number: number): ReleaseId => ReleaseId.parse(`rel_${digits(number)}`);

export interface SigningKey {
  /** Private JWK as JSON: TICKET_SIGNING_KEY. */
  readonly secret: string;
  readonly publicKey: TicketKey;
}

export async function signingKey(kid = "t1"): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const secret: JWK = { ...(await exportJWK(privateKey)), kid };
  return {
    secret: JSON.stringify(secret),
    publicKey: TicketKey.parse({ ...(await exportJWK(publicKey)), kid }),
  };
}

export interface GatewayProcess {
  readonly dir: string;
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** Writes the endpoint file and pokes, as the agent does. */
  write(change: Partial<Pick<EndpointFile, "instances" | "routes">>): Promise<void>;
  counters(): Promise<GatewayCounters>;
  /** SIGTERM, then waits for the process to end. */
  stop(): Promise<void>;
}

export interface GatewayWish {
  readonly node: NodeId;
  readonly key: SigningKey;
  /** cpu: pins the process (taskset). */
  readonly cpu?: number;
  readonly port?: number;
  readonly limits?: Record<string, number>;
  /** A network namespace of its own, whose wires can be cut. */
  readonly network?: NodeNetwork;
}

export async function startGateway({
  node,
  key,
  cpu,
  port,
  limits = {},
  network,
}: GatewayWish): Promise<GatewayProcess> {
  const dir = await mkdtemp(join(tmpdir(), "berth-gateway-"));
  await mkdir(join(dir, "logs"));
  let file: EndpointFile = {
    node,
    ticketKeys: [key.publicKey],
    controlMinusMonotonicMs: Date.now() - Number(process.hrtime.bigint()) / 1e6,
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    routes: {},
    instances: [],
  };
  await writeFile(join(dir, ENDPOINT_FILE), JSON.stringify(file));
  const entry = new URL("./gateway-process.ts", import.meta.url).pathname;
  const host = network?.address ?? "127.0.0.1";
  // Nobody else gets its port when it has died.
  const wish = { dir, host, port: port ?? (await choosePort([])), limits };
  const node24 = [process.execPath, entry, JSON.stringify(wish)];
  const placed =
    network === undefined ? node24 : ["nsenter", `--net=${NAMESPACES_DIR}/${network.namespace}`, ...node24];
  const [command, ...args] = cpu === undefined ? placed : ["taskset", "-c", String(cpu), ...placed];
  const child = spawn(command as string, args, { stdio: ["pipe", "pipe", "inherit"] });
  const bound = await firstLine(child);
  return {
    dir,
    url: `http://${host}:${bound}`,
    port: Number(bound),
    process: child,
    write: async (change) => {
      file = { ...file, ...change };
      await writeFile(join(dir, `${ENDPOINT_FILE}.tmp`), JSON.stringify(EndpointFile.parse(file)));
      await rename(join(dir, `${ENDPOINT_FILE}.tmp`), join(dir, ENDPOINT_FILE));
      await ask(dir, "POST", "/reload");
    },
    counters: async () => GatewayCounters.parse(JSON.parse(await ask(dir, "GET", "/counters"))),
    stop: async () => {
      await ended(child);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export function endpointInstance(
  port: number,
  wish: Partial<EndpointInstance> & Pick<EndpointInstance, "instance">,
): EndpointInstance {
  return {
    generation: 1,
    app: appId(1),
    team: teamId(1),
    release: releaseId(1),
    host: "127.0.0.1",
    port,
    state: "serving",
    logPath: "/dev/null",
    ...wish,
  };
}

/** One request on the gateway's unix socket. */
export function ask(dir: string, method: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: join(dir, GATEWAY_SOCKET), method, path }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part: string) => (text += part));
      answer.on("end", () => (answer.statusCode === 200 ? resolve(text) : reject(new Error(text))));
    });
    asked.on("error", reject).end();
  });
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the gateway ended with ${code}`)));
    child.stdout?.setEncoding("utf8").once("data", (text: string) => resolve(text.trim()));
  });
}

export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}
