// Makes a backup: objects first, each as of one moment, then Postgres as of one later moment, then what that names beside them, and
// the bundles that all of it refers to.
import { randomUUID } from "node:crypto";
import { BACKUP_FORMAT, type BundleKey, OBJECTS_PER_DUMP_MAX, type ObjectRef } from "../../contracts/backup.ts";
import { openDump } from "../../db/copy/dump.ts";
import { namedObjects } from "../../db/copy/named-objects.ts";
import { migrationStateOf } from "../setup/database.ts";
import { BundleKeys } from "./bundle-keys.ts";
import { dumpObjects, readChannel, readKeys } from "./control.ts";
import type { Api } from "../client.ts";
import { copyBundles } from "./copy-bundles.ts";
import { type Sealing, writeSealed } from "./envelope.ts";
import type { Place } from "./places.ts";
import { BUNDLES, DOCUMENTS, OBJECTS, SectionWriter, tableSection } from "./sections.ts";

export interface MakeOptions {
  readonly api: Api;
  readonly adminUrl: string;
  readonly place: Place;
  readonly sealing: Sealing;
  readonly platform: string;
  readonly progress: (done: string) => void;
}

export interface Made {
  readonly id: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly objects: number;
  readonly rows: number;
  readonly wrapped: boolean;
  readonly bundles: BundleCounts;
}

/** missing: keys of those that the platform names and does not have any more. */
export interface BundleCounts {
  readonly all: number;
  readonly copied: number;
  readonly missing: readonly BundleKey[];
}

/**
 * Whatever was acknowledged before this began is in it: a write is in its object, in Postgres, or first in the one and then, by
 * the outbox, in the other. What an object hands over between the two moments is in both, and a restore lets that count
 * once (ADR 21). Objects that Postgres names and that were not there to be copied first are copied last.
 */
export async function makeBackup(options: MakeOptions): Promise<Made> {
  const id = randomUUID();
  const startedAtMs = Date.now();
  const keys = await readKeys(options.api);
  const { applied } = await migrationStateOf(options.adminUrl);
  const counts: Counts = { objects: 0, rows: 0, bundles: { all: 0, copied: 0, missing: [] } };
  const header = {
    ...{ kind: "header" as const, format: BACKUP_FORMAT, backup: id, platform: options.platform, startedAtMs, keys },
    migrations: applied,
  };
  await writeSealed(options.place.scratch, options.sealing, linesOf(options, header, counts));
  return { id, startedAtMs, endedAtMs: Date.now(), ...counts, wrapped: keys.wrapped !== null };
}

interface Counts {
  objects: number;
  rows: number;
  bundles: BundleCounts;
}
type Header = Parameters<SectionWriter["header"]>[0];

async function* linesOf(options: MakeOptions, header: Header, counts: Counts): AsyncGenerator<string> {
  const { api, adminUrl, progress } = options;
  const writer = new SectionWriter();
  const keys = new BundleKeys();
  yield writer.header(header);
  const before = await openDump(adminUrl);
  const first = await namedObjects(before).finally(() => before.close());
  yield writer.begin(OBJECTS);
  yield* objectLines({ api, writer, keys, counts }, first);
  progress(`${counts.objects} objects`);
  const copied = new Set(first.map(keyOf));
  const dump = await openDump(adminUrl);
  try {
    const late = (await namedObjects(dump)).filter((ref) => !copied.has(keyOf(ref)));
    for (const table of dump.tables) {
      yield writer.begin(tableSection(table.name), table.columns);
      for await (const lines of dump.rows(table)) {
        counts.rows += lines.length;
        yield writer.lines(lines);
      }
    }
    progress(`${counts.rows} rows`);
    yield writer.begin(OBJECTS);
    yield* objectLines({ api, writer, keys, counts }, late);
  } finally {
    await dump.close();
  }
  yield* bundleLines(options, header, { writer, keys, counts });
  yield writer.footer(Date.now());
}

const keyOf = ({ kind, name }: ObjectRef): string => `${kind}/${name}`;

interface Writing {
  readonly writer: SectionWriter;
  readonly keys: BundleKeys;
  readonly counts: Counts;
}

/** The bundles are beside the file before it names them. */
async function* bundleLines(
  { api, place, sealing, progress }: MakeOptions,
  { startedAtMs, backup }: Header,
  { writer, keys, counts }: Writing,
): AsyncGenerator<string> {
  const { documents, bundles } = await readChannel(api);
  const all = [...keys.found, ...bundles];
  const { lines, copied, missing } = await copyBundles({ api, place, sealing, startedAtMs, id: backup }, all);
  counts.bundles = { all: lines.length, copied, missing };
  progress(`${lines.length} bundles, of which ${copied} are new there`);
  yield writer.begin(DOCUMENTS);
  yield writer.lines(documents.map((document) => JSON.stringify(document)));
  yield writer.begin(BUNDLES);
  yield writer.lines(lines.map((line) => JSON.stringify(line)));
}

async function* objectLines(
  { api, writer, keys, counts }: Writing & { readonly api: Api },
  refs: readonly ObjectRef[],
): AsyncGenerator<string> {
  for (let from = 0; from < refs.length; from += OBJECTS_PER_DUMP_MAX) {
    const some = refs.slice(from, from + OBJECTS_PER_DUMP_MAX);
    const pages = await dumpObjects(api, some);
    for (const page of pages) keys.take(page);
    counts.objects += some.length;
    yield writer.lines(pages.map((page) => JSON.stringify(page)));
  }
}
