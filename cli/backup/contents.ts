// What a restore must know of a backup before it writes anything: all of it is read, and compared with its footer.
import { type BackupHeader, BundleLine, ChannelDocument, ObjectPage, RESTORE_SKIP } from "../../contracts/backup.ts";
import type { BerthEvent } from "../../contracts/events.ts";
import type { AppId } from "../../contracts/ids.ts";
import { type Opening, readSealed } from "./envelope.ts";
import { BUNDLES, DOCUMENTS, OBJECTS, readSections, tableSection } from "./sections.ts";

export interface Contents {
  readonly header: BackupHeader;
  readonly endedAtMs: number;
  readonly objects: number;
  readonly rows: number;
  /** By source: the seq that its next event follows on. */
  readonly eventSeqs: ReadonlyMap<string, number>;
  /** By source, in order: what Postgres does not have. */
  readonly waiting: ReadonlyMap<string, readonly BerthEvent[]>;
  /** By cell: Apps that believe they have instances there. */
  readonly appsOf: ReadonlyMap<string, ReadonlySet<AppId>>;
  /** What lies beside it; none in a file of format 1. */
  readonly bundles: readonly BundleLine[];
  readonly documents: readonly ChannelDocument[];
}

interface Source {
  eventSeq: number;
  deliveredSeq: number;
  readonly events: BerthEvent[];
}

const SOURCES = tableSection("outbox_sources");

export async function readContents(path: string, opening: Opening): Promise<Contents> {
  let header: BackupHeader | null = null;
  const sources = new Map<string, Source>();
  const inPostgres = new Map<string, number>();
  const appsOf = new Map<string, Set<AppId>>();
  const bundles: BundleLine[] = [];
  const documents: ChannelDocument[] = [];
  let objects = 0;
  let rows = 0;
  const footer = await readSections(readSealed(path, opening), {
    header: (found) => void (header = found),
    line: (line, { name, columns }) => {
      if (name === OBJECTS) {
        const page = ObjectPage.parse(JSON.parse(line));
        if (page.page === 0) objects += 1;
        lookAt(page, { sources, inPostgres, appsOf });
        return;
      }
      if (name === BUNDLES) return void bundles.push(BundleLine.parse(JSON.parse(line)));
      if (name === DOCUMENTS) return void documents.push(ChannelDocument.parse(JSON.parse(line)));
      rows += 1;
      if (name !== SOURCES) return;
      const values = JSON.parse(line) as unknown[];
      const [source, lastSeq] = ["source", "last_seq"].map((column) => values[columns?.indexOf(column) ?? -1]);
      inPostgres.set(String(source), Number(lastSeq));
    },
  });
  const { endedAtMs } = footer;
  return { header: header!, endedAtMs, objects, rows, appsOf, bundles, documents, ...settled(sources, inPostgres) };
}

interface Seen {
  readonly sources: Map<string, Source>;
  readonly inPostgres: ReadonlyMap<string, number>;
  readonly appsOf: Map<string, Set<AppId>>;
}

/** What it says of its events, and of an App where its instances are. */
function lookAt(page: ObjectPage, { sources, inPostgres, appsOf }: Seen): void {
  const id = `${page.kind}:${page.name}`;
  const source: Source = sources.get(id) ?? { eventSeq: 0, deliveredSeq: 0, events: [] };
  for (const line of page.text.split("\n")) {
    const table = /^\["(\w+)"/.exec(line)?.[1];
    if (table === "counters" || table === "upgradeCounters") {
      const [, , counters] = JSON.parse(line) as [string, string, { eventSeq: number; deliveredSeq: number }];
      source.eventSeq = counters.eventSeq;
      source.deliveredSeq = counters.deliveredSeq;
    } else if (table === "events" || table === "upgradeEvents") {
      source.events.push((JSON.parse(line) as [string, string, BerthEvent])[2]);
    } else if (table === "instances" && page.kind === "app") {
      const [, , { cell }] = JSON.parse(line) as [string, string, { cell: string | null }];
      if (cell !== null) appsOf.set(cell, (appsOf.get(cell) ?? new Set()).add(page.name as AppId));
    }
  }
  // What Postgres acknowledged before its own copy is in that copy, and not kept here; an object that was copied after it may
  // have been told of more.
  const isLate = inPostgres.size > 0;
  const has = isLate ? Math.min(source.deliveredSeq, inPostgres.get(id) ?? 0) : source.deliveredSeq;
  sources.set(id, { ...source, events: source.events.filter(({ seq }) => seq > has) });
}

/** Postgres may have more of a source than its object had when it was copied; never less than the object was told. */
function settled(sources: ReadonlyMap<string, Source>, inPostgres: ReadonlyMap<string, number>) {
  const eventSeqs = new Map<string, number>();
  const waiting = new Map<string, readonly BerthEvent[]>();
  for (const source of new Set([...sources.keys(), ...inPostgres.keys()])) {
    const has = inPostgres.get(source) ?? 0;
    const { eventSeq = 0, events = [] } = sources.get(source) ?? {};
    const left = events.filter(({ seq }) => seq > has).sort((a, b) => a.seq - b.seq);
    if (left.length > 0) waiting.set(source, left);
    eventSeqs.set(source, Math.max(has, eventSeq) + RESTORE_SKIP);
  }
  return { eventSeqs, waiting };
}
