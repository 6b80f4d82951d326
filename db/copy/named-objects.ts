// Which objects there are, as far as Postgres names them; and each rate limiter counts one minute, which nobody misses.
import type { ObjectRef } from "../../contracts/backup.ts";
import { fromUuid } from "../ids.ts";
import type { Dump } from "./dump.ts";

/**
 * Apps before Cells: what a Cell says of an App's instances is then never older than what the App believes. A restore keeps
 * this order: an App that is loaded finds its Region and its Hosts, and a Cell that is loaded its Apps.
 */
export async function namedObjects(dump: Pick<Dump, "ask">): Promise<ObjectRef[]> {
  const apps = await dump.ask<{ id: string }>("select id from apps order by id");
  const hosts = await dump.ask<{ name: string }>(
    "select hostname as name from hostnames union select hostname from domain_holds order by 1",
  );
  const cells = await dump.ask<{ name: string }>("select distinct cell as name from nodes order by 1");
  // A cell is named `<region>.<number>`.
  const regions = new Set(cells.map(({ name }) => name.slice(0, name.lastIndexOf("."))));
  return [
    ...[...regions].map((name) => ({ kind: "region" as const, name })),
    ...hosts.map(({ name }) => ({ kind: "host" as const, name })),
    ...apps.map(({ id }) => ({ kind: "app" as const, name: fromUuid("app", id) })),
    ...cells.map(({ name }) => ({ kind: "cell" as const, name })),
  ];
}
