// The decisions of an agent that a broken one would take otherwise; the shipped functions are the good ones.
import type { DesiredDocument } from "../../../contracts/desired.ts";
import { converge } from "../../../core/converge/converge.ts";
import { endpointState } from "../../../core/converge/local.ts";

export interface AgentHabits {
  readonly converge: typeof converge;
  readonly endpointState: typeof endpointState;
  readonly isNewer: (known: DesiredDocument | null, offered: DesiredDocument) => boolean;
  /** Whether it lists what runs before it starts anything, and finds a container by its name. */
  readonly looksFirst: boolean;
  /** Whether it, and its watchdog, end strict singletons that no lease covers. */
  readonly isFencing: boolean;
  /** Stops everything after so much silence of the control plane. */
  readonly stopsAfterSilenceMs: number;
}

export const GOOD_HABITS: AgentHabits = {
  converge,
  endpointState,
  isNewer: (known, offered) => known === null || offered.revision > known.revision,
  looksFirst: true,
  isFencing: true,
  stopsAfterSilenceMs: Infinity,
};
