// What the gateway knows of its node: the endpoint file as the agent last wrote it, and the control plane's time.
import { readFileSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { TicketClaims } from "../../contracts/ticket.ts";
import { ENDPOINT_FILE, EndpointFile, type EndpointInstance, type LeaveWindow } from "../endpoint-file.ts";

export type Found =
  | { readonly kind: "here"; readonly instance: EndpointInstance }
  | { readonly kind: "gone" }
  /** The ticket names a live instance under another team or app: never to be answered by it (invariant 8). */
  | { readonly kind: "foreign" };

export class Endpoints {
  readonly #path: string;
  #file: EndpointFile | null = null;
  #byInstance = new Map<string, EndpointInstance>();
  #seen = "";

  constructor(dir: string) {
    this.#path = join(dir, ENDPOINT_FILE);
  }

  get file(): EndpointFile | null {
    return this.#file;
  }

  get size(): number {
    return this.#byInstance.size;
  }

  instances(): Iterable<EndpointInstance> {
    return this.#byInstance.values();
  }

  /** Reads the file anew. Throws when it cannot be read or is malformed; what was known stays in force then. */
  async load(): Promise<EndpointFile> {
    const seen = await markOf(this.#path);
    const file = EndpointFile.parse(JSON.parse(await readFile(this.#path, "utf8")));
    const addresses = new Map<string, number>();
    for (const { host, port, state } of file.instances) {
      if (state !== "gone") addresses.set(`${host}:${port}`, (addresses.get(`${host}:${port}`) ?? 0) + 1);
    }
    const byInstance = new Map<string, EndpointInstance>();
    for (const instance of file.instances) {
      // Two live instances cannot have one address; who is behind it is unknown, so neither gets a request.
      const shared = (addresses.get(`${instance.host}:${instance.port}`) ?? 0) > 1;
      byInstance.set(instance.instance, shared ? { ...instance, state: "gone" } : instance);
    }
    this.#file = file;
    this.#byInstance = byInstance;
    this.#seen = seen;
    return file;
  }

  /** Whether the file on disk is another one than was last read. A file that is not there has not changed. */
  async changed(): Promise<boolean> {
    try {
      return (await markOf(this.#path)) !== this.#seen;
    } catch {
      return false;
    }
  }

  find(claims: TicketClaims): Found {
    const instance = this.#byInstance.get(claims.sub);
    if (instance === undefined || instance.generation !== claims.gen) return { kind: "gone" };
    if (instance.app !== claims.app || instance.team !== claims.team) return { kind: "foreign" };
    return { kind: "here", instance };
  }

  /** When the WebSockets of an instance that was found before are to leave, if they are. */
  leaveOf({ instance, generation }: EndpointInstance): LeaveWindow | undefined {
    const now = this.#byInstance.get(instance);
    return now?.generation === generation ? now.leave : undefined;
  }

  routeVersion(app: string): number {
    return this.#file?.routes[app] ?? 0;
  }

  /**
   * The control plane's time. The file's offset is to this host's monotonic clock and dies with the boot; until an agent of
   * this boot has written it anew the wall clock stands in, or a node that rebooted in an outage could serve nobody.
   */
  controlNowMs(): number {
    if (this.#file === null || this.#file.bootId !== bootId) return Date.now();
    return performance.now() + monotonicMinusProcessMs + this.#file.controlMinusMonotonicMs;
  }
}

/** Two writes within one tick of the kernel's clock have the same mtime; the renamed file's inode tells them apart. */
async function markOf(path: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(path);
  return `${ino} ${size} ${mtimeMs}`;
}

/** performance.now() counts from this process's start by the same clock; unlike hrtime.bigint() it is cheap enough per request. */
const monotonicMinusProcessMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();
const bootId = readBootId();

function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}
