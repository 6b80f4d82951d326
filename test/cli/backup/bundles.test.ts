// Bundles beside backups: each once per store, sealed, held to its hash both ways, and gone once no backup needs it.
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { BundleKeys } from "../../../cli/backup/bundle-keys.ts";
import { copyBundles } from "../../../cli/backup/copy-bundles.ts";
import type { Opening, Sealing } from "../../../cli/backup/envelope.ts";
import { forgetBundles, indexOf } from "../../../cli/backup/bundle-index.ts";
import { nameOf } from "../../../cli/backup/names.ts";
import { openPlace } from "../../../cli/backup/open-place.ts";
import { checkBundles, putBundles } from "../../../cli/backup/put-bundles.ts";
import { keepOf } from "../../../cli/backup/retention.ts";
import { folderStore } from "../../../cli/backup/store.ts";
import { createApi } from "../../../cli/client.ts";
import { BundleKey, type BundleLine } from "../../../contracts/backup.ts";
import { S3_KEYS, type S3Store, startS3Store } from "../../self-hosted/s3-store.ts";

const TEAM = "team_01jzzzzzzze0a0000000000001";
const DAY_MS = 86_400_000;
const END_MS = Date.parse("2026-11-21T10:00:00Z");
/** By key, what the platform's store holds; and what it was asked for. */
const held = new Map<string, Uint8Array>();
let asked: string[] = [];
let server: Server;
let store: S3Store;
let dir: string;
let sealing: Sealing;
let opening: Opening;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "berth-bundles-"));
  store = await startS3Store(dir, "backups");
  const identity = await generateX25519Identity();
  opening = { kind: "identity", identity };
  sealing = { kind: "recipient", recipient: await identityToRecipient(identity) };
  server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://platform");
    const key = searchParams.get("key") ?? "";
    asked.push(`${request.method} ${pathname} ${key.slice(-8)}`);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      if (pathname === "/restore/v1/missing-bundles") {
        const { keys } = JSON.parse(body.toString()) as { keys: string[] };
        return response.end(JSON.stringify({ missing: keys.filter((one) => !held.has(one)) }));
      }
      if (request.method === "PUT") {
        held.set(key, body);
        return response.writeHead(204).end();
      }
      const bytes = held.get(key);
      if (bytes !== undefined) return response.end(bytes);
      const problem = {
        type: "about:blank",
        title: "x",
        status: 404,
        code: "not_found",
        detail: "gone",
        requestId: "r",
      };
      return response.writeHead(404, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  server.close();
  server.closeAllConnections();
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => {
  held.clear();
  asked = [];
  vi.stubEnv("AWS_ACCESS_KEY_ID", S3_KEYS.BERTH_S3_ACCESS_KEY_ID);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", S3_KEYS.BERTH_S3_SECRET_ACCESS_KEY);
  vi.stubEnv("AWS_ENDPOINT_URL", store.endpoint);
});
afterEach(() => vi.unstubAllEnvs());

const platform = () => createApi({ apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: "t" });
const folder = (name: string): string => {
  mkdirSync(join(dir, name));
  return join(dir, name);
};
function uploaded(bytes: number | Uint8Array = 300_000): BundleKey {
  const body = typeof bytes === "number" ? randomBytes(bytes) : bytes;
  const key = BundleKey.parse(`bundles/${TEAM}/sha256:${createHash("sha256").update(body).digest("hex")}`);
  held.set(key, body);
  return key;
}
/** As `berth backup` does it, without the rest of a backup. */
async function backUp(to: string, keys: readonly BundleKey[], atMs = END_MS, by = sealing, keep = "100d") {
  const place = openPlace(to);
  const id = randomBytes(8).toString("hex");
  try {
    const from = { api: platform(), place, sealing: by, startedAtMs: atMs, id, toldMs: 0 };
    const copied = await copyBundles(from, keys);
    writeFileSync(place.scratch, "the rest");
    await place.finish(atMs, id);
    return { ...copied, removed: await place.prune(keepOf(keep), END_MS), name: nameOf(atMs, id) };
  } finally {
    place.close();
  }
}
async function namesIn(to: string): Promise<string[]> {
  const place = openPlace(to);
  place.close();
  return (await place.bundles.list("")).toSorted();
}
async function bundlesIn(to: string, lines: readonly BundleLine[], by = opening) {
  const place = openPlace(to);
  place.close();
  return { store: place.bundles, opening: by, lines };
}

