// Cores that place as they must not: on nodes that are kept free, beside apps that are to stay apart, in racks that are taken.
import type { CellEvent } from "../../core/cell/types.ts";
import { withApp, withCell } from "./broken.ts";
import { REAL_CORE } from "./cluster.ts";

/** Gives room on nodes that an operator keeps free. */
export const unheeding = withCell((durable, volatile, event, at, limits) => {
  if (event.kind !== "reserve") return REAL_CORE.stepCell(durable, volatile, event, at, limits);
  const nodes = new Map([...durable.nodes].map(([id, node]) => [id, { ...node, cordoned: false, drain: null }]));
  const decision = REAL_CORE.stepCell({ ...durable, nodes }, volatile, event, at, limits);
  return { ...decision, rowChanges: decision.rowChanges.filter(({ table }) => table !== "nodes") };
});

/** Does not say whose instances are to come, so that nobody can be found to stay away from them. */
export const nameless = withCell((durable, volatile, event: CellEvent, at, limits) => {
  if (event.kind !== "reserve") return REAL_CORE.stepCell(durable, volatile, event, at, limits);
  const { appName: _, ...input } = event.input;
  return REAL_CORE.stepCell(durable, volatile, { ...event, input }, at, limits);
});

/** Asks for room without a word of how its instances are to be spread. */
export const crowding = withApp((durable, volatile, event, at, limits) => {
  const releases = new Map(
    [...durable.releases].map(([id, row]) => {
      const placement = { ...row.release.spec.placement, failureDomains: "preferred" as const };
      const release = { ...row.release, spec: { ...row.release.spec, placement } };
      return [id, { ...row, release }] as const;
    }),
  );
  const decision = REAL_CORE.stepApp({ ...durable, releases }, volatile, event, at, limits);
  return {
    ...decision,
    rowChanges: decision.rowChanges.filter((row) => row.table !== "releases" || !releases.has(row.key)),
  };
});
