// Puts a backup into an empty platform: everything is checked first, then bundles, objects, Postgres, and what objects had still to hand over.
import { type BackupHeader, type LoadRequest, ObjectPage } from "../../contracts/backup.ts";
import { openLoad, type Load } from "../../db/copy/load.ts";
import type { Api } from "../client.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { migrationStateOf } from "../setup/database.ts";
import { type Contents, readContents } from "./contents.ts";
import { handOverEvents, fingerprintsOf, loadObjects, putDocuments } from "./control.ts";
import { type Opening, readSealed } from "./envelope.ts";
import { putBundles, requireBundles } from "./put-bundles.ts";
import type { Store } from "./store.ts";
import { OBJECTS, readSections, tableSection } from "./sections.ts";

export interface RestoreOptions {
  readonly api: Api;
  readonly adminUrl: string;
  readonly path: string;
  /** null: it is to go on without them. */
  readonly bundles: Store | null;
  readonly opening: Opening;
  readonly progress: (done: string) => void;
}

export interface Restored {
  readonly backup: string;
  readonly madeAtMs: number;
  readonly objects: number;
  readonly rows: number;
  readonly events: number;
  /** Those that the platform did not have. */
  readonly bundles: number;
}

/** Stopped in between it can be begun again: objects that have this backup's rows are left as they are. */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { api, adminUrl, path, opening, progress, bundles: store } = options;
  const contents = await readContents(path, opening);
  const { header } = contents;
  progress(
    `the backup of ${new Date(header.startedAtMs).toISOString()} is whole: ${contents.objects} objects, ${contents.rows} rows`,
  );
  const bundles = store === null ? null : { store, opening, lines: contents.bundles };
  if (bundles) await requireBundles(bundles);
  await requireKnownSchema(adminUrl, header);
  await requireSameKeys(api, header);
  const state = await stateOfPostgres(adminUrl, header.backup);
  let bundlesPut = 0;
  if (state === "empty") {
    if (bundles) bundlesPut = await putBundles(api, bundles);
    await putDocuments(api, contents.documents);
    progress(`${bundlesPut} bundles are in, of ${contents.bundles.length}`);
    await sendObjects(options, contents);
    progress(`${contents.objects} objects are in`);
    await fillPostgres(options, contents);
    progress(`${contents.rows} rows are in`);
  }
  const events = await handOver(api, adminUrl, contents);
  return {
    backup: header.backup,
    madeAtMs: contents.endedAtMs,
    objects: contents.objects,
    rows: contents.rows,
    events,
    bundles: bundlesPut,
  };
}

async function requireKnownSchema(adminUrl: string, { migrations, platform }: BackupHeader): Promise<void> {
  const { applied, pending } = await migrationStateOf(adminUrl);
  const missing = migrations.filter((at) => !applied.includes(at));
  if (missing.length === 0) return;
  const hint =
    pending > 0
      ? "Bring the new Postgres to this version first: `berth setup` migrates it."
      : `Use Berth ${platform}, which made it, or a newer one.`;
  throw new CommandFailure(
    `The backup has ${missing.length} migrations that this Postgres lacks; nothing was written`,
    EXIT.failed,
    hint,
  );
}

async function requireSameKeys(api: Api, { keys }: BackupHeader): Promise<void> {
  const target = await fingerprintsOf(api);
  const others = Object.keys(keys.fingerprints).filter((name) => target[name] !== keys.fingerprints[name]);
  if (others.length === 0) return;
  throw new CommandFailure(
    `${api.apiUrl} was set up with other keys than the backup's: ${others.join(", ")}; nothing was written`,
    EXIT.failed,
    "`berth restore --keys-to <file>` takes the backup's keys out of it; set the platform up with them first.",
  );
}

/** resumable: this very backup is in, but for what its objects had still to hand over. */
async function stateOfPostgres(adminUrl: string, backup: string): Promise<"empty" | "resumable"> {
  return withLoad(adminUrl, async (load) => {
    const { rows } = await load.run("select backup, ended_at from restores");
    if (rows.some((row) => row.backup === backup && row.ended_at === null)) return "resumable";
    await requireEmpty(load);
    return "empty";
  });
}

async function requireEmpty(load: Load): Promise<void> {
  const filled = await load.firstFilled();
  if (filled === null) return;
  throw new CommandFailure(
    `This platform is not empty: the table ${filled} has rows; nothing was written`,
    EXIT.failed,
    "A backup goes into a new Postgres and a new control plane, before anybody has signed in.",
  );
}