describe.each(["a folder", "a bucket"])("bundles in %s", (kind) => {
  const placeOf = (name: string) => (kind === "a folder" ? folder(name) : `s3://backups/${name}`);

  it("are copied once, however many backups need them, and come back by their hashes", async () => {
    const to = placeOf("once");
    const [one, two] = [uploaded(), uploaded(2_000_000)];
    expect(await backUp(to, [one, two, one], END_MS - DAY_MS)).toMatchObject({ copied: 2, missing: [] });
    const three = uploaded();
    asked = [];
    const second = await backUp(to, [one, two, three]);
    expect(asked).toEqual([`GET /v1/backup/bundle ${three.slice(-8)}`]);
    expect(second).toMatchObject({ copied: 1, lines: [{ key: one }, { key: two }, { key: three }] });
    const [there, bytes] = [await bundlesIn(to, second.lines), held.get(two)];
    held.delete(two);
    expect(await putBundles(platform(), there)).toBe(1);
    expect(held.get(two)).toEqual(bytes);
  });

  it("go with the last backup that needs them, and not before", async () => {
    const to = placeOf("gone");
    const [old, both, recent] = [uploaded(), uploaded(), uploaded()];
    const first = await backUp(to, [old, both], END_MS - 9 * DAY_MS);
    const second = await backUp(to, [both, recent], END_MS, sealing, "2d");
    expect(second.removed).toEqual([]);
    const third = await backUp(to, [recent], END_MS + 1_000, sealing, "1d");
    expect(third.removed.toSorted()).toEqual([first.name, second.name].toSorted());
    expect(await namesIn(to)).toEqual([expect.stringContaining(recent.slice(-64))]);
  });
});

