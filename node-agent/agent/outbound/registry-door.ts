// Whether the Engine may pull from a registry that a tenant named: where its name leads, and where it sends for tokens. ADR 28.
import type { OutboundRules } from "../../../core/outbound/judge.ts";
import { judgeName, type LookUp, OutboundRefused, pinnedRequest, targetOf } from "./pinned-request.ts";

/** The Engine's own registry, often behind a mirror of the operator's: its name says nothing of where is pulled from. */
const DEFAULT_REGISTRY = "docker.io";
/** A registry that is slower tells the Engine, which waits longer, and us nothing. */
const TIMEOUT_MS = 3_000;
/** Names change where they lead; a rollout of many instances is not to ask for each. */
const ADMITTED_FOR_MS = 60_000;
const ADMITTED_MAX = 256;

export class RegistryDoor {
  readonly #rules: OutboundRules;
  readonly #lookUp: LookUp | undefined;
  /** By registry: until when, by the monotonic clock. */
  readonly #admitted = new Map<string, number>();

  constructor({ exceptions, lookUp }: Pick<OutboundRules, "exceptions"> & { readonly lookUp?: LookUp }) {
    this.#rules = { exceptions };
    this.#lookUp = lookUp;
  }

  /** Null: admitted; else why not. What cannot be found out here is the Engine's to say. */
  async refusal(registry: string): Promise<string | null> {
    if (registry === DEFAULT_REGISTRY) return null;
    if ((this.#admitted.get(registry) ?? 0) > performance.now()) return null;
    try {
      await this.#look(registry);
    } catch (error) {
      if (error instanceof OutboundRefused) return error.message;
    }
    if (this.#admitted.size >= ADMITTED_MAX) this.#admitted.clear();
    this.#admitted.set(registry, performance.now() + ADMITTED_FOR_MS);
    return null;
  }

  async #look(registry: string): Promise<void> {
    const url = `https://${registry}/v2/`;
    const options = { rules: this.#rules, timeoutMs: TIMEOUT_MS, ...(this.#lookUp ? { lookUp: this.#lookUp } : {}) };
    const target = targetOf(url, this.#rules);
    // The operator's own: it is not asked what it says.
    if (target.isException) return;
    const { headers, body } = await pinnedRequest(url, options);
    await body.dump({ limit: 1_024 });
    for (const realm of realmsIn(headers["www-authenticate"])) await judgeName(targetOf(realm, this.#rules), options);
  }
}

/** Where the Engine goes for a token (RFC 6750, the registry's token specification): the registry's word, which it may not have of us. */
function realmsIn(header: string | string[] | undefined): string[] {
  const text = [header ?? []].flat().join(", ");
  return [...text.matchAll(/realm="([^"]{1,2048})"/gi)].flatMap(([, realm]) => realm ?? []).filter(isUrl);
}

/** Of Basic authentication a realm is any text. */
const isUrl = (realm: string): boolean => /^[a-z][a-z0-9+.-]*:/i.test(realm);
