// What `berth setup --destroy` removes, in the reverse of the order in which it was made. Pure: only what is the set-up's own.
import { recordComment, type Wanted } from "./wanted.ts";
import { noteOf, type World } from "./world.ts";

export type Removal =
  | { readonly kind: "fallback"; readonly origin: string }
  | { readonly kind: "route"; readonly id: string; readonly pattern: string }
  | { readonly kind: "worker"; readonly name: string; readonly holds: string }
  | { readonly kind: "namespace"; readonly id: string; readonly title: string }
  | { readonly kind: "bucket"; readonly name: string }
  | { readonly kind: "certificate"; readonly id: string; readonly hosts: readonly string[] }
  | { readonly kind: "record"; readonly id: string; readonly name: string }
  | { readonly kind: "database" };

/** The control plane makes nodes' records with it: workers/control/names/cloudflare-dns.ts. */
const NODE_COMMENT = "A Berth node's";

export function planRemoval(wanted: Wanted, world: World, dropData: boolean): Removal[] {
  const { workers, name, domainsHost, namespaceTitle, bucketName, nodesZone } = wanted;
  const mine = [workers.control, workers.edge];
  const bypass = noteOf(world.control)?.bypass ?? [];
  // `*/*` goes before the exceptions to it, so that no other name of the zone falls to a Worker in between.
  const routes = world.routes.filter(({ script }) => script != null && mine.includes(script));
  const exceptions = world.routes.filter(({ script, pattern }) => script == null && bypass.includes(pattern));
  const records = world.records.filter(
    ({ comment, name: host }) =>
      comment === recordComment(name) || (host.endsWith(`.${nodesZone}`) && comment === NODE_COMMENT),
  );
  const hosts = wanted.certificateHosts;
  const packs = world.packs.filter(
    ({ type, hosts: held }) =>
      type === "advanced" && hosts !== null && String([...held].sort()) === String([...hosts].sort()),
  );
  return [
    ...(world.fallback.kind === "origin" && world.fallback.origin === domainsHost
      ? [{ kind: "fallback", origin: domainsHost } as const]
      : []),
    ...[...routes, ...exceptions].map(({ id, pattern }): Removal => ({ kind: "route", id, pattern })),
    ...(world.edge === null ? [] : [{ kind: "worker", name: workers.edge, holds: "apps' way in" } as const]),
    ...(world.control === null
      ? []
      : [{ kind: "worker", name: workers.control, holds: "the state of all apps and nodes, and the keys" } as const]),
    ...(world.namespaceId === null
      ? []
      : [{ kind: "namespace", id: world.namespaceId, title: namespaceTitle } as const]),
    ...(world.hasBucket ? [{ kind: "bucket", name: bucketName } as const] : []),
    ...packs.map(({ id, hosts: held }): Removal => ({ kind: "certificate", id, hosts: held })),
    ...records.map(({ id, name: host }): Removal => ({ kind: "record", id, name: host })),
    ...(dropData ? [{ kind: "database" } as const] : []),
  ];
}

export function removalText(removal: Removal): string {
  switch (removal.kind) {
    case "fallback":
      return `Fallback origin of custom hostnames ${removal.origin}`;
    case "route":
      return `Route ${removal.pattern}`;
    case "worker":
      return `Worker ${removal.name}, with ${removal.holds}`;
    case "namespace":
      return `KV namespace ${removal.title}`;
    case "bucket":
      return `R2 bucket ${removal.name}, with every bundle in it`;
    case "certificate":
      return `Certificate for ${removal.hosts.join(", ")}`;
    case "record":
      return `DNS record ${removal.name}`;
    case "database":
      return "Postgres: all tables of Berth with everything in them, and its roles";
  }
}
