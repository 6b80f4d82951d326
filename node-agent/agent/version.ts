// The agent's version as it reports it, and the release keys that its bundle pins. Both are set when it is bundled.
import { z } from "zod";
import { ReleaseKey } from "../../contracts/agent-release.ts";

declare const BERTH_AGENT_VERSION: string | undefined;
declare const BERTH_RELEASE_KEYS: unknown;

export const AGENT_VERSION: string = typeof BERTH_AGENT_VERSION === "string" ? BERTH_AGENT_VERSION : "0.1.0";

export const PINNED_RELEASE_KEYS: readonly ReleaseKey[] = z
  .array(ReleaseKey)
  .parse(typeof BERTH_RELEASE_KEYS === "undefined" ? [] : BERTH_RELEASE_KEYS);
