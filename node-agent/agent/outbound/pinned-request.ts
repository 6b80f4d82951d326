// A request to where a user's word leads, dialled at the very addresses that were judged: a name that answers otherwise a moment later
// (DNS rebinding) is not asked again. No redirect is followed. ADR 28.
import { lookup, type LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { Agent, request, type Dispatcher } from "undici";
import { judgeAddresses, judgeUrl, type OutboundRules, type Target } from "../../../core/outbound/judge.ts";

/** All addresses of a name, as this host's resolver has them. */
export type LookUp = (host: string, done: (error: Error | null, found: LookupAddress[]) => void) => void;

/** For the one who named the place. */
export class OutboundRefused extends Error {
  override readonly name = "OutboundRefused";
}

export interface PinnedOptions {
  readonly rules: OutboundRules;
  readonly timeoutMs: number;
  readonly lookUp?: LookUp;
}

const ofThisHost: LookUp = (host, done) => lookup(host, { all: true }, done);

export function targetOf(url: string, rules: OutboundRules): Target {
  const said = judgeUrl(url, rules);
  if (said.kind === "refused") throw new OutboundRefused(said.message);
  return said;
}

/** GET; the headers' end of it: whoever wants the body reads it. Throws OutboundRefused, or what the network failed of. */
export async function pinnedRequest(url: string, options: PinnedOptions): Promise<Dispatcher.ResponseData> {
  const target = targetOf(url, options.rules);
  const signal = AbortSignal.timeout(options.timeoutMs);
  // One connection and no keeping: its addresses were judged for this request.
  const dispatcher = new Agent({ pipelining: 0, connections: 1, connect: { lookup: pinned(target, options) } });
  try {
    const answer = await request(target.url, { dispatcher, signal });
    answer.body.once("close", () => void dispatcher.close());
    return answer;
  } catch (error) {
    void dispatcher.destroy();
    throw error;
  }
}

/** Whether a name leads only where we may: without a request. A name that has no address is nobody's to refuse. */
export async function judgeName(target: Target, { rules, lookUp = ofThisHost }: PinnedOptions): Promise<void> {
  if (!target.resolve) return;
  const found = await new Promise<LookupAddress[]>((resolve) =>
    lookUp(target.host, (error, addresses) => resolve(error === null ? addresses : [])),
  );
  if (found.length === 0) return;
  refuse(target, found, rules);
}

function refuse(target: Target, found: readonly LookupAddress[], rules: OutboundRules): void {
  const addresses = found.map(({ address }) => address);
  const refusal = judgeAddresses(target, addresses, rules);
  if (refusal !== null) throw new OutboundRefused(refusal.message);
}

/** What the socket asks for its host's addresses: it dials what this answers, and nothing else. */
function pinned(target: Target, { rules, lookUp = ofThisHost }: PinnedOptions): LookupFunction {
  return (host, { all }, done) =>
    lookUp(host, (error, found) => {
      try {
        if (error !== null) throw error;
        if (target.resolve) refuse(target, found, rules);
        const [first] = found;
        if (first === undefined) throw new Error(`${host} has no address`);
        if (all === true) done(null, found);
        else done(null, first.address, first.family);
      } catch (refusal) {
        done(refusal as Error, "", 0);
      }
    });
}
