// What a start asks the control plane for: the sealed environment and pull credential, and bundles.
import type { IncomingMessage } from "node:http";
import { compactDecrypt } from "jose";
import { z } from "zod";
import { AGENT_PROTOCOL, EnvironmentResponse } from "../../../contracts/agent-protocol.ts";
import type { DesiredInstance } from "../../../contracts/desired.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { Keys } from "../state/identity.ts";
import { type Control, Refused } from "./control.ts";
import { backoffMs, pause } from "./pause.ts";

const Environment = z.record(z.string(), z.string());
const PullCredential = z.object({ username: z.string(), password: z.string(), registry: z.string() });
export type PullCredential = z.infer<typeof PullCredential>;

/** Plaintext: in memory and in the container only; never on disk of ours, in argv, or in a log line. */
export interface Secrets {
  readonly environment: Readonly<Record<string, string>>;
  readonly pullCredential: PullCredential | null;
}

export const NO_SECRETS: Secrets = { environment: {}, pullCredential: null };

export class Asks {
  readonly #control: Control;
  readonly #keys: Keys;
  readonly #limits: AgentLimits;

  constructor(control: Control, keys: Keys, limits: AgentLimits) {
    this.#control = control;
    this.#keys = keys;
    this.#limits = limits;
  }

  /** Waits as long as the control plane is silent (the start waits too); throws Refused when it says no. */
  async secrets({ instance, generation }: DesiredInstance, signal: AbortSignal): Promise<Secrets> {
    const path = `/agent/v1/instances/${instance}/environment`;
    const body = { protocol: AGENT_PROTOCOL, generation };
    const answer = await this.#patiently(signal, () =>
      this.#control.call(
        { lane: "ask", method: "POST", path, body, timeoutMs: this.#limits.askTimeoutMs, signal },
        EnvironmentResponse,
      ),
    );
    if (answer === null) return NO_SECRETS;
    return {
      environment: await this.#unseal(answer.environment, Environment),
      pullCredential:
        answer.pullCredential === null ? null : await this.#unseal(answer.pullCredential, PullCredential.nullable()),
    };
  }

  /** The gzipped tar. Waits as `secrets` does. */
  bundle(hash: string, instance: string, signal: AbortSignal): Promise<IncomingMessage> {
    const path = `/agent/v1/bundles/${hash}?instance=${instance}`;
    return this.#patiently(signal, () =>
      this.#control.download({ lane: "ask", method: "GET", path, timeoutMs: 300_000, signal }),
    );
  }

  /** An agent release's bytes, tried once: whoever wants them has its own patience. */
  agent(sha256: string, signal: AbortSignal): Promise<IncomingMessage> {
    const path = `/agent/v1/agents/${sha256}`;
    return this.#control.download({ lane: "ask", method: "GET", path, timeoutMs: 300_000, signal });
  }

  async #patiently<Value>(signal: AbortSignal, ask: () => Promise<Value>): Promise<Value> {
    for (let failures = 1; ; failures += 1) {
      try {
        return await ask();
      } catch (error) {
        signal.throwIfAborted();
        const refused = error instanceof Refused ? error : null;
        if (refused !== null && refused.status < 500 && refused.status !== 429 && refused.status !== 408) throw error;
        const { askBackoffMinMs, askBackoffMaxMs } = this.#limits;
        await pause(backoffMs(failures, askBackoffMinMs, askBackoffMaxMs, refused?.retryAfterMs ?? null), signal);
      }
    }
  }

  async #unseal<Schema extends z.ZodType>(sealed: string, schema: Schema): Promise<z.output<Schema>> {
    const { plaintext } = await compactDecrypt(sealed, this.#keys.sealKey, {
      keyManagementAlgorithms: ["ECDH-ES"],
      contentEncryptionAlgorithms: ["A256GCM"],
    });
    const text = new TextDecoder().decode(plaintext);
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      // The parser's own message may quote what it could not read.
      throw new Error("the sealed value is not of the agreed shape");
    }
  }
}
