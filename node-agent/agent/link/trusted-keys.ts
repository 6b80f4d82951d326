// Which ticket keys the gateway is to trust: asked for now and then, so that a key that is to sign is known here before it does.
import { decodeProtectedHeader } from "jose";
import type { Logger } from "pino";
import { KeysResponse } from "../../../contracts/agent-keys.ts";
import { AGENT_PROTOCOL } from "../../../contracts/agent-protocol.ts";
import type { AgentLimits } from "../../../core/converge/limits.ts";
import type { Identity } from "../state/identity.ts";
import { type Control, Refused } from "./control.ts";
import { backoffMs, pause } from "./pause.ts";

const BACKOFF_MAX_MS = 30_000;

export async function keepTrustedKeys(
  { control, identity, limits, log, trust }: KeysPorts,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  // A fleet that is started at once does not ask at once.
  await pause(Math.random() * Math.min(limits.keysEveryMs, BACKOFF_MAX_MS), signal);
  while (!signal.aborted) {
    try {
      const changed = await askKeys(control, identity, limits);
      failures = 0;
      if (changed) {
        await trust();
        log.info({ trusted: kidsOf(identity) }, "the platform's keys changed");
        // At once: somebody waits for this node to say so.
        continue;
      }
      await pause(limits.keysEveryMs * (0.75 + Math.random() / 2), signal);
    } catch (error) {
      failures += 1;
      // A control plane of before keys were rotated has no such endpoint: it hands them out with credentials alone.
      const isUnknown = error instanceof Refused && (error.status === 404 || error.status === 405);
      await pause(isUnknown ? limits.keysEveryMs : backoffMs(failures, 1_000, BACKOFF_MAX_MS, null), signal);
    }
  }
}

export interface KeysPorts {
  readonly control: Control;
  readonly identity: Identity;
  readonly limits: AgentLimits;
  readonly log: Logger;
  readonly trust: () => Promise<void>;
}

/** Whether something is otherwise than it was said to be. */
async function askKeys(control: Control, identity: Identity, limits: AgentLimits): Promise<boolean> {
  const { enrolled } = identity;
  if (enrolled === null) return false;
  const ticket = kidsOf(identity);
  const credential = decodeProtectedHeader(enrolled.credential).kid ?? "";
  const body = { protocol: AGENT_PROTOCOL, ticket, credential };
  const call = { lane: "ask", method: "POST", path: "/agent/v1/keys", body } as const;
  const answer = await control.call({ ...call, timeoutMs: limits.askTimeoutMs }, KeysResponse);
  if (answer === null) return false;
  if (answer.renew) await control.renew();
  const { ticketKeys } = answer;
  const isSame = ticketKeys.length === ticket.length && ticketKeys.every(({ kid }) => ticket.includes(kid));
  // What stands there now: a renewal may have come in between.
  if (!isSame && identity.enrolled !== null) await identity.setEnrolled({ ...identity.enrolled, ticketKeys });
  return !isSame || answer.renew;
}

const kidsOf = ({ enrolled }: Identity): string[] => (enrolled?.ticketKeys ?? []).map(({ kid }) => kid);
