// Which DNS records lead visitors to the racks: addresses that were seen to be an ingress, under every name that is to be moved.
import { isIPv6 } from "node:net";
import { z } from "zod";

/** What `/.berth/ingress` says of itself. */
const Told = z.object({
  ingress: z.literal(true),
  region: z.string().nullable(),
  version: z.number(),
  atMs: z.number(),
  apps: z.number(),
  baseDomain: z.string().nullable().default(null),
});

export interface Looked {
  readonly address: string;
  /** Null: it is no ingress, or cannot be reached; why says what happened. */
  readonly told: z.infer<typeof Told> | null;
  readonly why: string | null;
}

export interface Change {
  readonly name: string;
  readonly type: "A" | "AAAA";
  readonly values: readonly string[];
  readonly ttlSeconds: number;
}

/** On the day when all visitors come to the racks, one that is slow to answer is an ingress still. */
const LOOK_TIMEOUT_MS = 10_000;

/** From here, over plain HTTP: that a port is open says nothing, that an ingress knows its region does. */
export async function lookAt(address: string, port: number): Promise<Looked> {
  const host = isIPv6(address) ? `[${address}]` : address;
  try {
    const signal = AbortSignal.timeout(LOOK_TIMEOUT_MS);
    const answer = await fetch(`http://${host}:${port}/.berth/ingress`, { signal, redirect: "manual" });
    const told = Told.safeParse(await answer.json().catch(() => null));
    if (!told.success) return { address, told: null, why: `something else answers there (HTTP ${answer.status})` };
    if (told.data.version === 0) return { address, told: null, why: "it has no snapshot of its region yet" };
    return { address, told: told.data, why: null };
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } };
    return { address, told: null, why: cause?.code ?? (error instanceof Error ? error.message : String(error)) };
  }
}

/** One change per name and family of addresses. */
export function changesFor(names: readonly string[], addresses: readonly string[], ttlSeconds: number): Change[] {
  const families = [
    { type: "A", values: addresses.filter((address) => !isIPv6(address)) },
    { type: "AAAA", values: addresses.filter(isIPv6) },
  ] as const;
  return names.flatMap((name) =>
    families.filter(({ values }) => values.length > 0).map((family) => ({ name, ...family, ttlSeconds })),
  );
}
