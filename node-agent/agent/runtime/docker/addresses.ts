// Addresses of containers, given by us: the Engine hands a dead container's address to the next one at once, which would let
// a ticket for the one reach the other until the gateway has heard of it (invariant 8).

export interface Subnet {
  /** The network's id. */
  readonly network: string;
  /** First and number of its addresses, as a number. */
  readonly first: number;
  readonly size: number;
  /** The bridge's own. */
  readonly gateway: number | null;
}

export class Addresses {
  readonly #quarantineMs: number;
  readonly #held = new Map<string, Set<number>>();
  /** Released addresses and when, oldest first. */
  readonly #resting = new Map<string, Map<number, number>>();
  readonly #next = new Map<string, number>();

  constructor(quarantineMs: number) {
    this.#quarantineMs = quarantineMs;
  }

  /** A container has it, running or not. */
  hold(network: string, address: string): void {
    this.#of(network).add(numberOf(address));
    this.#resting.get(network)?.delete(numberOf(address));
  }

  /** Its container was removed. It rests, so that what was meant for that one reaches nobody. */
  release(network: string, address: string): void {
    if (!this.#of(network).delete(numberOf(address))) return;
    const resting = this.#resting.get(network) ?? new Map<number, number>();
    this.#resting.set(network, resting);
    resting.set(numberOf(address), performance.now());
  }

  /** One that nobody has and that has rested; the one that rested longest when all others are taken. Null: none at all. */
  take(subnet: Subnet): string | null {
    const { network, first, size, gateway } = subnet;
    const held = this.#of(network);
    const resting = this.#resting.get(network);
    // Ever onwards, from anywhere: after a restart of the agent it is unlikely to begin where the last one stopped.
    const from = this.#next.get(network) ?? Math.floor(Math.random() * size);
    for (let step = 0; step < size; step += 1) {
      const address = first + ((from + step) % size);
      if (!isUsable(address, subnet) || address === gateway || held.has(address) || this.#rests(resting, address))
        continue;
      this.#next.set(network, (from + step + 1) % size);
      held.add(address);
      return textOf(address);
    }
    const [oldest] = resting?.keys() ?? [];
    if (oldest === undefined) return null;
    resting?.delete(oldest);
    held.add(oldest);
    return textOf(oldest);
  }

  forget(network: string): void {
    for (const map of [this.#held, this.#resting, this.#next]) map.delete(network);
  }

  #rests(resting: Map<number, number> | undefined, address: number): boolean {
    const sinceMs = resting?.get(address);
    if (sinceMs === undefined) return false;
    if (performance.now() - sinceMs < this.#quarantineMs) return true;
    resting?.delete(address);
    return false;
  }

  #of(network: string): Set<number> {
    const held = this.#held.get(network) ?? new Set();
    this.#held.set(network, held);
    return held;
  }
}

/** Neither the network's own nor its broadcast address, and not the first one, which bridges usually have. */
function isUsable(address: number, { first, size }: Subnet): boolean {
  return address > first + 1 && address < first + size - 1;
}

/** subnet in CIDR notation; null for what is not IPv4. */
export function subnetOf(network: string, cidr: string, gateway: string | undefined): Subnet | null {
  const [base = "", bits = ""] = cidr.split("/");
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(base) || !/^\d+$/.test(bits) || Number(bits) > 29) return null;
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(numberOf(base) / size) * size;
  return { network, first, size, gateway: gateway === undefined ? null : numberOf(gateway.split("/")[0] ?? "") };
}

function numberOf(address: string): number {
  return address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function textOf(address: number): string {
  return [2 ** 24, 2 ** 16, 2 ** 8, 1].map((unit) => Math.floor(address / unit) % 256).join(".");
}
