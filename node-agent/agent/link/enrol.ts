// Enrolment: a join token and our public keys for a node credential. Once; tried again with the same keys until it is answered.
import type { Logger } from "pino";
import { AGENT_PROTOCOL, type EnrolRequest, EnrolResponse } from "../../../contracts/agent-protocol.ts";
import type { Enrolled, Identity } from "../state/identity.ts";
import { type Control, Refused } from "./control.ts";
import { backoffMs, pause } from "./pause.ts";

export type EnrolFacts = Omit<EnrolRequest, "protocol" | "signKey" | "sealKey">;

/** Throws Refused when the control plane says no for good (a used, unknown or expired token, a wrong request). */
export async function enrol(
  control: Control,
  identity: Identity,
  facts: EnrolFacts,
  log: Logger,
  signal: AbortSignal,
): Promise<Enrolled> {
  const body: EnrolRequest = {
    ...facts,
    protocol: AGENT_PROTOCOL,
    signKey: identity.keys.signPublicX,
    sealKey: identity.keys.sealPublicX,
  };
  for (let failures = 1; ; failures += 1) {
    try {
      const answer = await control.call(
        { lane: "ask", method: "POST", path: "/agent/v1/enrol", body, timeoutMs: 15_000, signal },
        EnrolResponse,
      );
      if (answer === null) throw new Error("the control plane answered without a body");
      const { node, cell, credential, ticketKeys } = answer;
      const runtime = { kind: facts.runtime, platform: facts.platform };
      const enrolled = { node, cell, credential, ticketKeys, runtime };
      await identity.setEnrolled(enrolled);
      return enrolled;
    } catch (error) {
      signal.throwIfAborted();
      const clockOff = error instanceof Refused && error.code === "proof_invalid" && failures < 3;
      if (error instanceof Refused && isFinal(error) && !clockOff) throw error;
      const retryAfterMs = error instanceof Refused ? error.retryAfterMs : null;
      const waitMs = backoffMs(failures, 200, 10_000, retryAfterMs);
      log.warn({ error: String(error), waitMs: Math.round(waitMs) }, "enrolment is tried again");
      await pause(waitMs, signal);
    }
  }
}

function isFinal({ status, code }: Refused): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429 && code !== null;
}
