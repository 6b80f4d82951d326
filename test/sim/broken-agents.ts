// Agents with one fault each, made by hand around the shipped decisions, so that every check of the ground truth is seen to fail.
import type { InstanceFailure } from "../../contracts/failures.ts";
import { converge } from "../../core/converge/converge.ts";
import { endpointState } from "../../core/converge/local.ts";
import type { Broken } from "./broken.ts";
import { REAL_CORE, type Core } from "./cluster.ts";
import type { FaultClass } from "./faults.ts";
import { GOOD_HABITS, type AgentHabits } from "./node/habits.ts";

const withHabits =
  (change: Partial<AgentHabits>): (() => Core) =>
  () => ({ ...REAL_CORE, habits: { ...GOOD_HABITS, ...change } });

const only = (...classes: FaultClass[]): ReadonlySet<FaultClass> => new Set(classes);

const ENDED: InstanceFailure = { code: "exited", message: "it ended with 0", exitCode: 0, signal: null, logTail: [] };

export const BROKEN_AGENTS: readonly Broken[] = [
  {
    name: "acts on whichever document comes last",
    invariant: 2,
    core: withHabits({ isNewer: () => true }),
    setup: { faults: only("duplication", "delay", "reordering") },
  },
  {
    name: "forgets that a stop is final",
    invariant: 2,
    core: withHabits({
      isNewer: (known, offered) => known === null || offered.revision !== known.revision,
      converge: (input) => converge({ ...input, fences: new Map() }),
    }),
    setup: { faults: only("duplication", "delay", "reordering") },
  },
  {
    name: "lets its gateway serve what its document does not name",
    invariant: 2,
    core: withHabits({ endpointState: (state) => endpointState(state, "run") }),
  },
  {
    name: "starts instances again that run already",
    invariant: 3,
    core: withHabits({ looksFirst: false }),
    setup: { faults: only("agent") },
  },
  {
    name: "runs a release's command again",
    invariant: 3,
    core: withHabits({
      converge: (input) => {
        const instances = input.desired.instances.map((wanted) => ({ ...wanted, job: null }));
        const local = input.local.map(({ state, ...rest }) => ({
          ...rest,
          state:
            state.kind === "done" ? ({ kind: "ended", failure: ENDED, endedAtMs: 0, retryAtMs: 0 } as const) : state,
        }));
        return converge({ ...input, desired: { ...input.desired, instances }, local });
      },
    }),
  },
  {
    name: "runs strict singletons on without a lease",
    invariant: 4,
    core: withHabits({ converge: (input) => converge({ ...input, covered: true }), isFencing: false }),
    setup: { minutes: 4, faults: only("isolation"), kinds: ["strict", "strict", "strict"] },
  },
  {
    name: "stops its instances when the control plane is silent",
    invariant: 5,
    core: withHabits({ stopsAfterSilenceMs: 10_000 }),
    setup: { faults: only("partition", "silence", "isolation") },
  },
  {
    name: "stops what no longer passes its probe",
    invariant: 5,
    core: withHabits({
      converge: (input) => {
        const plan = converge(input);
        const unwell = input.local.filter(({ state }) => state.kind === "running" && state.failure !== null);
        const stops = unwell.map(({ instance }) => ({ kind: "stop" as const, instance, reason: "it is unwell" }));
        return { ...plan, actions: [...plan.actions, ...stops] };
      },
    }),
    setup: { faults: only("sick") },
  },
  {
    name: "waits out what a step of its clock made of a backoff",
    invariant: 20,
    core: withHabits({
      converge: (input) => {
        const local = input.local.map(({ state, ...rest }) => ({
          ...rest,
          state: state.kind === "ended" ? { ...state, endedAtMs: 0 } : state,
        }));
        return converge({ ...input, local });
      },
    }),
    setup: { faults: only("clock", "power", "crash"), nodes: 2 },
  },
];
