// A backup's file: what was written comes back; anything else is refused with a reason before anybody acts on it.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BACKUP_FORMAT, type ObjectPage, RESTORE_SKIP } from "../../../contracts/backup.ts";
import { readContents } from "../../../cli/backup/contents.ts";
import { type Opening, readSealed, type Sealing, writeSealed } from "../../../cli/backup/envelope.ts";
import { SectionWriter } from "../../../cli/backup/sections.ts";

const APP = "app_01jzzzzzzze0a0000000000001";
let dir: string;
let opening: Opening;
let sealing: Sealing;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "berth-backup-test-"));
  const identity = await generateX25519Identity();
  opening = { kind: "identity", identity };
  sealing = { kind: "recipient", recipient: await identityToRecipient(identity) };
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const eventOf = (source: string, seq: number) => ({
  ...{ id: `${source}#${seq}`, source, seq, type: "app.scaled", version: 1, team: null, subject: "s", actor: "a" },
  ...{ causeId: null, atMs: 1, data: {} },
});
const pageOf = (kind: ObjectPage["kind"], name: string, rows: readonly unknown[][]): string => {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  return JSON.stringify({ kind, name, layout: 1, rows: rows.length, page: 0, pages: 1, text } satisfies ObjectPage);
};

/** An App with events 1 to 5, of which Postgres acknowledged 3; and Postgres, which had 4 by the time it was copied. */
function* lines(format = BACKUP_FORMAT): Generator<string> {
  const writer = new SectionWriter();
  const keys = { wrapped: null, fingerprints: { SETUP_TOKEN: "0123456789abcdef" } };
  yield writer.header({
    kind: "header",
    format,
    backup: "b1",
    platform: "0.1.0",
    migrations: [1, 2],
    startedAtMs: 5,
    keys,
  });
  yield writer.begin("objects");
  const events = [1, 2, 3, 4, 5].map((seq) => ["events", String(seq), eventOf(`app:${APP}`, seq)]);
  const counters = ["counters", "counters", { eventSeq: 5, deliveredSeq: 3 }];
  const instances = [
    ["instances", "i", { cell: "eu.0" }],
    ["instances", "j", { cell: null }],
  ];
  yield writer.lines([
    pageOf("app", APP, [counters, ...events, ...instances]),
    pageOf("cell", "eu.0", [["counters", "counters", { eventSeq: 2, deliveredSeq: 2 }]]),
  ]);
  yield writer.begin("table:outbox_sources", ["source", "last_seq", "updated_at"]);
  yield writer.lines([JSON.stringify([`app:${APP}`, 4, null]), JSON.stringify(["cell:eu.0", 9, null])]);
  yield writer.begin("objects");
  const late = ["counters", "counters", { eventSeq: 2, deliveredSeq: 2 }];
  yield writer.lines([
    pageOf("app", "app_late", [
      late,
      ["events", "1", eventOf("app:app_late", 1)],
      ["events", "2", eventOf("app:app_late", 2)],
    ]),
  ]);
  yield writer.footer(6);
}
async function* of(all: Iterable<string>): AsyncGenerator<string> {
  yield* all;
}
async function written(name: string, all: Iterable<string> = lines(), by: Sealing = sealing): Promise<string> {
  const path = join(dir, name);
  await writeSealed(path, by, of(all));
  return path;
}

describe("a backup's file", () => {
  it("comes back whole, and says what Postgres lacks, from where each source goes on, and which Apps a Cell must tell", async () => {
    const contents = await readContents(await written("whole"), opening);
    expect(contents).toMatchObject({ objects: 3, rows: 2, endedAtMs: 6, header: { backup: "b1", migrations: [1, 2] } });
    expect([...contents.waiting].map(([source, events]) => [source, events.map(({ seq }) => seq)])).toEqual([
      [`app:${APP}`, [5]],
      ["app:app_late", [1, 2]],
    ]);
    expect(contents.eventSeqs.get(`app:${APP}`)).toBe(5 + RESTORE_SKIP);
    expect(contents.eventSeqs.get("cell:eu.0")).toBe(9 + RESTORE_SKIP);
    expect([...contents.appsOf]).toEqual([["eu.0", new Set([APP])]]);
  });

  it("shows nothing of what is in it", async () => {
    const bytes = readFileSync(await written("sealed"));
    expect(bytes.includes(APP)).toBe(false);
    expect(bytes.subarray(0, 21).toString()).toBe("age-encryption.org/v1");
  });

  it("is opened by its passphrase, and by no other", async () => {
    const path = await written("phrase", lines(), {
      kind: "passphrase",
      passphrase: "correct horse battery",
      workFactor: 10,
    });
    const right = { kind: "passphrase", passphrase: "correct horse battery" } as const;
    expect((await readContents(path, right)).objects).toBe(3);
    await expect(readContents(path, { ...right, passphrase: "correct horse butter" })).rejects.toThrow("does not open");
  });

  it("is refused with a wrong key", async () => {
    const identity = await generateX25519Identity();
    await expect(readContents(await written("wrong"), { kind: "identity", identity })).rejects.toThrow("does not open");
  });

  it.each([40, 400])("is refused where its last %s bytes are missing", async (missing) => {
    const path = await written(`short-${missing}`);
    truncateSync(path, readFileSync(path).length - missing);
    await expect(readContents(path, opening)).rejects.toThrow(/damaged|cut off|no backup/);
  });

  it("is refused where it was cut before it was sealed", async () => {
    const path = await written("no-end", [...lines()].slice(0, -1));
    await expect(readContents(path, opening)).rejects.toThrow("its end is missing");
  });

  it("is refused where one byte was changed", async () => {
    const path = await written("changed");
    const bytes = readFileSync(path);
    bytes[bytes.length - 60]! ^= 1;
    writeFileSync(path, bytes);
    await expect(readContents(path, opening)).rejects.toThrow(/damaged/);
  });

  it("is refused where lines are missing from a section, or are others", async () => {
    const all = [...lines()];
    const fewer = all.map((text) => text.replace(/^\["cell:eu\.0".*\n/m, ""));
    await expect(readContents(await written("fewer", fewer), opening)).rejects.toThrow("has 1 lines of 2");
    const other = all.map((text) => text.replace('"cell:eu.0",9', '"cell:eu.0",8'));
    await expect(readContents(await written("other", other), opening)).rejects.toThrow("is not what was written");
  });

  it("of a newer format is refused by name", async () => {
    const path = await written("newer", lines(BACKUP_FORMAT + 1));
    await expect(readContents(path, opening)).rejects.toThrow(`format ${BACKUP_FORMAT + 1}`);
  });

  it("that is none is refused", async () => {
    const path = join(dir, "text");
    writeFileSync(path, "hello\n");
    await expect(readContents(path, opening)).rejects.toThrow("no backup");
    await expect(readSealed(join(dir, "absent"), opening).next()).rejects.toThrow();
  });
});
