// What a control plane of the protocol before would refuse whole requests for is kept back from it, and told once it is newer.
import { CONDITION_KINDS_SINCE_3 } from "../../../contracts/agent-protocol.ts";
import { NOTICE_KINDS_SINCE_3 } from "../../../contracts/node-notices.ts";

interface Told {
  readonly notices?: readonly { readonly kind: string }[];
  readonly conditions?: readonly { readonly kind: string }[];
}

/** Notices go in order: from the first unknown one on they wait, because an acknowledged later one would count for all before. */
export function inOlderWords<Body extends object>(body: Body): Body {
  const { notices, conditions } = body as Told;
  const first = notices?.findIndex(({ kind }) => NOTICE_KINDS_SINCE_3.includes(kind)) ?? -1;
  return {
    ...body,
    ...(first < 0 ? {} : { notices: notices?.slice(0, first) }),
    ...(conditions ? { conditions: conditions.filter(({ kind }) => !CONDITION_KINDS_SINCE_3.includes(kind)) } : {}),
  };
}
