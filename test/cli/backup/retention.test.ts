// Which backups are kept: one of each of the last days, weeks and months, and always the newest.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { atMsOf, nameOf } from "../../../cli/backup/names.ts";
import { openFolderOrFile } from "../../../cli/backup/places.ts";
import { keepOf, outdated } from "../../../cli/backup/retention.ts";

const HOUR_MS = 3_600_000;
const END_MS = Date.parse("2026-11-21T10:00:00Z");
const hourly = (hours: number) =>
  Array.from({ length: hours }, (_, ago) => ({ name: String(ago), atMs: END_MS - ago * HOUR_MS }));
const kept = (text: string, items = hourly(24 * 60)) => {
  const gone = new Set(outdated(items, keepOf(text)));
  return items.filter((item) => !gone.has(item)).map(({ atMs }) => new Date(atMs).toISOString().slice(0, 13));
};

describe("what is kept", () => {
  it("is the newest of each day", () => {
    expect(kept("3d")).toEqual(["2026-11-21T10", "2026-11-20T23", "2026-11-19T23"]);
  });
  it("is the newest of each week, which begins on a Monday, beside the days", () => {
    expect(kept("1d/3w")).toEqual(["2026-11-21T10", "2026-11-15T23", "2026-11-08T23"]);
  });
  it("is the newest of each month", () => {
    expect(kept("2m")).toEqual(["2026-11-21T10", "2026-10-31T23"]);
  });
  it("is never nothing: after a pause of years the days count back from the newest", () => {
    const old = hourly(50).map((item) => ({ ...item, atMs: item.atMs - 10_000 * HOUR_MS }));
    expect(kept("2d", old)).toHaveLength(2);
  });
  it.each(["", "7", "d", "7x", "7d/", "0d", "7d 4w"])("is not said by %j", (text) => {
    expect(() => keepOf(text)).toThrow("7d/4w");
  });
});

describe("a folder of backups", () => {
  it("gets files named by their time, and loses only those of its own that are outdated", async () => {
    const dir = mkdtempSync(join(tmpdir(), "berth-places-"));
    const ours = [0, 24, 48].map((ago) => nameOf(END_MS - ago * HOUR_MS, `0000000${ago % 10}-x`));
    for (const name of [...ours, "berth-notes.age", "other.txt"]) writeFileSync(join(dir, name), "");
    const place = openFolderOrFile(dir);
    writeFileSync(place.scratch, "new");
    const path = await place.finish(END_MS + HOUR_MS, "abcdef01-2");
    const removed = await place.prune(keepOf("2d"), END_MS);
    place.close();
    expect(removed).toEqual([ours[0], ours[2]]);
    const left = readdirSync(dir).toSorted();
    expect(left).toEqual(
      ["berth-2026-11-21T11-00-00Z-abcdef01.age", ours[1]!, "berth-notes.age", "other.txt"].toSorted(),
    );
    expect(atMsOf(path.split("/").at(-1)!)).toBe(END_MS + HOUR_MS);
    rmSync(dir, { recursive: true });
  });

  it("is refused as a file that is there already", () => {
    expect(() => openFolderOrFile(import.meta.filename)).toThrow("is there already");
    expect(() => openFolderOrFile("/nonexistent/place/file")).toThrow("Nothing can be written");
  });
});
