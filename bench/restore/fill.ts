// Fills a platform: thousands of apps that are copies of one that was made and deployed through the API, each with objects and history
// of its own. Objects are loaded as a restore loads them, because 10,000 deployments would measure deployments.
import pg from "pg";
import { type LoadRequest, ObjectPage, type ObjectRef } from "../../contracts/backup.ts";
import { mintId, toUuid } from "../../db/ids.ts";

export interface Platform {
  readonly controlUrl: string;
  readonly token: string;
  readonly setupToken: string;
  readonly adminUrl: string;
}
export interface Template {
  readonly app: string;
  readonly name: string;
  readonly hostname: string;
}
export interface Filled {
  readonly apps: readonly string[];
  readonly hostnames: readonly string[];
}

/** Ids that an app's rows hold and no other app's may. */
const OWN_ID = /\b(app|rel|roll|ins)_[0-9a-hjkmnp-tv-z]{26}\b/g;
const APPS_PER_LOAD = 100;
const LOADS_AT_ONCE = 4;

export async function fill(platform: Platform, template: Template, apps: number, eventsEach: number): Promise<Filled> {
  const pages = await dumpPages(platform, [
    { kind: "app", name: template.app },
    { kind: "host", name: template.hostname },
  ]);
  const copies = Array.from({ length: apps }, (_, n) => copyOf(pages, template, n, eventsEach));
  await fillPostgres(platform, template, copies, eventsEach);
  const under = new Set<Promise<void>>();
  for (let from = 0; from < copies.length; from += APPS_PER_LOAD) {
    if (under.size >= LOADS_AT_ONCE) await Promise.race(under);
    const some = copies.slice(from, from + APPS_PER_LOAD).flatMap((copy) => copy.pages);
    const sent = load(platform, some).finally(() => under.delete(sent));
    under.add(sent);
  }
  await Promise.all(under);
  return { apps: copies.map(({ app }) => app), hostnames: copies.map(({ hostname }) => hostname) };
}

interface Copy extends Template {
  readonly ids: ReadonlyMap<string, string>;
  readonly pages: LoadRequest["pages"];
}

function copyOf(pages: readonly ObjectPage[], template: Template, n: number, eventSeq: number): Copy {
  const name = `${template.name}-${n}`;
  const hostname = template.hostname.replace(template.name, name);
  const ids = new Map<string, string>();
  const own = (text: string): string =>
    text
      .replaceAll(template.hostname, hostname)
      .replaceAll(`"name":"${template.name}"`, `"name":"${name}"`)
      .replaceAll(OWN_ID, (id, prefix: string) => ids.get(id) ?? ids.set(id, mintId(prefix)).get(id)!);
  const copied = pages.map((page) => ({ ...page, name: own(page.name), text: own(page.text), eventSeq }));
  return { app: ids.get(template.app)!, name, hostname, ids, pages: copied };
}

async function load({ controlUrl, setupToken }: Platform, pages: LoadRequest["pages"]): Promise<void> {
  const answer = await fetch(new URL("/restore/v1/objects", controlUrl), {
    method: "POST",
    headers: { authorization: `Bearer ${setupToken}`, "content-type": "application/json" },
    body: JSON.stringify({ backup: "filled", pages } satisfies LoadRequest),
  });
  if (!answer.ok) throw new Error(`filling: ${answer.status} ${(await answer.text()).slice(0, 500)}`);
}

export async function dumpPages(
  { controlUrl, token }: Pick<Platform, "controlUrl" | "token">,
  objects: readonly ObjectRef[],
): Promise<ObjectPage[]> {
  const answer = await fetch(new URL("/v1/backup/objects", controlUrl), {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ objects }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text.slice(0, 500)}`);
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line) => ObjectPage.parse(JSON.parse(line)));
}

/** As if each had been made, deployed and lived: the template's own rows under new ids, and events in its order. */
async function fillPostgres(
  { adminUrl }: Platform,
  template: Template,
  copies: readonly Copy[],
  eventsEach: number,
): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  const uuids = copies.map(({ app }) => toUuid(app, "app"));
  const of = toUuid(template.app, "app");
  try {
    await client.query("begin");
    await client.query(
      `insert into apps (id, team_id, project_id, name, regions, initial_replicas, created_by)
       select c.id, team_id, project_id, c.name, regions, initial_replicas, created_by
       from apps, unnest($2::uuid[], $3::text[]) as c(id, name) where apps.id = $1`,
      [of, uuids, copies.map(({ name }) => name)],
    );
    await client.query(
      `insert into hostnames (hostname, team_id, app_id)
       select c.hostname, team_id, c.id from apps, unnest($2::uuid[], $3::text[]) as c(id, hostname) where apps.id = $1`,
      [of, uuids, copies.map(({ hostname }) => hostname)],
    );
    await client.query(
      `insert into events (source, seq, team_id, type, version, subject, actor, cause_id, at, data)
       select 'app:' || a.id, n, t.team_id, 'app.scaled', 1, a.id, 'user:bench', null, now() - n * interval '1 minute',
         jsonb_build_object('replicas', n % 7, 'from', (n + 1) % 7, 'note', md5(a.id || n))
       from unnest($2::text[]) as a(id), generate_series(1, $3::int) as n, apps t where t.id = $1`,
      [of, copies.map(({ app }) => app), eventsEach],
    );
    await client.query(
      "insert into outbox_sources (source, last_seq) select 'app:' || a.id, $2 from unnest($1::text[]) as a(id)",
      [copies.map(({ app }) => app), eventsEach],
    );
    for (const table of ["release_history", "rollout_history"]) await copyHistory(client, table, of, copies);
    await client.query("commit");
  } finally {
    await client.end();
  }
}

async function copyHistory(client: pg.Client, table: string, of: string, copies: readonly Copy[]): Promise<void> {
  const { rows } = await client.query<{ row: Record<string, unknown> }>(
    `select to_jsonb(t) as row from ${table} t where app_id = $1`,
    [of],
  );
  const prefix = table === "release_history" ? "rel" : "roll";
  for (const { row } of rows) {
    const changed = copies.map(({ app }) => ({
      ...{ ...row, id: toUuid(mintId(prefix), prefix), app_id: toUuid(app, "app") },
    }));
    await client.query(`insert into ${table} select * from jsonb_populate_recordset(null::${table}, $1::jsonb)`, [
      JSON.stringify(changed),
    ]);
  }
}
