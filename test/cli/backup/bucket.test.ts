// Backups in an S3-compatible store: put there whole and in parts, found again, pruned by age; refusals say which and why.
import { createHash } from "node:crypto";
import { createReadStream, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { nameOf } from "../../../cli/backup/names.ts";
import { openPlace, withBackup } from "../../../cli/backup/open-place.ts";
import { keepOf } from "../../../cli/backup/retention.ts";
import { S3_KEYS, type S3Store, startS3Store } from "../../self-hosted/s3-store.ts";

const DAY_MS = 86_400_000;
const END_MS = Date.parse("2026-11-21T10:00:00Z");
let dir: string;
let store: S3Store;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "berth-bucket-"));
  store = await startS3Store(dir, "backups");
});
afterAll(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});
afterEach(() => vi.unstubAllEnvs());

function signIn(more: Record<string, string> = {}): void {
  const { BERTH_S3_ACCESS_KEY_ID, BERTH_S3_SECRET_ACCESS_KEY } = S3_KEYS;
  const env = { AWS_ACCESS_KEY_ID: BERTH_S3_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: BERTH_S3_SECRET_ACCESS_KEY };
  for (const [name, value] of Object.entries({ ...env, AWS_ENDPOINT_URL: store.endpoint, ...more })) {
    vi.stubEnv(name, value);
  }
}

async function put(to: string, atMs: number, id: string, fill: (path: string) => void): Promise<string> {
  const place = openPlace(to);
  try {
    fill(place.scratch);
    return await place.finish(atMs, id);
  } finally {
    place.close();
  }
}

const fetchedDigest = (at: string): Promise<string> => withBackup(at, undefined, ({ path }) => digestOf(path));

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

describe("a bucket of backups", () => {
  it("gets them below its prefix, gives them back, and loses only those of its own that are outdated", async () => {
    signIn();
    const to = "s3://backups/berth";
    const ids = ["00000000-a", "11111111-b", "22222222-c"];
    for (const [ago, id] of ids.entries())
      await put(to, END_MS - ago * DAY_MS, id, (path) => writeFileSync(path, `backup ${id}`));
    await put("s3://backups/berth/other", END_MS - 9 * DAY_MS, "33333333-d", (path) => writeFileSync(path, "other"));
    const place = openPlace(to);
    const removed = await place.prune(keepOf("2d"), END_MS);
    place.close();
    expect(removed).toEqual([nameOf(END_MS - 2 * DAY_MS, ids[2]!)]);
    const back = await fetchedDigest(`${to}/${nameOf(END_MS - DAY_MS, ids[1]!)}`);
    expect(back).toBe(createHash("sha256").update(`backup ${ids[1]}`).digest("hex"));
    await expect(fetchedDigest(`${to}/${nameOf(END_MS - 2 * DAY_MS, ids[2]!)}`)).rejects.toThrow("NoSuchKey");
    const other = `s3://backups/berth/other/${nameOf(END_MS - 9 * DAY_MS, "33333333-d")}`;
    expect(await fetchedDigest(other)).toBe(createHash("sha256").update("other").digest("hex"));
  });

  it("gets a large one in parts, whole", async () => {
    signIn();
    const at = await put("s3://backups", END_MS, "44444444-e", (path) => {
      writeFileSync(path, "begins so");
      truncateSync(path, 65 * 1024 ** 2);
    });
    const digest = createHash("sha256")
      .update("begins so")
      .update(Buffer.alloc(65 * 1024 ** 2 - "begins so".length))
      .digest("hex");
    expect(await fetchedDigest(at)).toBe(digest);
  });

  it("refuses a wrong key, a bucket that is not there and a store that does not answer, each by name", async () => {
    const tried = () => put("s3://backups/x", END_MS, "55555555-f", (path) => writeFileSync(path, "x"));
    signIn({ AWS_SECRET_ACCESS_KEY: "wrong" });
    await expect(tried()).rejects.toThrow("SignatureDoesNotMatch");
    signIn();
    store.refused.add("PUT");
    await expect(tried()).rejects.toMatchObject({
      message: expect.stringContaining("AccessDenied"),
      hint: expect.stringContaining("write"),
    });
    store.refused.delete("PUT");
    const elsewhere = put("s3://nowhere/x", END_MS, "55555555-f", (path) => writeFileSync(path, "x"));
    await expect(elsewhere).rejects.toThrow("NoSuchBucket");
    signIn({ AWS_ENDPOINT_URL: "http://127.0.0.1:1" });
    await expect(tried()).rejects.toThrow("does not answer");
    signIn({ AWS_ACCESS_KEY_ID: "" });
    await expect(tried()).rejects.toThrow("AWS_ACCESS_KEY_ID is not set");
  });

  it.each(["ftp://host/x", "s3://", "s3://UPPER/x"])("is not %s", (to) => {
    signIn();
    expect(() => openPlace(to)).toThrow(/no place for a backup|names no bucket/);
  });
});