describe("bundles beside a backup", () => {
  it("that is being made elsewhere stay until it is old", async () => {
    const to = folder("under-way");
    const key = uploaded();
    const { name } = await backUp(to, [key], END_MS - 6 * DAY_MS);
    rmSync(join(to, name));
    await backUp(to, []);
    expect(await namesIn(to)).toHaveLength(1);
    const later = openPlace(to);
    await later.prune(keepOf("1d"), END_MS + 2 * DAY_MS);
    later.close();
    expect(await namesIn(to)).toEqual([]);
    expect(readdirSync(to)).not.toContain(indexOf(name));
  });

  it("that went away under a backup, by somebody who did not know of it yet, are copied once more", async () => {
    const to = folder("under-it");
    const [shared, recent] = [uploaded(), uploaded()];
    await backUp(to, [shared], END_MS - DAY_MS);
    const place = openPlace(to);
    // Right after the first look at the bundles, in which it was still there.
    let isThere = true;
    const list = async (inner: string) => {
      const names = await place.bundles.list(inner);
      const own = names.filter((name) => name.includes(shared.slice(-64)));
      if (isThere && inner !== "") for (const name of own) await place.bundles.remove(name);
      if (inner !== "") isThere = false;
      return names;
    };
    const from = { api: platform(), place: { ...place, bundles: { ...place.bundles, list } }, sealing, toldMs: 0 };
    const { lines } = await copyBundles({ ...from, startedAtMs: END_MS, id: "0123456789" }, [shared, recent]);
    place.close();
    expect(isThere).toBe(false);
    await checkBundles(await bundlesIn(to, lines));
  });

  it("are looked for in the indices again while old ones are being removed, so that a backup that began meanwhile keeps its own", async () => {
    const to = folder("meanwhile");
    const keys = [uploaded(), uploaded(), uploaded()];
    const { name } = await backUp(to, keys, END_MS - DAY_MS);
    for (const file of [name, indexOf(name)]) rmSync(join(to, file));
    const there = folderStore(to);
    let nowMs = 0;
    const other = indexOf(nameOf(END_MS, "0123456789abcdef"));
    const remove = async (gone: string) => {
      await there.remove(gone);
      // Each removal takes long; in the first one another backup begins, which needs all that is left.
      nowMs += 2_000;
      if (nowMs > 2_000) return;
      writeFileSync(join(to, other), (await namesIn(to)).join("\n"));
    };
    await forgetBundles({ ...there, remove }, END_MS, () => nowMs);
    expect(await namesIn(to)).toHaveLength(2);
  });

  it("show nothing of what is in them, and are copied anew for another recipient", async () => {
    const to = folder("sealed");
    const key = uploaded(Buffer.from("a text that is to be seen by nobody ".repeat(50)));
    await backUp(to, [key], END_MS - DAY_MS);
    const [name] = await namesIn(to);
    expect(readFileSync(join(to, "bundles", name!)).includes("seen by nobody")).toBe(false);
    const other = { kind: "recipient", recipient: await identityToRecipient(await generateX25519Identity()) } as const;
    expect(await backUp(to, [key], END_MS, other)).toMatchObject({ copied: 1 });
    expect(await namesIn(to)).toHaveLength(2);
  });

  it("are opened by the backup's passphrase, and by no other", async () => {
    const to = folder("phrase");
    const [one, two] = [uploaded(), uploaded()];
    const by = { kind: "passphrase", passphrase: "correct horse battery", workFactor: 10 } as const;
    await backUp(to, [one], END_MS - DAY_MS, by);
    const { lines, copied } = await backUp(to, [one, two], END_MS, by);
    expect(copied).toBe(1);
    await checkBundles(await bundlesIn(to, lines, { kind: "passphrase", passphrase: by.passphrase }));
    const wrong = await bundlesIn(to, lines, { kind: "passphrase", passphrase: "correct horse butter" });
    await expect(checkBundles(wrong)).rejects.toThrow("identity.age cannot be opened");
  });

  it("lie beside a backup that is one file", async () => {
    const to = join(folder("one-file"), "today.age");
    const place = openPlace(to);
    const from = { api: platform(), place, sealing, startedAtMs: END_MS, id: "0123456789" };
    const { lines } = await copyBundles(from, [uploaded()]);
    await checkBundles({ store: place.bundles, opening, lines });
    place.close();
    expect(readdirSync(`${to}.bundles`)).toEqual([lines[0]!.ring]);
  });

  it("that the platform has lost are named, and hold nothing up", async () => {
    const [one, lost] = [uploaded(), uploaded()];
    held.delete(lost);
    expect(await backUp(folder("lost"), [one, lost])).toMatchObject({ missing: [lost], lines: [{ key: one }] });
  });

  it("are not taken where they are not what their hash says", async () => {
    const key = uploaded();
    held.set(key, Buffer.from("something else"));
    const to = folder("other");
    await expect(backUp(to, [key])).rejects.toThrow("other bytes than its hash says");
    expect(await namesIn(to)).toEqual([]);
  });

  it("stop a restore before it writes where one is missing or was changed, by name", async () => {
    const to = folder("damaged");
    const key = uploaded();
    const { lines } = await backUp(to, [key]);
    const there = await bundlesIn(to, lines);
    const path = join(to, "bundles", (await namesIn(to))[0]!);
    const bytes = readFileSync(path);
    bytes[bytes.length - 40]! ^= 1;
    writeFileSync(path, bytes);
    held.clear();
    await expect(putBundles(platform(), there)).rejects.toThrow(`${path} is damaged`);
    expect(held.size).toBe(0);
    rmSync(path);
    await expect(checkBundles(there)).rejects.toMatchObject({
      message: expect.stringContaining("1 of the backup's 1 bundles are not beside it"),
      hint: expect.stringContaining("--bundles"),
    });
  });
});

describe("the bundles that an App refers to", () => {
  const hash = (digit: string): string => `sha256:${digit.repeat(64)}`;
  const release = (id: string, source: object) => JSON.stringify(["releases", id, { release: { spec: { source } } }]);
  const found = (phase: string): string[] => {
    const keys = new BundleKeys();
    const page = { kind: "app", name: "app_a", layout: 1, rows: 4, pages: 2 } as const;
    // Releases come before the row that says whose they are.
    const first = [
      release("r1", { kind: "bundle", hash: hash("a") }),
      release("r2", { kind: "image", reference: "nginx:1.29" }),
    ];
    keys.take({ ...page, page: 0, text: first.join("\n") });
    const app = JSON.stringify(["app", "app", { team: TEAM, phase }]);
    keys.take({ ...page, page: 1, text: [release("r3", { kind: "bundle", hash: hash("b") }), app].join("\n") });
    return [...keys.found];
  };

  it("are those of all releases that it keeps", () => {
    expect(found("live")).toEqual([`bundles/${TEAM}/${hash("a")}`, `bundles/${TEAM}/${hash("b")}`]);
  });
  it("are none once it was deleted", () => {
    expect(found("destroyed")).toEqual([]);
  });
});
