// What stands in the way of a set-up because it is somebody else's: pure, and looked at before anything is made.
import { NO_SERVER, recordComment, type Wanted } from "./wanted.ts";
import type { World } from "./world.ts";

/** Each a sentence with what to do. The set-up overwrites nothing that it did not make. */
export function conflictsOf(wanted: Wanted, world: World): string[] {
  return [
    ...conflictingWorkers(wanted, world),
    ...conflictingRecords(wanted, world),
    ...conflictingRoutes(wanted, world),
  ];
}

export function conflictingWorkers({ domain, workers, zone }: Wanted, { control, edge }: World): string[] {
  const both = [
    [workers.control, control],
    [workers.edge, edge],
  ] as const;
  return both.flatMap(([worker, deployed]) => {
    const other = deployed?.vars.BASE_DOMAIN;
    if (deployed === null || other === domain) return [];
    const what = other === undefined ? "is no Worker of Berth" : `serves ${other}`;
    return [`The Worker ${worker} of account ${zone.accountName} ${what}. Choose another --name for ${domain}.`];
  });
}

function conflictingRecords({ name, records }: Wanted, world: World): string[] {
  return records.flatMap(({ name: host }) => {
    const strange = world.records.filter((one) => one.name === host && one.comment !== recordComment(name));
    return strange
      .filter(({ type }) => [NO_SERVER.type, "A", "CNAME"].includes(type))
      .map(
        ({ type, content }) =>
          `${host} has a record that is not the set-up's: ${type} ${content}. Remove it, or choose another name.`,
      );
  });
}

function conflictingRoutes({ domain, apiHost, workers }: Wanted, { routes, fallback }: World): string[] {
  const mine = new Map([
    [`${apiHost}/*`, workers.control],
    [`*.${domain}/*`, workers.edge],
    ...(fallback.kind === "unavailable" ? [] : [["*/*", workers.edge] as const]),
  ]);
  return routes.flatMap(({ pattern, script }) => {
    const worker = mine.get(pattern);
    if (worker === undefined || script === worker) return [];
    return [`The route ${pattern} leads to ${script ?? "no Worker"}, and is needed for ${worker}. Remove it first.`];
  });
}
