// Which other nodes' tickets are good here: those of the snapshot that the agent keeps, each by its own key.
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { importJWK } from "jose";
import type { NodeId } from "../../contracts/ids.ts";
import { PEERS_FILE, PeersFile } from "../snapshot-file.ts";

type Key = Awaited<ReturnType<typeof importJWK>>;

export class Peers {
  readonly #path: string;
  #stamp = "";
  #version = 0;
  #signKeys = new Map<NodeId, string>();
  #imported = new Map<string, Key>();

  constructor(dir: string) {
    this.#path = join(dir, PEERS_FILE);
  }

  async changed(): Promise<boolean> {
    return (await this.#look()) !== this.#stamp;
  }

  /** Answers the nodes that are not believed any more, or by another key. An older file than known is passed over. */
  async load(): Promise<ReadonlySet<NodeId>> {
    const stamp = await this.#look();
    if (stamp === this.#stamp || stamp === "") return new Set();
    const { version, nodes } = PeersFile.parse(JSON.parse(await readFile(this.#path, "utf8")));
    this.#stamp = stamp;
    if (version < this.#version) return new Set();
    const before = this.#signKeys;
    this.#version = version;
    this.#signKeys = new Map(nodes.map(({ node, signKey }) => [node, signKey]));
    const out = [...before].filter(([node, signKey]) => this.#signKeys.get(node) !== signKey);
    for (const [, signKey] of out) this.#imported.delete(signKey);
    return new Set(out.map(([node]) => node));
  }

  /** Imported when its first ticket comes: most nodes of a region never send one. */
  async keyOf(node: string): Promise<Key | null> {
    const signKey = this.#signKeys.get(node as NodeId);
    if (signKey === undefined) return null;
    const known = this.#imported.get(signKey);
    if (known !== undefined) return known;
    const key = await importJWK({ kty: "OKP", crv: "Ed25519", x: signKey }, "EdDSA");
    this.#imported.set(signKey, key);
    return key;
  }

  async #look(): Promise<string> {
    try {
      const { ino, mtimeMs, size } = await stat(this.#path);
      return `${ino}/${mtimeMs}/${size}`;
    } catch {
      return "";
    }
  }
}