async function withLoad<Value>(adminUrl: string, work: (load: Load) => Promise<Value>): Promise<Value> {
  const load = await openLoad(adminUrl);
  try {
    const value = await work(load);
    await load.commit();
    return value;
  } finally {
    await load.close();
  }
}

/** Requests of so many characters, or so many pages; and so many at the same time. */
const REQUEST_CHARS = 4_000_000;
const REQUEST_PAGES = 100;
const REQUESTS_AT_ONCE = 4;

async function sendObjects({ api, path, opening }: RestoreOptions, contents: Contents): Promise<void> {
  const { backup } = contents.header;
  const under = new Set<Promise<void>>();
  let pages: LoadRequest["pages"] = [];
  let chars = 0;
  const send = async () => {
    if (pages.length === 0) return;
    if (under.size >= REQUESTS_AT_ONCE) await Promise.race(under);
    const sent = loadObjects(api, { backup, pages }).finally(() => under.delete(sent));
    sent.catch(() => undefined);
    under.add(sent);
    [pages, chars] = [[], 0];
  };
  let kind: string | null = null;
  await readSections(readSealed(path, opening), {
    line: async (line, { name }) => {
      if (name !== OBJECTS) return;
      const page = ObjectPage.parse(JSON.parse(line));
      const last = page.page === page.pages - 1;
      // What comes later may ask what came before.
      if (kind !== null && page.kind !== kind) await send().then(() => Promise.all(under));
      kind = page.kind;
      const eventSeq = contents.eventSeqs.get(`${page.kind}:${page.name}`) ?? 0;
      const apps = page.kind === "cell" ? { apps: [...(contents.appsOf.get(page.name) ?? [])] } : {};
      pages.push({ ...page, eventSeq, ...apps });
      chars += line.length;
      // The pages of one object follow on each other, in one request or in several that wait for each other.
      if (!last && chars >= REQUEST_CHARS) await send().then(() => Promise.all(under));
      else if (last && (chars >= REQUEST_CHARS || pages.length >= REQUEST_PAGES)) await send();
    },
  });
  await send();
  await Promise.all(under);
}

const LINES_PER_INSERT = 2_000;

async function fillPostgres({ adminUrl, path, opening }: RestoreOptions, contents: Contents): Promise<void> {
  const { header, eventSeqs, waiting } = contents;
  await withLoad(adminUrl, async (load) => {
    await requireEmpty(load);
    // Objects that are in already may have asked; nothing of theirs was taken yet.
    await load.run("delete from outbox_sources where last_seq = 0");
    let lines: string[] = [];
    let into: { table: string; columns: readonly string[] } | null = null;
    const flush = async () => {
      if (into && lines.length > 0) await load.insert(into.table, into.columns, lines);
      lines = [];
    };
    await readSections(readSealed(path, opening), {
      section: async ({ name, columns }) => {
        await flush();
        into = columns ? { table: name.slice(tableSection("").length), columns } : null;
      },
      line: async (line) => {
        if (into === null) return;
        lines.push(line);
        if (lines.length >= LINES_PER_INSERT) await flush();
      },
    });
    await flush();
    const raised = [...eventSeqs].filter(([source]) => !waiting.has(source));
    await raise(load, raised);
    await load.run("insert into restores (backup, started_at) values ($1, now())", [header.backup]);
  });
}

const raise = (load: Load, seqs: readonly (readonly [string, number])[]) =>
  load.run(
    `insert into outbox_sources (source, last_seq) select s, q from unnest($1::text[], $2::bigint[]) as t(s, q)
     on conflict (source) do update set last_seq = greatest(outbox_sources.last_seq, excluded.last_seq), updated_at = now()`,
    [seqs.map(([source]) => source), seqs.map(([, seq]) => seq)],
  );

/** Events per request: what the sink takes in one transaction. */
const EVENTS_AT_ONCE = 200;

/** In order and once, by the way they would have gone; from there on the object's own follow. */
async function handOver(api: Api, adminUrl: string, { header, waiting, eventSeqs }: Contents): Promise<number> {
  let count = 0;
  for (const [source, events] of waiting) {
    for (let from = 0; from < events.length; from += EVENTS_AT_ONCE) {
      const some = events.slice(from, from + EVENTS_AT_ONCE);
      await handOverEvents(api, source, some);
      count += some.length;
    }
  }
  await withLoad(adminUrl, async (load) => {
    await raise(
      load,
      [...eventSeqs].filter(([source]) => waiting.has(source)),
    );
    await load.run("update restores set ended_at = now() where backup = $1", [header.backup]);
  });
  return count;
}
