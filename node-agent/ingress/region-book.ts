// What the ingress knows of its region: the agent's file, read again whenever it is another one.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { NodeId } from "../../contracts/ids.ts";
import type { Route } from "../../contracts/route.ts";
import { Snapshot, type SnapshotPort } from "../../contracts/snapshot.ts";
import { wildcardAbove } from "../../core/domains/hostname.ts";
import { REGION_FILE } from "../snapshot-file.ts";

export class RegionBook {
  readonly #path: string;
  #stamp = "";
  #snapshot: Snapshot | null = null;
  #routes = new Map<string, Route>();
  #gateways = new Map<NodeId, string>();

  constructor(dir: string) {
    this.#path = join(dir, REGION_FILE);
  }

  get snapshot(): Snapshot | null {
    return this.#snapshot;
  }

  get ports(): readonly SnapshotPort[] {
    return this.#snapshot?.ports ?? [];
  }

  /** True: there is a newer one. A file that cannot be read, or is older, changes nothing. */
  async look(): Promise<boolean> {
    const stamp = await stat(this.#path).then(
      ({ ino, mtimeMs, size }) => `${ino}/${mtimeMs}/${size}`,
      () => "",
    );
    if (stamp === this.#stamp || stamp === "") return false;
    this.#stamp = stamp;
    const read = Snapshot.parse(JSON.parse(await readFile(this.#path, "utf8")));
    if (read.version < (this.#snapshot?.version ?? 0)) return false;
    this.#snapshot = read;
    this.#gateways = new Map(read.nodes.map(({ node, gatewayUrl }) => [node, gatewayUrl]));
    this.#routes = new Map(read.routes.flatMap(({ hostnames, route }) => hostnames.map((name) => [name, route])));
    return true;
  }

  /** The hostname itself wins over the wildcard above it. */
  routeOf(hostname: string): Route | null {
    const own = this.#routes.get(hostname);
    if (own !== undefined) return own;
    const above = wildcardAbove(hostname, this.#snapshot?.baseDomain ?? "");
    return above === null ? null : (this.#routes.get(above) ?? null);
  }

  gatewayOf(node: NodeId): string | null {
    return this.#gateways.get(node) ?? null;
  }
}
